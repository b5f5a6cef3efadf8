"""One frozen settings model per stage and one for a whole train; they know ranges and defaults, no stage's code.

A default that was tuned says in its description where it was measured; `benchmarks/LOG.md` has the figures.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from projgraph.errors import ConfigError

_UNITS = {"": 1, "B": 1, "KB": 1024, "KIB": 1024, "MB": 1024**2, "MIB": 1024**2}
MAX_BUDGET = 1 << 28
TRAINER_NAMES = (
    "expander",
    "prior_smoothing",
    "label_propagation",
    "label_spreading",
    "modified_adsorption",
    "laplace",
    "poisson",
    "correct_and_smooth",
    "feature_smoothing",
    "gcn",
    "graphsage",
    "gat",
    "appnp",
    "gcnii",
    "sign",
    "neural_graph_machine",
)
"""The trainers that `projgraph.trainers.registry` has; a test holds the two together."""


class _Stage(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FeaturesConfig(_Stage):
    """How a text is described to the graph; a view of weight 0 is left out."""

    dimensions: int = Field(384, ge=1, le=4096, description="dimensions of the joint view, an encoder's beside them")
    lsa_dimensions: int = Field(300, ge=1, le=2048, description="dimensions of the TF-IDF view, whose weight is 1")
    word_dimensions: int = Field(300, ge=1, le=2048, description="dimensions of a PPMI word vector")
    windows: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (4, 50), description="words on either side that are context, one view for each"
    )
    sif_weight: float = Field(0.6, ge=0, le=10, description="weight of each view by averaged word vectors")
    contrastive_weight: float = Field(0.6, ge=0, le=10, description="weight of the contrastive bag of words")
    contrastive_dimensions: int = Field(256, ge=1, le=2048, description="dimensions of the contrastive bag of words")
    contrastive_epochs: int = Field(6, ge=1, le=1000, description="its passes over the texts")
    contrastive_steps: int = Field(600, ge=1, description="its batches of 512 texts at most")
    min_texts: int = Field(50, ge=2, description="texts below which TF-IDF stands alone: too few to learn words from")
    encoder_view_weight: float = Field(0.5, ge=0, le=10, description="weight of the joint view beside an encoder's")


class GraphConfig(_Stage):
    """The trainer graph."""

    neighbours: int = Field(15, ge=1, le=256, description="edges each row asks for, itself not counted")
    metric: Literal["cosine", "euclidean"] = Field("cosine", description="how rows are compared")
    weight: Literal["auto", "exponential", "cosine", "gaussian", "binary"] = Field(
        "auto",
        description="of an edge; gaussian scales each row by its seventh neighbour; auto is exponential by cosine",
    )
    temperature: float = Field(0.1, gt=0, le=10, description="of the exponential weight exp((cos - 1) / temperature)")
    mutual: bool = Field(False, description="keep an edge only where both ends ask for it")
    method: Literal["auto", "flat", "hnsw", "ivf"] = Field(
        "auto", description="of the search; auto is exact to 60,000 rows, or where recall is nearly 1, then hnsw"
    )
    recall: float = Field(0.95, gt=0, le=1, description="share of the true neighbours that a near search aims for")


class ClassicConfig(_Stage):
    """Settings of the classical propagation trainers; each says in its module which of them it heeds."""

    smoothing: float = Field(0.9, ge=0, lt=1, description="share of a node's distribution that comes from neighbours")
    tolerance: float = Field(1e-5, gt=0, lt=1, description="largest change of a probability at which steps end")
    max_steps: int = Field(1000, ge=1, description="steps at most, converged or not")
    clamping: Literal["hard", "soft"] = Field("hard", description="labelled rows keep their label, or may change")
    class_masses: Literal["free", "labels"] = Field(
        "free", description="masses of classes on unlabelled rows as they come, or scaled to the labels' frequencies"
    )
    correction: float = Field(0.9, ge=0, lt=1, description="smoothing of the errors under correct_and_smooth")
    injection: float = Field(1.0, gt=0, description="mu1 of modified_adsorption: fit to the labels")
    agreement: float = Field(1.0, gt=0, description="mu2 of modified_adsorption: agreement of neighbours")
    abandonment: float = Field(
        0.1, gt=0, description="mu3 of modified_adsorption: pull to the dummy label (BANKING77, hidden training rows)"
    )
    top: int = Field(8, ge=1, le=256, description="labels a node remembers under expander")
    seed_pull: float = Field(1.0, gt=0, le=1000, description="mu1 of expander: pull of a node's given label")
    edge_pull: float = Field(0.1, gt=0, le=1000, description="mu2 of expander: pull of a neighbour, times its weight")
    uniform_pull: float = Field(0.01, ge=0, le=1000, description="mu3 of expander: pull to equal probabilities")


class NetworkConfig(_Stage):
    """What every network has; GCN and GraphSAGE have nothing more."""

    hidden: int = Field(64, ge=1, le=4096, description="hidden units of a layer")
    layers: int = Field(2, ge=1, le=64, description="graph layers")
    dropout: float = Field(0.5, ge=0, lt=1, description="on inputs and hidden units")
    rate: float = Field(0.01, gt=0, le=1, description="learning rate of Adam")
    weight_decay: float = Field(5e-4, ge=0, description="of the input layer; of all layers where a module says so")


class GatConfig(NetworkConfig):
    """Graph attention (Velickovic et al. 2018)."""

    hidden: int = Field(8, ge=1, le=4096, description="hidden units of a head")
    heads: int = Field(8, ge=1, le=64, description="attention heads of every layer but the last, which has one")
    dropout: float = Field(0.6, ge=0, lt=1, description="on inputs, hidden units and attention")
    rate: float = Field(0.005, gt=0, le=1, description="learning rate of Adam")


class AppnpConfig(NetworkConfig):
    """Personalised propagation of neural predictions (Gasteiger et al. 2019); ``layers`` are of its MLP."""

    teleport: float = Field(0.1, gt=0, le=1, description="share of the own prediction kept in every step")
    steps: int = Field(10, ge=0, le=1000, description="propagation steps")
    weight_decay: float = Field(5e-3, ge=0, description="of the input layer")


class GcniiConfig(NetworkConfig):
    """GCN with initial residual and identity mapping (Chen et al. 2020)."""

    layers: int = Field(64, ge=1, le=1024, description="graph layers")
    dropout: float = Field(0.6, ge=0, lt=1, description="on inputs and hidden units")
    residual: float = Field(0.1, ge=0, le=1, description="alpha, share of the first layer in every layer")
    identity: float = Field(0.5, gt=0, le=10, description="lambda: layer l learns log(lambda / l + 1) of its weights")
    layer_decay: float = Field(0.01, ge=0, description="weight decay of the graph layers")


class SignConfig(NetworkConfig):
    """Precomputed powers of the graph (Frasca et al. 2020)."""

    hops: int = Field(3, ge=0, le=32, description="largest power of the graph")
    batch: int = Field(1024, ge=1, description="labelled rows of a step")


class MachineConfig(NetworkConfig):
    """Neural graph machine (Bui, Ravi & Ramavajjala 2018); ``layers`` are of its MLP."""

    labelled_edges: float = Field(0.1, ge=0, description="weight of an edge between two labelled rows")
    mixed_edges: float = Field(1.0, ge=0, description="weight of an edge from a labelled to an unlabelled row")
    unlabelled_edges: float = Field(1.0, ge=0, description="weight of an edge between two unlabelled rows")
    batch: int = Field(1024, ge=1, description="labelled rows, and edges, of a step")


class NeuralConfig(_Stage):
    """Settings of the graph neural networks and neural graph machines, each with its paper's defaults."""

    epochs: int = Field(200, ge=1, le=100_000, description="passes over the labelled rows at most")
    patience: int = Field(100, ge=1, description="epochs without a better validation before the fit stops")
    gcn: NetworkConfig = NetworkConfig()
    graphsage: NetworkConfig = NetworkConfig()
    gat: GatConfig = GatConfig()
    appnp: AppnpConfig = AppnpConfig()
    gcnii: GcniiConfig = GcniiConfig()
    sign: SignConfig = SignConfig()
    machine: MachineConfig = MachineConfig()


