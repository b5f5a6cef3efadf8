"""What is in a bundle: its heads, and which bytes each has for itself or shares; it changes nothing."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from projgraph.errors import ModelFileError
from projgraph.pack.bundle import bundle_heads, read_bundle
from projgraph.pack.format import BUNDLE_MAGIC
from projgraph.pack.sections import model_file_bytes
from projgraph.printable import printable

Account = dict[str, Any]


def is_bundle(path: str | os.PathLike[str]) -> bool:
    """Whether a file says that it is a bundle.

    Raises:
        InputError: there is no such file, or it cannot be read.
        ModelFileError: it is longer than any model.
    """
    return model_file_bytes(path)[0].startswith(BUNDLE_MAGIC)


def describe_bundle(path: str | os.PathLike[str] | bytes) -> Account:
    """The heads of a bundle in values that JSON can hold.

    The keys: ``bytes``; ``bits`` of the projection that all heads have; ``heads``, each with its name, number of
    classes, hidden units, the name of its weights over the bits, the bits of its output layer's, the bytes of the
    sections that it alone has (``own``) and of those that others have too (``shared``), and its provenance.

    Raises:
        InputError: there is no such file, or it cannot be read.
        ModelFileError: the bytes are no bundle, or a head is no model.
    """
    data, name = model_file_bytes(path)
    models = read_bundle(path)
    try:
        heads = bundle_heads(data)
    except ModelFileError as error:
        raise ModelFileError(f"{name}: {error}") from error
    users = Counter(entry.offset for head in heads for entry in head.sections.values())
    rows = []
    for head in heads:
        model, provenance = models[head.name]
        lengths = [(users[entry.offset], entry.length) for entry in head.sections.values()]
        rows.append(
            {
                "name": head.name,
                "classes": len(model.classes),
                "units": model.units,
                "weights": model.over_bits.format_name,
                "weight_bits": model.output.weight_bits,
                "own": sum(length for count, length in lengths if count == 1),
                "shared": sum(length for count, length in lengths if count > 1),
                "provenance": provenance,
            }
        )
    return {"path": name, "bytes": len(data), "bits": next(iter(models.values()))[0].n_bits, "heads": rows}


def render_bundle(account: Account) -> list[RenderableType]:
    """An account from ``describe_bundle`` as a line and a table for a terminal."""
    table = Table("head")
    table.add_column("weights")
    for heading in ("classes", "units", "own bytes", "shared bytes"):
        table.add_column(heading, justify="right")
    for head in account["heads"]:
        numbers = (head[key] for key in ("classes", "units", "own", "shared"))
        table.add_row(Text(printable(head["name"])), head["weights"], *(f"{number:,}" for number in numbers))
    heads = len(account["heads"])
    title = f"{printable(account['path'])}: {account['bytes']:,} bytes, {heads:,} heads, {account['bits']:,} bits"
    return [Text(title), table]
