"""A model as an ONNX graph of standard operators that gives the core's integers; it knows no training and no file.

The graph begins where hashing ends. A model of texts takes what the core makes of them, a model of vectors the rows
themselves:

| input | | model of |
|---|---|---|
| `bits` | (n, n_bits) int8 of -1, 0 and +1 | texts |
| `words` | (n, w, D) int8: each word's code times its weight; zeros where it is unknown or missing | words |
| `word_counts` | (n,) int64: words of each text, known or not | words |
| `rows` | (n, columns) float32 | vectors |

and gives `scores` (n, classes) int32, `labels` (n,) int64 (-1 where no score reaches the threshold) and
`probabilities` (n, classes) float32. Class names stand in the metadata, JSON under `classes`.

Every sum of products is an integer below 2**24 in size, so a float32 product is exact in any order; everything else is
integers of 32 or 64 bits, and the root of one below 2**44 in double. MatMulInteger would do as well by its definition,
but runtimes saturate its 16-bit sums on processors without VNNI. A backend of less than float32 (half, TF32) is not
exact. Hashing a text is no standard operator and stays outside.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from projgraph import native
from projgraph.errors import ConfigError, InputError
from projgraph.pack.convolution import QuantisedConvolution
from projgraph.pack.format import MAX_VALUES, Quantiser
from projgraph.pack.layer import MAX_ACTIVATION, QuantisedLayer
from projgraph.pack.quantised import QuantisedModel
from projgraph.pack.vector import VectorSpec, read_projection
from projgraph.pack.words import LARGEST_SUM, WordTable
from projgraph.records import Texts, Vectors

OPSET = 18
IR_VERSION = 8
"""With the opset, what onnxruntime 1.14 of 2023 reads."""
ABOUT = "Written by projgraph export: bits, words or rows to integer scores, labels and probabilities."
_ROWS = 1024


def onnx_bytes(model: QuantisedModel, provenance: Mapping[str, Any]) -> bytes:
    """The bytes of the ONNX file; the same model gives the same bytes.

    Raises:
        ConfigError: the package onnx is not installed.
        InputError: the model takes vectors of more columns than a dense row may have.
    """
    graph = _Graph()
    spec = read_projection(model.projection)
    code_sums = filters = ""
    if isinstance(spec, VectorSpec):
        bits = _vector_bits(graph, model.projection, spec)
    else:
        bits = graph.cast(graph.input("bits", np.int8, ["n", spec.n_bits]), np.float32)
    if model.words is not None:
        words = graph.input("words", np.int8, ["n", "w", model.words.dimensions])
        counts = graph.input("word_counts", np.int64, ["n"])
        code_sums = _code_sums(graph, words, model.norm_shift)
        if model.convolution is not None:
            filters = _filters(graph, words, counts, model.convolution, model.words.dimensions)
    inputs = graph.joined(bits, code_sums)
    if model.hidden is not None:
        inputs = _rectified(graph, _sums(graph, "hidden", inputs, model.hidden), model.hidden_shift)
    scores = _sums(graph, "output", graph.joined(inputs, filters), model.output)
    classes = len(model.classes)
    graph.output("scores", scores, np.int32, ["n", classes])
    graph.output("labels", _labels(graph, scores, model.threshold), np.int64, ["n"])
    graph.output("probabilities", _probabilities(graph, scores, model.scale), np.float32, ["n", classes])
    return graph.to_bytes({"classes": list(model.classes), "provenance": dict(provenance)})


def onnx_inputs(model: QuantisedModel, texts: Texts) -> dict[str, NDArray[Any]]:
    """What the graph of a model takes for n texts, by the core: ``session.run(None, onnx_inputs(model, texts))``.

    Raises:
        InputError: the model takes vectors: give their rows as ``rows``.
    """
    inputs: dict[str, NDArray[Any]] = {"bits": native.project(model.projection, texts).values()}
    if model.words is not None:
        fingerprints, offsets = native.word_fingerprints(model.projection, texts)
        counts = np.diff(offsets)
        inputs["words"] = _padded(model.words, model.words.rows_of(fingerprints), counts)
        inputs["word_counts"] = counts
    return inputs


def _padded(words: WordTable, rows: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int8]:
    """(n, w, D) weighted codes of texts whose words' rows stand one after the other; w is 1 at least."""
    codes = words.codes[rows] * np.where(rows >= 0, words.weights[rows], 0).astype(np.int8)[:, None]
    padded = np.zeros((len(counts), max(1, int(counts.max(initial=0))), words.dimensions), dtype=np.int8)
    padded[np.arange(padded.shape[1]) < counts[:, None]] = codes
    return padded


