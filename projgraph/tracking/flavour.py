"""The model as an MLflow flavour of its own, `.pgb` file and no pickle; it knows no run that waits."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from projgraph.atomic import atomic_write
from projgraph.errors import InputError
from projgraph.pyfunc import METHODS, PyfuncModel
from projgraph.runs import MODEL

if TYPE_CHECKING:
    from mlflow.models import Model as MlflowModel
    from mlflow.models.model import ModelInfo
    from mlflow.models.signature import ModelSignature

    from projgraph.runtime import Model

FLAVOUR = "projgraph"


def save_model(
    model: str | os.PathLike[str] | bytes,
    path: str | os.PathLike[str],
    *,
    mlflow_model: MlflowModel | None = None,
    input_example: Sequence[str] = (),
    signature: ModelSignature | None = None,
) -> None:
    """Write an MLflow model folder: the `.pgb` file itself, no pickle, and what MLflow needs to load and serve it.

    Args:
        model: path of a `.pgb` file, or its bytes.
        path: the folder to make.
        mlflow_model: metadata to add to; by default fresh.
        input_example: texts to show how the model is called.
        signature: by default one column of texts in, one of labels out, and a parameter `method`.

    Raises:
        InputError: the folder exists already and has something in it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mlflow.pyfunc warns about type hints of its own when it is imported
        from mlflow import pyfunc
        from mlflow.models import Model

    from projgraph import __version__

    folder = Path(path)
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder} is not empty; expected a folder to make")
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(folder / MODEL, model if isinstance(model, bytes) else Path(model).read_bytes())
    mlflow_model = mlflow_model or Model()
    mlflow_model.signature = signature or _signature()
    if input_example:
        _write_example(folder, mlflow_model, input_example)
    python = ".".join(map(str, sys.version_info[:3]))
    requirement = f"projgraph=={__version__}"
    environment = {
        "requirements.txt": f"{requirement}\n",
        "python_env.yaml": f"python: {python}\nbuild_dependencies:\n- pip\ndependencies:\n- -r requirements.txt\n",
        "conda.yaml": f"channels:\n- conda-forge\ndependencies:\n- python={python}\n- pip\n- pip:\n"
        f"  - {requirement}\nname: projgraph\n",
    }
    for name, text in environment.items():
        atomic_write(folder / name, text.encode())
    mlflow_model.add_flavor(FLAVOUR, data=MODEL, projgraph_version=__version__)
    pyfunc.add_to_model(
        mlflow_model,
        loader_module="projgraph.tracking",
        data=MODEL,
        conda_env="conda.yaml",
        python_env="python_env.yaml",
    )
    mlflow_model.save(str(folder / "MLmodel"))


def log_model(
    model: str | os.PathLike[str] | bytes,
    name: str = "model",
    *,
    input_example: Sequence[str] = (),
    signature: ModelSignature | None = None,
    registered_model_name: str | None = None,
) -> ModelInfo:
    """Log a model to the active MLflow run, or a new one, like `mlflow.sklearn.log_model`; see ``save_model``."""
    from mlflow.models import Model

    info: ModelInfo = Model.log(
        artifact_path=None,
        name=name,
        flavor=sys.modules["projgraph.tracking"],
        model=model,
        input_example=input_example,
        signature=signature,
        registered_model_name=registered_model_name,
        model_type="classifier",
    )
    return info


def load_model(model_uri: str) -> Model:
    """The light runtime model of an MLflow model: a folder, `runs:/ID/model`, `models:/ID`, `models:/NAME/VERSION`."""
    from mlflow.artifacts import download_artifacts

    from projgraph import runtime

    return runtime.load(Path(download_artifacts(artifact_uri=model_uri)) / MODEL)


def _load_pyfunc(path: str) -> PyfuncModel:
    """MLflow's entry: the path of the model file, as ``save_model`` wrote it."""
    from projgraph import runtime

    return PyfuncModel(runtime.load(Path(path)))


def _signature() -> ModelSignature:
    """One unnamed column of texts, so that a frame with a column of any name fits, and a list too."""
    from mlflow.models.signature import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

    return ModelSignature(
        inputs=Schema([ColSpec(DataType.string)]),
        outputs=Schema([ColSpec(DataType.string)]),
        params=ParamSchema([ParamSpec("method", DataType.string, METHODS[0])]),
    )


def _write_example(folder: Path, mlflow_model: MlflowModel, texts: Sequence[str]) -> None:
    """The example as MLflow stores a data frame, and as its server takes one."""
    table = {"columns": ["text"], "data": [[text] for text in texts]}
    atomic_write(folder / "input_example.json", json.dumps(table).encode())
    atomic_write(folder / "serving_input_example.json", json.dumps({"dataframe_split": table}).encode())
    mlflow_model.saved_input_example_info = {
        "artifact_path": "input_example.json",
        "type": "dataframe",
        "pandas_orient": "split",
        "serving_input_path": "serving_input_example.json",
    }