class FeatureSmoothingConfig(_Stage):
    """Features, then predictions, smoothed over edges; chosen on the validation rows of Cora and Citeseer."""

    feature_teleport: float = Field(0.2, ge=0, le=1, description="share of the own features kept; 1 smooths nothing")
    label_teleport: float = Field(0.1, ge=0, le=1, description="share of the own prediction kept; 1 smooths nothing")
    steps: int = Field(10, ge=0, le=1000, description="propagation steps of each smoothing")
    penalty: float = Field(1e-3, ge=0, description="weight of the squared norm of the regression's coefficients")
    rounds: int = Field(2, ge=0, le=20, description="rounds of self-training")
    later_penalty: float = Field(1e-4, ge=0, description="the same in rounds of self-training, which see every row")


class TrainerConfig(_Stage):
    """Which trainer, and its settings; those that stand here are of prior + propagation + self-training."""

    name: str = Field("prior_smoothing", description="the trainer, as in projgraph.trainers.registry")
    classic: ClassicConfig = ClassicConfig()
    neural: NeuralConfig = NeuralConfig()
    feature_smoothing: FeatureSmoothingConfig = FeatureSmoothingConfig()
    rounds: int = Field(3, ge=0, le=20, description="rounds of self-training")
    label_trust: float = Field(
        0.1, ge=0, le=100, description="smoothing is 1 / (1 + label_trust * labels a class): more labels, less graph"
    )
    steps: int = Field(20, ge=1, le=1000, description="propagation steps of a round")
    balance: float = Field(0.5, ge=0, le=1, description="how far class masses are pulled to the estimated class prior")
    prior_noise: float = Field(0.1, gt=0, le=10, description="divergence at which half the class prior is believed")
    prior_strength: float = Field(
        0.5,
        gt=0,
        le=100,
        description="pull of the estimated class prior to the labels' frequencies, over labels a class",
    )

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in TRAINER_NAMES:
            raise PydanticCustomError(
                "trainer", f"no trainer has that name; expected one of {', '.join(TRAINER_NAMES)}"
            )
        return name


