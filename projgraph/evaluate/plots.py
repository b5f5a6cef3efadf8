"""The report's charts as inline SVG in the page's own colours; the only module that imports matplotlib, when asked to.

matplotlib is given placeholder colours, which become CSS variables, so one chart serves the light and the dark page.
The same numbers give the same bytes: ids are salted with a constant and no date is written.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from projgraph.evaluate.bit_use import BitUse
from projgraph.evaluate.calibration import ReliabilityBin
from projgraph.records import IndexArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID = "#000001", "#000002", "#000003"
SERIES = ("#000011", "#000012", "#000013", "#000014", "#000015", "#000016")
_VARIABLES = {INK: "--ink", MUTED: "--muted", GRID: "--grid"} | {
    colour: f"--series-{place}" for place, colour in enumerate(SERIES, 1)
}
_RIGHT, _WRONG = (0.20, 0.50, 0.86), (0.92, 0.45, 0.16)
"""Red, green and blue of the heat map, which is an image and knows no CSS: readable on white and on black."""

_STYLE: Any = {  # matplotlib types its keys one by one
    "svg.hashsalt": "projgraph",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.labelsize": 9,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.8,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
}


def training_curves(history: Sequence[Mapping[str, float]]) -> str:
    """Losses on the left, shares such as accuracies on the right, each over the epochs; empty without an epoch.

    Args:
        history: one row an epoch. `epoch` is its number, `seconds` is left out, names with "accuracy" or "agreement"
            in them are shares, all others are losses.
    """
    names = [name for name in dict.fromkeys(key for row in history for key in row) if name not in ("epoch", "seconds")]
    shares = [name for name in names if "accuracy" in name or "agreement" in name]
    losses = [name for name in names if name not in shares]
    groups = [(title, group) for title, group in (("Loss", losses), ("Share right", shares)) if group]
    if not groups:
        return ""

    def draw(figure: Figure) -> None:
        from matplotlib.ticker import MaxNLocator

        for place, (title, group) in enumerate(groups, 1):
            axes = figure.add_subplot(1, len(groups), place)
            axes.set_title(title)
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            for name, colour in zip(group, SERIES * len(group), strict=False):
                rows = [(row.get("epoch", at), row[name]) for at, row in enumerate(history) if name in row]
                axes.plot(*zip(*rows, strict=True), color=colour, label=name, marker="o" if len(rows) == 1 else "")
            axes.legend(loc="best")

    return _svg(draw, 4.6 * len(groups), 2.9, "Training curves")


def reliability_diagram(table: Sequence[ReliabilityBin]) -> str:
    """Accuracy against confidence above, rows a bin below; the dashed line is a model as sure as it is right."""

    def draw(figure: Figure) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        filled = [row for row in table if row.n]
        width = 1 / len(table)
        upper.bar(
            [(row.lower + row.upper) / 2 for row in filled],
            [row.accuracy for row in filled],
            width * 0.9,
            color=SERIES[0],
        )
        upper.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=(0, (4, 3)))
        upper.set(ylim=(0, 1), xlim=(0, 1), ylabel="accuracy")
        lower.bar([(row.lower + row.upper) / 2 for row in table], [row.n for row in table], width * 0.9, color=MUTED)
        lower.set(xlabel="confidence", ylabel="rows")

    return _svg(draw, 4.6, 3.8, "Reliability diagram")


def bit_histogram(use: BitUse) -> str:
    """How many bits are non-zero in which share of the rows; of bits that always are, in which share positive."""
    always = bool((use.non_zero == 1).all())
    shares = use.positive if always else use.non_zero

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.hist(shares, bins=np.linspace(0, max(float(shares.max(initial=0)), 0.01), 41).tolist(), color=SERIES[0])
        axes.set(xlabel=f"share of rows in which the bit is {'positive' if always else 'non-zero'}", ylabel="bits")

    return _svg(draw, 4.6, 2.9, "Histogram of how often bits are used")


def confusion_map(confusion: IndexArray) -> str:
    """The (c, c) confusion as an image: each row by its own share, right answers blue, errors orange."""
    n_classes = len(confusion)
    pixels = np.empty((n_classes, n_classes, 4))
    pixels[..., :3] = _WRONG
    pixels[np.arange(n_classes), np.arange(n_classes), :3] = _RIGHT
    pixels[..., 3] = heat(confusion)

    def draw(figure: Figure) -> None:
        axes: Axes = figure.add_subplot()
        axes.imshow(np.round(pixels * 255).astype(np.uint8), interpolation="none")
        axes.grid(visible=False)
        axes.set(xlabel="predicted class", ylabel="true class")
        axes.spines[:].set_visible(True)

    return _svg(draw, 6.4, 6.4, "Heat map of the confusion")


def pareto_plot(
    sizes: Sequence[int], accuracies: Sequence[float], front: Sequence[int], others: Sequence[tuple[int, float]] = ()
) -> str:
    """Accuracy against bytes: every model a point, a line through those that no other beats in both.

    Args:
        sizes: bytes of the models.
        accuracies: shares, as many.
        front: places of the models on the line, smallest first.
        others: bytes and accuracies of models that were tried only.
    """

    def draw(figure: Figure) -> None:
        from matplotlib.ticker import FuncFormatter, NullFormatter

        axes = figure.add_subplot()
        if others:
            tried = zip(*others, strict=True)
            axes.plot(*tried, "o", color=GRID, markersize=4, label="tried", linestyle="", zorder=2)
        axes.step(
            [sizes[place] for place in front], [accuracies[place] for place in front], where="post", color=SERIES[0]
        )
        axes.plot(sizes, accuracies, "o", color=SERIES[1], label="exported", linestyle="", zorder=3)
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1024:g} KB"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
        axes.set(xlabel="bytes", ylabel="accuracy")
        axes.legend(loc="lower right")

    return _svg(draw, 6.4, 3.4, "Accuracy against bytes")


def heat(confusion: IndexArray) -> NDArray[np.float64]:
    """(c, c) strength of a cell's colour, 0 to 1: the root of its share of the row, so that 1 % can still be seen."""
    return np.asarray(np.sqrt(confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)), dtype=np.float64)


def _svg(draw: Callable[[Figure], None], width: float, height: float, title: str) -> str:
    """Draw on an empty figure of so many inches and return it as an element that takes the page's colours."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    file = io.StringIO()
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        figure.savefig(file, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'<g id="[^"]*"', "<g", text)  # they repeat from figure to figure, and nothing refers to them
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    return text.replace("<svg", f'<svg role="img" aria-label="{title}"', 1)
