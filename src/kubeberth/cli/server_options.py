"""Options of the API server that `berth up` passes on as well."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

_COUNT = click.IntRange(0)
# In the order in which `--help` lists them.
_OPTIONS: dict[str, dict[str, Any]] = {
    "--token-auth-file": {
        "metavar": "FILE",
        "help": 'Bearer tokens and whose they are: lines of token,user,uid,"group1,group2".',
    },
    "--encryption-provider-config": {
        "metavar": "FILE",
        "help": "How objects are encrypted at rest: an EncryptionConfiguration.  "
        "[default: they are not]",
    },
    "--audit-log-path": {
        "metavar": "FILE",
        "help": "Where it is written down who asks for what; - is standard output.  "
        "[default: nowhere]",
    },
    "--audit-policy-file": {
        "metavar": "FILE",
        "help": "How much is written down: a Policy of audit.k8s.io/v1.  [default: writes with "
        "what was sent, all else without; nothing that is secret]",
    },
    "--audit-log-maxage": {
        "type": _COUNT,
        "help": "Days that full audit logs are kept.  [default: for ever]",
    },
    "--audit-log-maxbackup": {
        "type": _COUNT,
        "help": "How many full audit logs are kept.  [default: all]",
    },
    "--audit-log-maxsize": {
        "type": _COUNT,
        "help": "MiB after which an audit log is full.  [default: 100]",
    },
}


def server_options(function: F) -> F:
    """Add the options; the command gets each as an argument, None for those that are not given."""
    for name in reversed(_OPTIONS):
        function = click.option(name, **_OPTIONS[name])(function)
    return function


def given_options(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the options that a command was given, with the paths of files made absolute."""
    given = {}
    for name, settings in _OPTIONS.items():
        value = values[name.strip("-").replace("-", "_")]
        if value is None:
            continue
        is_file = settings.get("metavar") == "FILE" and value not in ("", "-")
        given[name] = str(Path(value).absolute()) if is_file else str(value)
    return given
