"""Generates projgraph/core/pg_format.h from the table in format.py; it knows no model.

python -m projgraph.pack.header
"""

from __future__ import annotations

import struct
from pathlib import Path

from projgraph.atomic import atomic_write
from projgraph.pack import format as table

HEADER = Path(__file__).parents[1] / "core" / "pg_format.h"

STRUCTURES = {
    "HEADER": table.HEADER,
    "SECTION": table.SECTION,
    "PROJECTION": table.PROJECTION,
    "FAMILY": table.FAMILY,
    "VECTOR": table.VECTOR,
    "HEAD": table.HEAD,
    "WORDS": table.WORDS,
    "CONVOLUTION": table.CONVOLUTION,
    "HEADS": table.HEADS,
}
ENUMS = {
    "SECTION": table.Section,
    "BUNDLE": table.BundleSection,
    "QUANTISER": table.Quantiser,
    "INPUT": table.InputKind,
    "FAMILY": table.FamilyKind,
    "HEAD": table.HeadKind,
}


def _define(name: str, value: int) -> str:
    return f"#define {name} {value}u"


def _structure(name: str, fields: tuple[table.Field, ...]) -> str:
    """The byte offset of every field, and the size."""
    lines, offset = [], 0
    for field in fields:
        lines.append(f"#define PG_{name}_AT_{field.name.upper()} {offset}u /* {field.meaning} */")
        offset += struct.calcsize("<" + field.code)
    return "\n".join([*lines, _define(f"PG_{name}_SIZE", offset)])


def render() -> str:
    """The text of pg_format.h."""
    numbers = [
        "MAJOR",
        "MINOR",
        "ALIGNMENT",
        "CHECKED_FROM",
        "ROW_PADDING",
        "WEIGHTS_BITS",
        "WEIGHTS_SHARED",
        "WEIGHTS_SPARSE",
    ]
    numbers += ["CODEBOOK_SIZE", "SPARSE_BLOCK"]
    limits = sorted(name for name in vars(table) if name.startswith(("MAX_", "MIN_")))
    known = max(section for section in table.Section if section < 0x8000)
    parts = [
        "/* The .pgb model file as numbers; generated from projgraph/pack/format.py, do not edit:\n"
        " *     python -m projgraph.pack.header */",
        "#ifndef PG_FORMAT_H\n#define PG_FORMAT_H\n\n/* clang-format off */",
        _define("PG_MAGIC", int.from_bytes(table.MAGIC, "little")),
        _define("PG_BUNDLE_MAGIC", int.from_bytes(table.BUNDLE_MAGIC, "little")),
        "\n".join(_define(f"PG_{name}", getattr(table, name)) for name in numbers),
        "\n".join(_define(f"PG_{name}", getattr(table, name)) for name in limits),
        *(_structure(name, fields) for name, fields in STRUCTURES.items()),
        *(
            "\n".join(_define(f"PG_{name}_{member.name}", int(member)) for member in members)
            for name, members in ENUMS.items()
        ),
        _define("PG_SECTION_KINDS", known + 1),
        _define("PG_SECTION_OPTIONAL", 0x8000),
        "/* clang-format on */\n\n#endif",
    ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Write pg_format.h into the core."""
    atomic_write(HEADER, render().encode())


if __name__ == "__main__":
    main()
