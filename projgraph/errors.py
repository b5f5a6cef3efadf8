"""The errors a caller can catch; a message says what was given, what is expected and what to do."""

from __future__ import annotations

from projgraph.printable import printable


class ProjgraphError(ValueError):
    """Wrong input or usage: the command line prints the message on one line and exits with status 2."""


class InputError(ProjgraphError):
    """A file or a row cannot be used; the message names the file and, where there is one, line and column."""


class ConfigError(ProjgraphError):
    """A setting is unknown or out of range; every wrong setting is listed at once."""


class ModelFileError(ProjgraphError):
    """The bytes are not a model this version can run; the message carries the core's status."""


class SignatureError(ProjgraphError):
    """A file is not, byte for byte, what the owner of a key signed."""


class BudgetError(ProjgraphError):
    """No model fits the budget of bytes or of time; the message names the smallest that works."""


class OutputError(ProjgraphError):
    """A result cannot be written; what stood at that place before is untouched."""


class MissingExtraError(ProjgraphError):
    """A feature needs an optional dependency; the message says which extra to install."""


def one_line(error: ProjgraphError) -> str:
    """What a command writes to standard error before it ends with status 2."""
    return f"projgraph: {printable(' '.join(str(error).split()))}\n"
