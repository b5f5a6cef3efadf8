"""Kept runs to a bundle of models that share a hidden layer: reads, trains, writes, tells what each head is worth."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from projgraph.atomic import atomic_write, check_target
from projgraph.batch.manifest import stem
from projgraph.config import change_config
from projgraph.errors import ConfigError
from projgraph.lesson import read_run
from projgraph.pack.bundle import bundle_bytes, shared_kinds
from projgraph.pack.write import model_bytes
from projgraph.records import Progress


def bundle_runs(paths: Sequence[Path], out: Path, settings: Sequence[str], progress: Progress) -> dict[str, Any]:
    """Fit models of several runs that share bits and a hidden layer, and write them as one bundle.

    Args:
        paths: kept runs; a head is called by its file's stem.
        out: the bundle.
        settings: ``stage.key=value`` that change those of the first run, which are everybody's.
        progress: called with one line before each stage.

    Returns:
        Heads, bytes, distinct sections of each kind, and the accuracy of each head on its held-out rows.

    Raises:
        InputError: a file is no run.
        ConfigError: settings are wrong, two runs have one name, or there are fewer than two.
        OutputError: the bundle cannot be written.
    """
    started = time.time()
    check_target(out, paths)
    names = [stem(path) for path in paths]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ConfigError(f"several runs are called {', '.join(repeated)}; expected files of different names")
    runs = {name: read_run(path) for name, path in zip(names, paths, strict=True)}
    config = change_config(next(iter(runs.values())).config, settings)
    from projgraph.shared_trunk import train_shared  # brings torch: after the files have been read

    heads = train_shared(runs, config, progress)
    data = bundle_bytes({name: model_bytes(head.model, head.provenance) for name, head in heads.items()})
    atomic_write(out, data)
    accuracies = [head.held_out_accuracy for head in heads.values() if head.held_out_accuracy is not None]
    return {
        "heads": len(heads),
        "bytes": len(data),
        "sections": shared_kinds(data),
        "held_out_accuracy": sum(accuracies) / len(accuracies) if accuracies else None,
        "held_out_accuracies": {name: head.held_out_accuracy for name, head in heads.items()},
        "seconds": round(time.time() - started, 3),
    }
