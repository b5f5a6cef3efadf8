"""The entry of the `projgraph` command: predictions take a short cut that imports little, the rest is typer."""

from __future__ import annotations

import io
import os
import sys


def main() -> None:
    """Run the command line; its exit status is 0 for good, 2 for wrong input or usage."""
    _open_closed_streams()
    arguments = sys.argv[1:]
    try:
        if arguments[:1] == ["predict"]:
            from projgraph.predict import run

            sys.exit(run(arguments[1:]))
        sys.exit(_run_app())
    except ModuleNotFoundError as error:
        if (error.name or "projgraph").partition(".")[0] == "projgraph":
            raise
        sys.stderr.write(
            f"projgraph: this needs {error.name}, which is not installed; install projgraph with what it depends on, "
            "not by --no-deps\n"
        )
        sys.exit(2)


def _open_closed_streams() -> None:
    """A standard stream that the caller closed, as daemons do, is None here; it takes, or holds, nothing instead."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115 (for the life of the process)


def _run_app() -> int:
    from projgraph.cli import app
    from projgraph.predict import give_up_output

    if isinstance(sys.stdout, io.TextIOWrapper):
        # JSON and label names are UTF-8 whatever the locale says; a lone surrogate becomes its JSON escape.
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        status = int(app(prog_name="projgraph", standalone_mode=False) or 0)
        sys.stdout.flush()
        return status
    except OSError as error:  # files have errors of their own
        return give_up_output(error)
    except SystemExit as stopped:  # rich and click end with status 1 where a reader of the output has gone away
        if isinstance(stopped.__context__, BrokenPipeError):
            return give_up_output(stopped.__context__)
        raise
    except Exception as error:
        if not hasattr(error, "format_message"):  # what typer's errors of usage have, whichever click is below
            raise
        # No message: typer has printed the help instead.
        if message := " ".join(error.format_message().split()):
            sys.stderr.write(f"projgraph: {message.rstrip('.')}; see projgraph --help\n")
        return 2


if __name__ == "__main__":
    main()
