"""Where commands print: as wide as the terminal, and where there is none as wide as what is printed."""

from typing import IO

from rich.console import Console

NO_TERMINAL = 20_000
"""Columns of a pipe, a file or a log: names in it are copied and searched for, so none is ever cut or folded."""


def terminal(file: IO[str] | None = None) -> Console:
    """A console on standard output, or on another stream."""
    console = Console(file=file)
    if not console.is_terminal:
        console.width = NO_TERMINAL
    return console
