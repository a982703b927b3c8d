"""How commands that read files end when what was given cannot be understood."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from kubeberth.errors import BerthError, UsageError

BAD_INPUT = 2


@contextmanager
def bad_input_told() -> Iterator[None]:
    """End the command with 2, and a line for each fault, when input is at fault."""
    try:
        yield
    except (BerthError, UnicodeDecodeError) as error:
        _give_up(str(error))
    except OSError as error:
        what = "what was given" if error.filename is None else error.filename
        _give_up(f"cannot read {what}: {error.strerror}")


def told_of(path: Path, error: Exception) -> UsageError:
    """Return an error of a file's content, each line of which names the file."""
    return UsageError("\n".join(f"{path}: {line}" for line in str(error).split("\n")))


def _give_up(why: str) -> None:
    for line in why.splitlines():
        click.echo(f"error: {line}", err=True)
    sys.exit(BAD_INPUT)
