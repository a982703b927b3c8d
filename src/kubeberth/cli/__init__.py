"""The `berth` command, one file a subcommand."""

from __future__ import annotations


def main() -> None:
    """Run the `berth` command."""