class VectorsConfig(_Stage):
    """How a row of numbers becomes bits, where rows are no texts."""

    additions: int | None = Field(
        None, ge=1, le=16384, description="signed additions of one column; none aims at 6 columns a bit"
    )
    quantiser: Literal["auto", "ternary", "sign"] = Field(
        "auto", description="how a sum becomes a bit; auto is sign for dense rows, ternary for sparse ones"
    )
    thresholds: Literal["auto", "zero", "mean", "spread"] = Field(
        "auto",
        description="what sums are compared with; auto is spread quantiles for dense rows, zero for sparse ones",
    )


class WordsConfig(_Stage):
    """The words that a model of texts carries codes of, where the budget has room for them."""

    dimensions: Literal[0, 8, 16, 32, 64, 128] | None = Field(
        None, description="signs of a code; 0 is no words; none is 64 with an encoder and 0 without"
    )
    most: int = Field(8000, ge=1, le=1 << 20, description="words at most, the most frequent ones")
    filters: int | None = Field(
        None, ge=0, le=128, description="of the convolution over words; 0 is none, none lets the budget choose"
    )
    width: int = Field(3, ge=1, le=5, description="neighbouring words that a filter sees")
    min_steps: int = Field(1500, ge=1, description="steps of the student beside words, at least: sums learn slowly")
    patience: int = Field(8, ge=1, description="student.patience beside words")


class ProjectionConfig(_Stage):
    """How a text becomes bits."""

    bits: int | None = Field(None, ge=16, le=16384, description="T x d; none lets the budget choose")
    functions: int = Field(64, ge=1, le=16384, description="T, the paper's projection functions")
    word_share: float = Field(0.5, ge=0, le=1, description="share of the bits that word features own")
    word_ngrams: tuple[int, int] = Field((1, 2), description="shortest and longest word n-gram")
    character_ngrams: tuple[int, int] = Field((3, 5), description="shortest and longest character n-gram")
    additions: int = Field(2, ge=1, le=16, description="signed additions of one feature")
    quantiser: Literal["ternary", "sign"] = Field("ternary", description="how a sum becomes a bit")
    vectors: VectorsConfig = VectorsConfig()
    words: WordsConfig = WordsConfig()


