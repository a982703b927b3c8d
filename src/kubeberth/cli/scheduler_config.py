"""A scheduler's configuration file, as commands read it."""

from __future__ import annotations

from pathlib import Path

import click

from kubeberth.api.scheduler_config import KubeSchedulerConfiguration
from kubeberth.cli.bad_input import told_of
from kubeberth.cli.options import read_file
from kubeberth.errors import UsageError
from kubeberth.extensions import own_plugins
from kubeberth.scheduler.config import parse_configuration, remarks, to_settings


def read_configuration(path: Path) -> tuple[KubeSchedulerConfiguration, str]:
    """Return the configuration in a file, and its text; errors name the file, one line per fault.

    What the file asks for in vain is told on standard error.

    Raises
    ------
    UsageError
        No scheduler could work by it.
    """
    text = read_file(path)
    try:
        configuration = parse_configuration(text)
        to_settings(configuration, own_plugins(), seed=0)
    except UsageError as error:
        raise told_of(path, error) from None
    for line in remarks(configuration):
        click.echo(f"Warning: {path}: {line}", err=True)
    return configuration, text.decode()
