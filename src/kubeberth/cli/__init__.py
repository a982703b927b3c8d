"""The `berth` command, one file a subcommand; each is imported when it is called."""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module

import click
from click.shell_completion import CompletionItem

from kubeberth import __version__
from kubeberth.errors import BerthError

# The default thresholds make decoding several times slower once many objects live: all of them are
# looked through too often. But the young ones often, lest so many come together that it stops all
# else of a process that serves for long: 5,000 take a millisecond or two.
GC_THRESHOLDS = (5_000, 200, 100)

# Command to module, in the order in which `berth --help` lists them.
COMMANDS = {
    "up": ("up", "Start a cluster on this machine."),
    "down": ("down", "Stop it."),
    "status": ("status", "Show what runs, and what it costs."),
    "plan": ("plan", "Show where the pods of manifests would land."),
    "snapshot": ("snapshot", "Write down what placing in a cluster depends on."),
    "capacity": ("capacity", "Count how many more copies of a pod fit."),
    "why": ("why", "Show why a pod is where it is, or nowhere."),
    "kubeconfig": ("kubeconfig", "Print the kubeconfig of a cluster."),
    "apiserver": ("apiserver", "Run an API server."),
    "scheduler": ("scheduler", "Run a scheduler."),
    "controllers": ("controllers", "Run the controllers."),
    "nodes": ("nodes", "Run simulated nodes."),
    "token": ("token", "Invite nodes."),
    "lint": ("lint", "Find what is wrong with how manifests would be placed."),
    "audit": ("audit", "Show what a live cluster trusts."),
    "check-plugin": ("check_plugin", "Check a scheduling plugin of your own."),
    "bench": ("bench", "Measure how fast things are on this machine."),
}


class _LazyGroup(click.Group):
    """A group that imports a command's module when the command is called, not before."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = import_module(f"kubeberth.cli.{COMMANDS[name][0]}")
        command: click.Command = module.command
        return command

    def shell_complete(self, context: click.Context, incomplete: str) -> list[CompletionItem]:
        found = [
            CompletionItem(name, help=text)
            for name, (_, text) in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, context, incomplete)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: berth up",
)
@click.version_option(__version__, message="berth %(version)s")
def berth() -> None:
    """Assign pods to nodes, speaking the Kubernetes API."""


def main() -> None:
    """Run `berth`."""
    run("berth")


def run(name: str) -> None:
    """Run a command; what goes wrong is one line on standard error and exit code 1.

    Parameters
    ----------
    name
        What the program is called.
    """
    # numpy starts a thread a core for matrix products, of which there are none here: for a command
    # that answers within a second, that takes a fifth of it.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        berth(prog_name=name, standalone_mode=True)
    except* (BerthError, OSError) as errors:
        for error in _leaves(errors):
            click.echo(f"error: {_explain(error)}", err=True)
        sys.exit(1)


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    leaves: list[BaseException] = []
    for error in group.exceptions:
        leaves += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return leaves


def _explain(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)
