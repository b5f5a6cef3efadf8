"""The entry of the `projgraph` command: predictions take a short cut that imports little, the rest is typer."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; its exit status is 0 for good, 2 for wrong input or usage."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["predict"]:
        from projgraph.predict import run

        sys.exit(run(arguments[1:]))
    from projgraph.cli import app

    app(prog_name="projgraph")


if __name__ == "__main__":
    main()
