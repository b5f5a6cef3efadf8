"""Tunes a sentence encoder to the trainer's beliefs, so that a second graph over its embeddings is a better one.

A linear layer over the embeddings learns the distributions, and the whole encoder learns with it (as in Howard & Ruder
2018, without their stages): AdamW, a one-cycle schedule without a warm restart, batches of texts of like length. The
layer starts at the means of the embeddings a class, and is thrown away at the end. Time O(epochs tokens parameters).
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from projgraph.config import TuningConfig
from projgraph.features.encoder import Encoder, readable
from projgraph.records import FloatArray, IndexArray, Progress, Texts

MOST_SECONDS = 900
"""What tuning may take on a CPU before it is left out, unless epochs are asked for."""
_OPERATIONS_A_SECOND = 7e10
"""Of two cores: measured with MiniLM, BANKING77's texts and batches of 32. Not measured anew on each machine, since the
decision must not depend on the machine."""
_OPERATIONS = 6
"""For each parameter and token: two forwards, four backwards."""
_CHARACTERS_A_TOKEN = 4.0
_MARKS = 2
"""Tokens around a text."""
_USUAL_EPOCHS = 2
_HEAD_RATE = 20
"""The new layer's learning rate over the encoder's."""
_HEAD_SCALE = 15.0
"""Norm of the layer's rows at the start."""
_WARM_UP = 0.1
_LARGEST_GRADIENT = 1.0
_BATCHES_OF_LIKE_LENGTH = 50
_TIMED = 20
"""Batches after which the rest is estimated."""


def tuning_epochs(encoder: Encoder, texts: Texts, config: TuningConfig) -> int:
    """Passes over the texts: what is asked for, or two, or none where a CPU would need more than fifteen minutes."""
    if config.epochs is not None:
        return config.epochs
    if encoder.model.device.type != "cpu":
        return _USUAL_EPOCHS
    tokens = len(texts.data) / _CHARACTERS_A_TOKEN + _MARKS * len(texts)
    seconds = _USUAL_EPOCHS * _OPERATIONS * tokens * _layer_parameters(encoder) / _OPERATIONS_A_SECOND
    return _USUAL_EPOCHS if seconds <= MOST_SECONDS else 0


def tune_encoder(
    encoder: Encoder,
    texts: Texts,
    embedded: FloatArray,
    distributions: FloatArray,
    weights: FloatArray,
    config: TuningConfig,
    epochs: int,
    seed: int,
    progress: Progress,
) -> Encoder:
    """A copy of an encoder that was tuned to tell the classes of n texts apart.

    Args:
        encoder: it stays as it is.
        texts: n texts.
        embedded: (n, d) the encoder's rows of them.
        distributions: (n, c) what to learn.
        weights: (n,) the trust in each.
        config: learning rate and batch.
        epochs: passes over the texts.
        seed: of the order of the texts and of dropout.
        progress: called with one line that says how long it will take.
    """
    device = encoder.model.device
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = copy.deepcopy(encoder.model)
        head = _start(embedded, distributions, weights).to(device)
        strings = readable(texts)
        generator = np.random.default_rng(seed)
        batches = [batch for _ in range(epochs) for batch in _batches(strings, config.batch, generator)]
        groups: list[dict[str, Any]] = [
            {"params": [parameter for parameter in model.parameters() if parameter.requires_grad]},
            {"params": list(head.parameters())},
        ]
        optimiser = torch.optim.AdamW(groups, lr=config.rate, weight_decay=0.01, fused=True)
        rates = [config.rate, config.rate * _HEAD_RATE]
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, rates, total_steps=len(batches) + 1, pct_start=_WARM_UP, anneal_strategy="linear"
        )
        model.train()
        for rows in _shown(batches, progress):
            features = model.preprocess([strings[row] for row in rows])
            features = {name: part.to(device) if torch.is_tensor(part) else part for name, part in features.items()}
            unit = torch.nn.functional.normalize(model(features)["sentence_embedding"], dim=1)
            losses = -(torch.from_numpy(distributions[rows]).to(device) * head(unit).log_softmax(1)).sum(1)
            optimiser.zero_grad(set_to_none=True)
            (torch.from_numpy(weights[rows]).to(device) * losses).mean().backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), _LARGEST_GRADIENT)
            optimiser.step()
            schedule.step()
        model.eval()
    return Encoder(model)


def _layer_parameters(encoder: Encoder) -> int:
    """Parameters that every token passes: all but the tables that are looked up."""
    tables = {id(module.weight) for module in encoder.model.modules() if isinstance(module, torch.nn.Embedding)}
    return sum(parameter.numel() for parameter in encoder.model.parameters() if id(parameter) not in tables)


def _start(embedded: FloatArray, distributions: FloatArray, weights: FloatArray) -> torch.nn.Linear:
    """The layer whose rows are the classes' mean embeddings, all of one norm."""
    means = distributions.T @ (embedded * weights[:, None])
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    head = torch.nn.Linear(embedded.shape[1], distributions.shape[1])
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(_HEAD_SCALE * means.astype(np.float32)))
        head.bias.zero_()
    return head


def _batches(strings: list[str], size: int, generator: np.random.Generator) -> list[IndexArray]:
    """All rows once, in random batches of texts of like length, which hold little padding."""
    lengths = np.array([len(string) for string in strings])
    order = generator.permutation(len(strings))
    stretches = np.array_split(order, -(-len(order) // (size * _BATCHES_OF_LIKE_LENGTH)))
    batches: list[IndexArray] = []
    for stretch in stretches:
        near = stretch[np.argsort(lengths[stretch], kind="stable")]
        batches += np.array_split(near, -(-len(near) // size))
    return [batches[place] for place in generator.permutation(len(batches))]


def _shown(batches: list[IndexArray], progress: Progress) -> Iterator[IndexArray]:
    """The batches, with a bar on a terminal, and an estimate of the time once some of them are done."""
    shown: Iterable[IndexArray] = batches
    if sys.stderr.isatty():
        shown = track(batches, description="Tuning the encoder", console=Console(stderr=True), transient=True)
    started = time.perf_counter()
    for number, rows in enumerate(shown):
        if number == _TIMED:
            minutes = (time.perf_counter() - started) / _TIMED * (len(batches) - _TIMED) / 60
            progress(f"encoder: tuning it takes about {minutes:.0f} min more")
        yield rows