class LossConfig(_Stage):
    """Weights of the graph loss; a weight of zero switches the term off."""

    trainer: float = Field(1.0, ge=0, description="the joint trainer's own loss, under student.joint alone")
    distil: float = Field(1.0, ge=0, description="distillation from the trainer's distributions")
    gold: float = Field(0.1, ge=0, description="cross-entropy on the labelled rows")
    edges: float = Field(0.0, ge=0, description="consistency along trainer edges")
    hamming: float = Field(0.0, ge=0, description="consistency along Hamming edges")


class CorruptionConfig(_Stage):
    """Corrupted copies of the texts that the student sees beside them, one of each kind whose rate is above zero.

    By default they are there where rows are without a label: gold labels for every row lost by them.
    """

    typing: float | None = Field(
        None,
        ge=0,
        le=1,
        description="share of the characters that are mistyped; none is 0.1 with unlabelled rows, else 0",
    )
    truncation: float | None = Field(
        None, ge=0, le=1, description="share cut off at the end; none is 0.3 with unlabelled rows, else 0"
    )
    speech: float = Field(0.0, ge=0, le=1, description="share of the characters whose words are misheard")

    def rates(self, unlabelled: bool) -> dict[str, float]:
        """The kinds of copies to make and their rates, above zero; ``unlabelled``: whether a row has no label."""
        usual = _USUAL_CORRUPTION if unlabelled else {}
        given = {kind: usual.get(kind, 0.0) if rate is None else rate for kind, rate in self.model_dump().items()}
        return {kind: rate for kind, rate in given.items() if rate > 0}


_USUAL_CORRUPTION = {"typing": 0.1, "truncation": 0.3}


class StudentConfig(_Stage):
    """The projection model's head and its fit."""

    units: int | None = Field(
        None, ge=0, le=256, description="hidden units; 0 is a linear head, none lets the budget choose"
    )
    epochs: int = Field(15, ge=1, le=10_000, description="passes over the rows")
    min_steps: int = Field(600, ge=1, description="a small set is passed over more often, up to so many steps")
    batch: int = Field(256, ge=1, description="rows a step")
    rate: float = Field(2e-3, gt=0, description="peak learning rate of the one-cycle schedule")
    weight_decay: float = Field(0.01, ge=0, description="of AdamW")
    dropout: float = Field(0.5, ge=0, lt=1, description="on hidden units")
    sharpen: float = Field(2.0, ge=1, le=16, description="power of the trainer's distributions as targets")
    held_out: float = Field(0.1, ge=0, le=0.5, description="share of the rows that counts epochs and calibrates")
    held_out_rows: int = Field(2000, ge=0, description="at most so many rows are held out")
    patience: int = Field(3, ge=1, description="epochs without a better held-out loss before the first fit stops")
    loss: LossConfig = LossConfig()
    corruption: CorruptionConfig = CorruptionConfig()
    joint: bool = Field(False, description="train a neural trainer and the student together, in every step both")
    joint_units: int = Field(0, ge=0, le=4096, description="hidden units of that trainer; 0 is a linear one")
    anchor: float = Field(1.0, ge=0, description="in that trainer's loss, the pull to the propagated distributions")
    feedback: float = Field(
        1.0, ge=0, le=1, description="share of the distillation's gradient that reaches that trainer too"
    )

    def epochs_for(self, rows: int) -> int:
        """Passes over so many rows."""
        return max(self.epochs, self.min_steps // max(-(-rows // self.batch), 1))


class TrustConfig(_Stage):
    """How sure a model says it is, and when it gives no label."""

    left_out: int = Field(
        100, ge=0, description="labels that the trainer is asked about without seeing them, to calibrate it; 0 for none"
    )
    abstain: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="share of rows like the training's that get no label, so that foreign ones get none",
    )


