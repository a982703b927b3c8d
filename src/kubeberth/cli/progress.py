"""How far something is that takes long: one line on a terminal, which goes when it is done."""

from __future__ import annotations

import sys

import click

# Things between two looks at the line.
_TELL_EVERY = 1000


class Progress:
    """Tells how many of some things are done; nothing where there is no terminal."""

    def __init__(self, noun: str) -> None:
        self._noun = noun
        self._is_shown = sys.stderr.isatty()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        """Take the line away."""
        if self._is_shown:
            click.echo("\r\033[K", nl=False, err=True)

    def tell(self, n_done: int) -> None:
        """Show how many are done."""
        if self._is_shown and n_done % _TELL_EVERY == 0:
            click.echo(f"\r\033[K{n_done:,} {self._noun}", nl=False, err=True)
