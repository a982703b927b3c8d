"""`kubectl berth`: the same commands, as a plugin of kubectl.

kubectl runs `kubectl-berth` for them, and asks `kubectl_complete-berth` what could come next:
https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/
"""

from __future__ import annotations

import os
import sys

import click
from click.shell_completion import ShellComplete

from kubeberth.cli import berth, run
from kubeberth.client.default_kubeconfig import default_kubeconfig

NAME = "kubectl berth"
# What kubectl's own completion is told behind the choices: no file names, please; or file names.
_NO_FILES, _FILES = ":4", ":0"


def main() -> None:
    """Run a command for the cluster that kubectl works on, also where `berth up` runs another."""
    os.environ.setdefault("KUBECONFIG", str(default_kubeconfig()))
    run(NAME)


def complete() -> None:
    """Print what could follow the arguments, of which the last one is just being written."""
    *arguments, incomplete = sys.argv[1:] or [""]
    found = ShellComplete(berth, {}, NAME, "").get_completions(arguments, incomplete)
    plain = [item for item in found if item.type == "plain"]
    for item in plain:
        click.echo(f"{item.value}\t{item.help}" if item.help else item.value)
    click.echo(_NO_FILES if plain else _FILES)