class PackConfig(_Stage):
    """How weights are stored."""

    weight_bits: Literal[4, 8] | None = Field(None, description="bits of a weight; none lets the budget choose")


_CODE_DIMENSIONS = 64


class TrainConfig(_Stage):
    """Everything that decides a trained model beside its data."""

    seed: int = Field(0, ge=0, lt=1 << 32, description="of every random draw")
    budget: int = Field(256 * 1024, ge=1, le=MAX_BUDGET, description="bytes of the model file at most")
    encoder: str | None = Field(None, description="a sentence-transformers model, by name or folder, at training time")
    features: FeaturesConfig = FeaturesConfig()
    graph: GraphConfig = GraphConfig()
    trainer: TrainerConfig = TrainerConfig()
    projection: ProjectionConfig = ProjectionConfig()
    student: StudentConfig = StudentConfig()
    trust: TrustConfig = TrustConfig()
    pack: PackConfig = PackConfig()

    @field_validator("budget", mode="before")
    @classmethod
    def _parse_budget(cls, value: Any) -> Any:
        """A recipe and ``--set`` may write 64KB as the option does."""
        return parse_bytes(value) if isinstance(value, str) else value

    @property
    def code_dimensions(self) -> int:
        """Signs of a word's code; 0 for no words."""
        chosen = self.projection.words.dimensions
        return (_CODE_DIMENSIONS if self.encoder else 0) if chosen is None else chosen

    def flattened(self) -> dict[str, Any]:
        """Every setting by its dotted name, in the order above."""
        return dict(_flatten(self.model_dump(mode="json"), ""))


def load_config(
    recipe: str | Path | None = None, settings: Iterable[str] = (), given: Mapping[str, Any] | None = None
) -> TrainConfig:
    """Settings from a recipe, then ``stage.key=value`` strings, then given values; later ones win.

    Args:
        recipe: a TOML file whose tables are stages.
        settings: such as ``student.epochs=20``; a value is TOML, or a plain word for a string.
        given: values by dotted name; those that are None are left out.

    Raises:
        ConfigError: listing every unknown or wrong setting at once.
    """
    values = _read_recipe(Path(recipe)) if recipe is not None else {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or not name.strip():
            raise ConfigError(f"--set {setting}: expected stage.key=value, such as student.epochs=20")
        _place(values, name.strip(), _toml_value(text.strip()))
    for name, value in (given or {}).items():
        if value is not None:
            _place(values, name, value)
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError("settings: " + "; ".join(_problems(error))) from error


def _read_recipe(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; expected a TOML recipe") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from error


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _place(values: dict[str, Any], dotted: str, value: Any) -> None:
    *stages, key = dotted.split(".")
    for stage in stages:
        inner = values.setdefault(stage, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"{dotted}: {stage} is a setting, not a stage with settings of its own")
        values = inner
    values[key] = value


def _problems(error: ValidationError) -> Iterable[str]:
    for problem in error.errors():
        name = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            stage: Any = TrainConfig
            for part in problem["loc"][:-1]:
                stage = stage.model_fields[part].annotation
            yield f"{name} is unknown; expected one of {', '.join(stage.model_fields)}"
        elif problem["type"] == "value_error":
            yield f"{name}: {problem['ctx']['error']}"
        else:
            yield f"{name} is {problem['input']!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}"


def _flatten(values: Mapping[str, Any], prefix: str) -> Iterable[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def parse_bytes(text: str) -> int:
    """Bytes of a size such as ``64KB``, ``65536`` or ``1MB`` (1 KB is 1,024 bytes).

    Raises:
        ConfigError: for anything else, or a size outside 1 byte to 256 MB.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    unit = _UNITS.get(found[2].upper()) if found else None
    size = float(found[1]) * unit if found and unit else 0.0
    if not 1 <= size <= MAX_BUDGET:
        raise ConfigError(f"'{text}' is not a size; expected bytes such as 65536, 64KB or 1MB, at most 256MB")
    return int(size)
