"""The binding of the training kernels; only projgraph.kernels imports it."""

from typing import Any, TypeAlias

from numpy.typing import NDArray

Buffer: TypeAlias = NDArray[Any]

def runs(path: int, /) -> bool: ...
def hamming_blocks(packed: Buffer, rows: int, size: int, names: Buffer, blocks: Buffer, /) -> None: ...
def hamming_pairs(
    blocks: Buffer,
    names: Buffer,
    best: Buffer,
    limits: Buffer,
    rows: int,
    words: int,
    count: int,
    first: int,
    last: int,
    other_first: int,
    other_last: int,
    path: int,
    /,
) -> None: ...
def hamming_search(
    blocks: Buffer,
    names: Buffer,
    best: Buffer,
    limits: Buffer,
    queries: int,
    row_blocks: Buffer,
    row_names: Buffer,
    rows: int,
    words: int,
    count: int,
    first: int,
    last: int,
    path: int,
    /,
) -> None: ...
def propagate(
    starts: Buffer,
    ends: Buffer,
    weights: Buffer,
    rows: int,
    count: int,
    beliefs: Buffer,
    share: Buffer,
    anchor: Buffer,
    columns: int,
    start: int,
    stop: int,
    out: Buffer,
    /,
) -> None: ...
def expand(
    starts: Buffer,
    ends: Buffer,
    weights: Buffer,
    rows: int,
    count: int,
    labels: Buffer,
    probabilities: Buffer,
    rest: Buffer,
    top: int,
    classes: int,
    seeds: Buffer,
    seed: float,
    edge: float,
    uniform: float,
    start: int,
    stop: int,
    next_labels: Buffer,
    next_probabilities: Buffer,
    next_rest: Buffer,
    scratch: Buffer,
    /,
) -> float: ...