class _Graph:
    """The nodes and constants of an ONNX graph in the order of their use."""

    def __init__(self) -> None:
        try:
            import onnx
        except ImportError as error:
            raise ConfigError(
                "the target onnx needs the package onnx, which is not installed: pip install 'projgraph[onnx]'"
            ) from error
        self._onnx = onnx
        self._nodes: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._constants: list[Any] = []

    def input(self, name: str, dtype: type[np.generic], shape: list[str | int]) -> str:
        self._inputs.append(self._onnx.helper.make_tensor_value_info(name, self._type(dtype), shape))
        return name

    def output(self, name: str, value: str, dtype: type[np.generic], shape: list[str | int]) -> None:
        self._nodes.append(self._onnx.helper.make_node("Identity", [value], [name]))
        self._outputs.append(self._onnx.helper.make_tensor_value_info(name, self._type(dtype), shape))

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """A node's only output."""
        name = f"{operator}_{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def constant(self, value: Any, dtype: type[np.generic], name: str = "") -> str:
        name = name or f"constant_{len(self._constants)}"
        self._constants.append(self._onnx.numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    def cast(self, value: str, dtype: type[np.generic]) -> str:
        return self.add("Cast", value, to=self._type(dtype))

    def joined(self, first: str, second: str) -> str:
        """Columns of two matrices side by side; the second may be missing."""
        return self.add("Concat", first, second, axis=1) if second else first

    def sum(self, value: str, axis: int) -> str:
        return self.add("ReduceSum", value, self.constant([axis], np.int64), keepdims=0)

    def maximum(self, value: str, axis: int) -> str:
        return self.add("ReduceMax", value, self.constant([axis], np.int64), keepdims=0)

    def to_bytes(self, metadata: Mapping[str, Any]) -> bytes:
        helper = self._onnx.helper
        graph = helper.make_graph(self._nodes, "projgraph", self._inputs, self._outputs, self._constants)
        model = helper.make_model(graph, producer_name="projgraph", doc_string=ABOUT, ir_version=IR_VERSION)
        del model.opset_import[:]
        model.opset_import.append(helper.make_opsetid("", OPSET))
        helper.set_model_props(
            model, {name: json.dumps(value, ensure_ascii=False, sort_keys=True) for name, value in metadata.items()}
        )
        self._onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString(deterministic=True))

    def _type(self, dtype: type[np.generic]) -> int:
        return int(self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


def _sums(graph: _Graph, name: str, inputs: str, layer: QuantisedLayer) -> str:
    """(n, outputs) int32 of a layer: (inputs @ weights) * multipliers + bias."""
    weights = graph.cast(graph.constant(layer.weights, np.int8, f"{name}_weights"), np.float32)
    products = graph.cast(graph.add("MatMul", inputs, weights), np.int32)
    return _finished(graph, name, products, layer)


def _finished(graph: _Graph, name: str, products: str, layer: QuantisedLayer) -> str:
    multipliers = graph.constant(layer.multipliers, np.int32, f"{name}_multipliers")
    bias = graph.constant(layer.bias, np.int32, f"{name}_bias")
    return graph.add("Add", graph.add("Mul", products, multipliers), bias)


def _rectified(graph: _Graph, sums: str, shift: int) -> str:
    """min(max(sums, 0) >> shift, 127) as float32; of what is not negative the quotient is the shift."""
    positive = graph.add("Max", sums, graph.constant(0, np.int32))
    shifted = graph.add("Div", positive, graph.constant(1 << shift, np.int32))
    return graph.cast(graph.add("Min", shifted, graph.constant(MAX_ACTIVATION, np.int32)), np.float32)


def _labels(graph: _Graph, scores: str, threshold: int) -> str:
    """(n,) the first of the largest scores, or -1."""
    first = graph.add("ArgMax", scores, axis=1, keepdims=0)
    if not threshold:
        return first
    reaches = graph.add("GreaterOrEqual", graph.maximum(scores, 1), graph.constant(threshold, np.int32))
    return graph.add("Where", reaches, first, graph.constant(-1, np.int64))


def _probabilities(graph: _Graph, scores: str, scale: float) -> str:
    logits = graph.add("Mul", graph.cast(scores, np.float64), graph.constant(scale, np.float64))
    return graph.cast(graph.add("Softmax", logits, axis=1), np.float32)


def _code_sums(graph: _Graph, words: str, norm_shift: int) -> str:
    """(n, D) float32 of the normalised code sums, see `projgraph.pack.words`.

    The number to be divided is made positive first, as in the core, so that the quotient is the shift.
    """
    whole = graph.cast(words, np.int64)
    totals = graph.sum(whole, 1)
    weights = graph.add("Gather", whole, graph.constant([0], np.int64), axis=2)  # a code is -1 and +1 times its weight
    squares = graph.sum(graph.add("Mul", weights, weights), 1)
    known = graph.add("Max", squares, graph.constant(1, np.int64))
    quotient = graph.add("Div", graph.constant(1 << 2 * (16 + norm_shift), np.int64), known)
    root = graph.cast(graph.add("Floor", graph.add("Sqrt", graph.cast(quotient, np.float64))), np.int64)
    # Without known words totals are 0, and so is the result, whatever the root is.
    shifted = graph.add("Add", graph.add("Mul", totals, root), graph.constant((1 << 37) + (1 << 15), np.int64))
    scaled = graph.add("Div", shifted, graph.constant(1 << 16, np.int64))
    centred = graph.add("Sub", scaled, graph.constant(1 << 21, np.int64))
    cut = graph.add("Min", centred, graph.constant(LARGEST_SUM, np.int64))
    return graph.cast(graph.add("Max", cut, graph.constant(-LARGEST_SUM, np.int64)), np.float32)


def _filters(graph: _Graph, words: str, counts: str, convolution: QuantisedConvolution, dimensions: int) -> str:
    """(n, filters) float32 activations: the largest of a text's window sums, rectified.

    Window t of a text begins at its word t - (width - 1); word p is the j-th of window p + width - 1 - j. Windows
    behind the last one of a text, which are there since another text is longer, do not count.
    """
    width, codes, sums = convolution.width, graph.cast(words, np.float32), ""
    for place in range(width):
        part = convolution.layer.weights[place * dimensions : (place + 1) * dimensions]
        weights = graph.cast(graph.constant(part, np.int8, f"convolution_weights_{place}"), np.float32)
        padding = graph.constant([0, width - 1 - place, 0, 0, place, 0], np.int64)
        placed = graph.add("Pad", graph.add("MatMul", codes, weights), padding)
        sums = graph.add("Add", sums, placed) if sums else placed
    windows = graph.add("Gather", graph.add("Shape", sums), graph.constant(1, np.int64))
    numbers = graph.add("Range", graph.constant(0, np.int64), windows, graph.constant(1, np.int64))
    ends = graph.add("Add", counts, graph.constant(width - 1, np.int64))
    inside = graph.add("Less", numbers, graph.add("Unsqueeze", ends, graph.constant([1], np.int64)))
    counted = graph.add("Unsqueeze", inside, graph.constant([2], np.int64))
    largest = graph.maximum(graph.add("Where", counted, sums, graph.constant(-(1 << 24), np.float32)), 1)
    finished = _finished(graph, "convolution", graph.cast(largest, np.int32), convolution.layer)
    activations = _rectified(graph, finished, convolution.shift)
    has_words = graph.add(
        "Greater", graph.add("Unsqueeze", counts, graph.constant([1], np.int64)), graph.constant(0, np.int64)
    )
    return graph.add("Where", has_words, activations, graph.constant(0, np.float32))


def _vector_bits(graph: _Graph, projection: bytes, spec: VectorSpec) -> str:
    """(n, n_bits) float32 of rows: rounded values, each added with its signs to its sums, compared with thresholds."""
    if spec.columns > MAX_VALUES:
        raise InputError(
            f"the model takes vectors of {spec.columns} columns; expected at most {MAX_VALUES} for the target onnx, "
            "whose rows are dense: export the target c or wasm, which take sparse ones"
        )
    columns, bits, signs = _touches(projection, spec)
    rows = graph.cast(graph.input("rows", np.float32, ["n", spec.columns]), np.float64)
    rounded = graph.add("Round", graph.add("Mul", rows, graph.constant(spec.scale, np.float64)))
    low, high = (graph.constant(limit, np.float64) for limit in (-32768, 32767))
    values = graph.cast(graph.add("Clip", rounded, low, high), np.int32)
    terms = graph.add("Gather", values, graph.constant(columns, np.int64, "columns"), axis=1)
    signed = graph.add("Mul", terms, graph.cast(graph.constant(signs, np.int8, "signs"), np.int32))
    n = graph.add("Gather", graph.add("Shape", rows), graph.constant([0], np.int64))
    places = graph.add("Expand", graph.constant(bits[None], np.int64, "places"), graph.add("Shape", signed))
    shape = graph.add("Concat", n, graph.constant([spec.n_bits], np.int64), axis=0)
    zeros = graph.add("Expand", graph.constant([[0]], np.int32), shape)
    sums = graph.add("ScatterElements", zeros, places, signed, axis=1, reduction="add")
    threshold = 0 if spec.thresholds is None else spec.thresholds
    thresholds = graph.constant(threshold, np.int32, "thresholds")
    above = graph.add("Greater", sums, thresholds)
    one, zero, minus = (graph.constant(value, np.float32) for value in (1, 0, -1))
    if spec.quantiser == Quantiser.SIGN:
        return graph.add("Where", above, one, minus)
    return graph.add("Where", above, one, graph.add("Where", graph.add("Less", sums, thresholds), minus, zero))


def _touches(projection: bytes, spec: VectorSpec) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int8]]:
    """(k,) columns, bits and signs of all additions, as the core makes them of rows with a single value each."""
    found: list[tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int8]]] = []
    one = np.float32(1.0 / spec.scale)
    for first in range(0, spec.columns, _ROWS):
        columns = np.arange(first, min(first + _ROWS, spec.columns), dtype=np.int32)
        indptr = np.arange(len(columns) + 1, dtype=np.int64)
        values = np.full(len(columns), one, dtype=np.float32)
        sums = native.vector_sums(projection, Vectors(values, spec.columns, columns, indptr))
        rows, bits = np.nonzero(sums)
        found.append((columns[rows], bits.astype(np.int64), sums[rows, bits].astype(np.int8)))
    of_columns, of_bits, of_signs = zip(*found, strict=True)
    return np.concatenate(of_columns), np.concatenate(of_bits), np.concatenate(of_signs)
