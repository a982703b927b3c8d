"""Log lines: text for people, JSON for machines; facts follow the message."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

import click
import msgspec

from kubeberth.clock import rfc3339_micro

F = TypeVar("F", bound=Callable[..., Any])

# What a record has that nobody gave it.
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# As kube-scheduler: from this verbosity on, each decision is told.
DECISIONS_V = 2
DECISIONS = "kubeberth.scheduler.scheduler.decisions"


def log_options(function: F) -> F:
    """Add `--log-format` and `--v`."""
    with_format = click.option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="What log lines look like.",
    )
    with_verbosity = click.option(
        "--v",
        "verbosity",
        type=click.IntRange(0, 10),
        default=DECISIONS_V,
        show_default=True,
        help="How much is told: 2 each decision, 5 everything.",
    )
    return with_format(with_verbosity(function))


def start_logging(log_format: str = "text", verbosity: int = DECISIONS_V) -> None:
    """Have log lines written to standard error."""
    # A busy scheduler tells some hundred decisions a second: nobody is to work out what no line
    # shows (https://docs.python.org/3/howto/logging.html#optimization).
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if log_format == "json" else _Text())
    level = "DEBUG" if verbosity >= 5 else os.environ.get("BERTH_LOG", "INFO").upper()
    logging.basicConfig(level=level, handlers=[handler])
    if verbosity < DECISIONS_V:
        logging.getLogger(DECISIONS).setLevel(logging.WARNING)


def facts_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return what was given as `extra`."""
    return {name: value for name, value in vars(record).items() if name not in _USUAL}


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        facts = "".join([f" {name}={_shown(value)}" for name, value in facts_of(record).items()])
        seconds, thousandths = divmod(int(record.created * 1000), 1000)
        when = f"{_second(seconds)},{thousandths:03d}"
        line = f"{when} {record.levelname} {record.name}: {record.getMessage()}{facts}"
        if record.exc_info:
            line += f"\n{self.formatException(record.exc_info)}"
        return line


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    """Return the local time of a second, in which there may be many lines."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def _shown(value: object) -> str:
    text = str(value)
    return f'"{text}"' if " " in text or not text else text


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "ts": rfc3339_micro(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": record.getMessage(),
            **facts_of(record),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()
