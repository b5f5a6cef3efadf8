"""The parts that every report is made of, as HTML that asks nothing of any network; it knows no figure."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from importlib.resources import files
from string import Template

_VISIBLE = {code: chr(0x2400 + code) for code in range(32) if code not in (9, 10, 13)} | {0x7F: "\u2421"}
"""Control characters, which HTML cannot hold, as the pictures Unicode has of them."""


def page(title: str, subtitle: str, sections: Sequence[str]) -> bytes:
    """A page of sections, in UTF-8."""
    template = Template(files("projgraph.evaluate").joinpath("report.html").read_text("utf-8"))
    return template.substitute(title=text(title), subtitle=text(subtitle), sections="\n".join(sections)).encode()


def section(title: str, body: str) -> str:
    """A heading and what stands below it."""
    return f"<section><h2>{text(title)}</h2>\n{body}\n</section>"


def scroll(body: str) -> str:
    """A part that may be wider than the page."""
    return f'<div class="scroll">{body}</div>'


def table(head: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> str:
    """A table; a heading that ends in # makes its column one of numbers, one called text a column of running text."""
    kinds = ["number" if name.endswith("#") else "text" if name == "text" else "name" for name in head]
    heading = "".join(
        f'<th class="{kind}">{text(name.removesuffix("#").strip())}</th>'
        for name, kind in zip(head, kinds, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(f'<td class="{kind}">{_cell(value)}</td>' for value, kind in zip(row, kinds, strict=True))
        + "</tr>"
        for row in rows
    )
    title = f"<caption>{text(caption)}</caption>" if caption else ""
    shown = f"<thead><tr>{heading}</tr></thead>" if any(name.strip("#") for name in head) else ""
    return f"<table>{title}{shown}<tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"<bdi>{text(str(value))}</bdi>"  # a text that runs from right to left must not turn its neighbours around


def text(given: str) -> str:
    """Any text as HTML shows it."""
    return html.escape(given.encode("utf-8", "replace").decode().translate(_VISIBLE))


def percent(share: float) -> str:
    """A share in per cent, to a tenth."""
    return f"{100 * share:.1f} %"


def size(n_bytes: int) -> str:
    """Bytes in a unit that keeps the number short."""
    return (
        f"{n_bytes} B"
        if n_bytes < 1000
        else f"{n_bytes / 1024:.0f} KiB"
        if n_bytes < 1 << 20
        else f"{n_bytes / (1 << 20):.1f} MiB"
    )
