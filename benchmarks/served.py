"""Trained methods as a program serves them: one process loads one of them and answers; it trains nothing.

    python benchmarks/served.py NAME FOLDER TEXTS.json [--marker MARKER.so]

prints one JSON object: nanoseconds of single calls, of a text in batches and of the core, peak memory, and the answers.
With a marker, a library that switches callgrind on and off, it measures nothing and leaves the counting to callgrind.
Only what a method needs to answer is imported, so that the peak memory is its own.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import pickle
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CALLS, SLOW_CALLS = 21, 5
"""Of each text; the figure of a text is the median over them. Slow methods take fewer, so that all take minutes."""
SLOW_NANOSECONDS = 200_000
BATCHES = 7
BATCH_TEXTS = 16_384
"""Of a batch, texts again and again: enough for every processor."""
PASSES = 5
"""Over all texts in C; the least of a text counts, so that what the machine does meanwhile does not."""
COUNTED = 40
COUNTED_BATCH = 400
WARM = 20
STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Served:
    """A loaded method.

    Attributes:
        one: the class of a text.
        many: the classes of texts, in one call.
        core: the same without Python around it, where there is such a thing.
        portable: that as a device runs it, without this processor's vectors.
    """

    one: Callable[[str], str]
    many: Callable[[Sequence[str]], Sequence[str]]
    core: Any = None
    portable: Any = None


def load_projgraph(folder: Path) -> Served:
    """The light runtime."""
    import projgraph
    from projgraph.native import NativeModel

    path = folder / "model.pgb"
    model = projgraph.load(path)
    portable = NativeModel(path.read_bytes(), vectors=0)
    return Served(lambda text: model.predict(text)[0], lambda texts: model.predict(list(texts)), model.native, portable)


def load_fasttext(folder: Path) -> Served:
    """Either file of fastText."""
    import fasttext

    (path,) = (path for path in folder.iterdir() if path.suffix in (".bin", ".ftz"))
    # Its own function warns, and so writes to standard error, that there is no longer a warning.
    model = fasttext.FastText._FastText(model_path=str(path))
    classes = json.loads((folder / "classes.json").read_text(encoding="utf-8"))

    def many(texts: Sequence[str]) -> list[str]:
        labels, _ = model.f.multilinePredict([fasttext_line(text) + "\n" for text in texts], 1, 0.0, "replace")
        return [classes[int(best[0].removeprefix("__label__"))] if best else classes[0] for best in labels]

    return Served(fasttext_answer(model, classes), many)


def fasttext_answer(model: Any, classes: list[str]) -> Callable[[str], str]:
    """The class of a text by a model whose labels are numbers of classes."""

    def one(text: str) -> str:
        # The binding's own predict fails with NumPy 2, what it calls does not.
        best = model.f.predict(fasttext_line(text) + "\n", 1, 0.0, "replace")
        return classes[int(best[0][1].removeprefix("__label__"))] if best else classes[0]

    return one


def fasttext_line(text: str) -> str:
    """A text as fastText is trained on it."""
    return " ".join(text.lower().split())


def load_tfidf(folder: Path) -> Served:
    """A pickled pipeline."""
    model = pickle.loads((folder / "model.pickle").read_bytes())
    return Served(lambda text: str(model.predict([text])[0]), lambda texts: model.predict(list(texts)).tolist())


def load_model2vec(folder: Path) -> Served:
    """Static vectors, and a pickled regression."""
    embed = static_embedding(folder / "vectors")
    model = pickle.loads((folder / "head.pickle").read_bytes())
    return Served(
        lambda text: str(model.predict(embed([text]))[0]), lambda texts: model.predict(embed(list(texts))).tolist()
    )


def static_embedding(folder: Path) -> Callable[[Sequence[str]], Any]:
    """Unit rows of texts by the static vectors of a folder."""
    import numpy as np
    from model2vec import StaticModel

    model = StaticModel.from_pretrained(str(folder))

    def embed(texts: Sequence[str]) -> Any:
        vectors = np.asarray(model.encode(list(texts)), dtype=np.float32)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)

    return embed


LOADERS = {
    "projgraph": load_projgraph,
    "projgraph_bits": load_projgraph,
    "fasttext_ftz": load_fasttext,
    "fasttext": load_fasttext,
    "tfidf": load_tfidf,
    "model2vec": load_model2vec,
}


def measure(served: Served, texts: Sequence[str]) -> dict[str, Any]:
    """Answers, peak memory, and nanoseconds: by text of single calls, a text of batches on one processor and on all.

    Raises:
        SystemExit: a batch has other answers than single calls.
    """
    start = time.perf_counter_ns()
    answers = [served.one(text) for text in texts]
    repeats = CALLS if time.perf_counter_ns() - start < SLOW_NANOSECONDS * len(texts) else SLOW_CALLS
    peak = peak_kilobytes()
    singles = []
    for text in texts:
        calls = []
        for _ in range(repeats):
            start = time.perf_counter_ns()
            served.one(text)
            calls.append(time.perf_counter_ns() - start)
        singles.append(statistics.median(calls))
    if list(served.many(texts)) != answers:
        raise SystemExit("a batch is answered in another way than one text after the other")
    many = list(texts) * -(-BATCH_TEXTS // len(texts))
    with one_processor():
        busy = _batches(served, many, time.process_time_ns)
    return {
        "answers": answers,
        "peak_kb": peak,
        "single_ns": singles,
        "batch_ns": busy,
        "batch_clock_ns": _batches(served, many, time.perf_counter_ns),
    }


@contextlib.contextmanager
def one_processor() -> Iterator[None]:
    """This process on one processor alone, so that two which share a core do not slow each other down."""
    all_of_them = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(all_of_them)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, all_of_them)


def _batches(served: Served, many: Sequence[str], now: Callable[[], int]) -> float:
    """Nanoseconds a text, the median of batches."""
    passed = []
    for _ in range(BATCHES):
        start = now()
        served.many(many)
        passed.append((now() - start) / len(many))
    return statistics.median(passed)


def core_nanoseconds(core: Any, texts: Sequence[str]) -> list[float]:
    """Of each text the least over passes of the median over calls from C."""
    import numpy as np

    from projgraph.records import Texts

    rows = Texts.from_strings(texts)
    passes = [np.median(core.time_calls(rows, CALLS), axis=1) for _ in range(PASSES)]
    least: list[float] = np.min(passes, axis=0).tolist()
    return least


def peak_kilobytes() -> int:
    """Of this program alone: what the system keeps for its parent's call of it is not in there."""
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1])


def count(served: Served, texts: Sequence[str], marker: Any) -> None:
    """Single calls, a batch and the core's calls, each between marks: callgrind writes a file of each."""
    few, some = texts[:COUNTED], list(texts[:COUNTED_BATCH])
    for text in texts[-WARM:]:
        served.one(text)
    marker.start()
    for text in few:
        served.one(text)
    marker.stop()
    served.many(some)
    marker.start()
    served.many(some)
    marker.stop()
    if served.core is not None:
        from projgraph.records import Texts

        rows = Texts.from_strings(some)
        served.core.time_calls(rows, 1)
        marker.start()
        served.core.time_calls(rows, 1)
        marker.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=LOADERS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--marker", type=Path)
    options = parser.parse_args()
    texts = json.loads(options.texts.read_text(encoding="utf-8"))
    served = LOADERS[options.name](options.folder)
    if options.marker:
        count(served, texts, ctypes.CDLL(str(options.marker)))
        return
    figures = measure(served, texts)
    if served.core is not None:
        figures |= {"core_ns": core_nanoseconds(served.core, texts), "scratch_bytes": served.core.scratch_bytes}
        figures |= {"portable_ns": core_nanoseconds(served.portable, texts)}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
