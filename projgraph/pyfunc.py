"""The runtime model with the face that `mlflow.pyfunc` expects, tables in and tables out; mlflow is unknown here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from projgraph.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from projgraph.runtime import Model

METHODS = ("predict", "predict_proba")
"""What the parameter `method` can be."""


class PyfuncModel:
    """The model as `mlflow.pyfunc` wants it: a table of texts in, labels or one column of probabilities a class out."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def get_raw_model(self) -> Model:
        """The runtime model."""
        return self.model

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> NDArray[np.object_] | pd.DataFrame:
        """Classify texts.

        Args:
            data: a data frame with one column, a series, an array or a list of n texts; a missing text counts as empty.
            params: ``{"method": "predict"}``, the default, or ``{"method": "predict_proba"}``.

        Returns:
            (n,) labels, or an (n, c) data frame of probabilities with a column a class.

        Raises:
            InputError: the method is another, there is more than one column, or a value is no text.
        """
        import pandas as pd

        method = (params or {}).get("method", METHODS[0])
        if method not in METHODS:
            raise InputError(f"the parameter method is {method!r}; expected one of {', '.join(METHODS)}")
        texts = _texts(data)
        if method == "predict":
            return np.array(self.model.predict(texts), dtype=object)
        return pd.DataFrame(self.model.predict_proba(texts), columns=list(self.model.classes))


def _texts(data: Any) -> list[str]:
    import pandas as pd

    values = np.asarray([data] if isinstance(data, str) else data, dtype=object)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise InputError(f"data of shape {values.shape}; expected one column of texts")
    missing = pd.isna(values)
    texts = ["" if gone else value for value, gone in zip(values.tolist(), missing.tolist(), strict=True)]
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"row {row} is {text!r}, a {type(text).__name__}; expected a text")
    return texts
