"""The options of the API server's admission, for `berth apiserver` and `berth up`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from kubeberth.api.default_tolerations import SECONDS
from kubeberth.apiserver.admission_selection import (
    DISABLE,
    ENABLE,
    AdmissionSettings,
    enabled_plugins,
    read_configuration,
)

F = TypeVar("F", bound=Callable[..., Any])
_SECONDS = click.IntRange(min=0)


def admission_options(function: F) -> F:
    """Add the options; what they were given comes as `admission`, None if that is nothing."""
    options = (
        click.option(
            f"--{ENABLE}",
            multiple=True,
            metavar="NAME,...",
            help="Admission plugins besides those that are on by default.",
        ),
        click.option(
            f"--{DISABLE}",
            multiple=True,
            metavar="NAME,...",
            help="Admission plugins that shall be off although they are on by default.",
        ),
        click.option(
            "--admission-control-config-file",
            type=click.Path(path_type=Path, dir_okay=False),
            help="An AdmissionConfiguration: what plugins are told.",
        ),
        click.option(
            "--default-not-ready-toleration-seconds",
            type=_SECONDS,
            help=f"How long pods stay on nodes that are not ready.  [default: {SECONDS}]",
        ),
        click.option(
            "--default-unreachable-toleration-seconds",
            type=_SECONDS,
            help=f"How long pods stay on nodes that cannot be reached.  [default: {SECONDS}]",
        ),
    )

    def command(
        enable_admission_plugins: tuple[str, ...],
        disable_admission_plugins: tuple[str, ...],
        admission_control_config_file: Path | None,
        default_not_ready_toleration_seconds: int | None,
        default_unreachable_toleration_seconds: int | None,
        **others: Any,
    ) -> Any:
        told = (
            enable_admission_plugins,
            disable_admission_plugins,
            admission_control_config_file,
            default_not_ready_toleration_seconds,
            default_unreachable_toleration_seconds,
        )
        admission = None if all(part in ((), None) for part in told) else _settings(*told)
        return function(admission=admission, **others)

    command.__doc__ = function.__doc__
    decorated: Any = command
    for option in reversed(options):
        decorated = option(decorated)
    # What other decorators have added comes after ours.
    decorated.__click_params__ = [
        *getattr(function, "__click_params__", ()),
        *decorated.__click_params__,
    ]
    return decorated  # type: ignore[no-any-return]


def _settings(
    enable: Iterable[str],
    disable: Iterable[str],
    file: Path | None,
    not_ready_s: int | None,
    unreachable_s: int | None,
) -> AdmissionSettings:
    """Return the settings that options stand for, having made sure that the names are known."""
    settings = AdmissionSettings(
        enable=_names(enable),
        disable=_names(disable),
        configuration=read_configuration(file) if file is not None else {},
        not_ready_s=SECONDS if not_ready_s is None else not_ready_s,
        unreachable_s=SECONDS if unreachable_s is None else unreachable_s,
    )
    enabled_plugins(settings)
    return settings


def _names(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for value in values for name in value.split(",") if name)
