"""The settings of the trainers, from few labels to a distribution for every row; they know no trainer's code."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from projgraph.config.stage import Stage

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


class ClassicConfig(Stage):
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


class NetworkConfig(Stage):
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


class NeuralConfig(Stage):
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


class FeatureSmoothingConfig(Stage):
    """Features, then predictions, smoothed over edges; chosen on the validation rows of Cora and Citeseer."""

    feature_teleport: float = Field(0.2, ge=0, le=1, description="share of the own features kept; 1 smooths nothing")
    label_teleport: float = Field(0.1, ge=0, le=1, description="share of the own prediction kept; 1 smooths nothing")
    steps: int = Field(10, ge=0, le=1000, description="propagation steps of each smoothing")
    penalty: float = Field(1e-3, ge=0, description="weight of the squared norm of the regression's coefficients")
    rounds: int = Field(2, ge=0, le=20, description="rounds of self-training")
    later_penalty: float = Field(1e-4, ge=0, description="the same in rounds of self-training, which see every row")


class TrainerConfig(Stage):
    """Which trainer, and its settings; those that stand here are of prior + propagation + self-training."""

    name: str = Field("prior_smoothing", description="the trainer, as in projgraph.trainers.registry")
    classic: ClassicConfig = ClassicConfig()
    neural: NeuralConfig = NeuralConfig()
    feature_smoothing: FeatureSmoothingConfig = FeatureSmoothingConfig()
    rounds: int = Field(3, ge=0, le=20, description="rounds of self-training")
    label_trust: float = Field(
        0.1,
        ge=0,
        le=100,
        description="smoothing is 1 / (1 + label_trust * k^e), k labels a class, e from 1 to 1.5",
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
