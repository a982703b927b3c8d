import json
import logging
import subprocess
import sys

import pytest

PROGRAM = """
import logging, sys
from kubeberth.cli.logs import DECISIONS, start_logging
start_logging({format!r}, {verbosity})
logging.getLogger("x").info("could not bind: %s", "gone", extra=dict(pod="default/web", n=1))
logging.getLogger(DECISIONS).info("placed", extra=dict(reason="no room"))
"""


def lines(log_format, verbosity=2):
    program = PROGRAM.format(format=log_format, verbosity=verbosity)
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stderr.splitlines()


def test_a_json_line_has_the_message_and_its_facts():
    first, _ = map(json.loads, lines("json"))
    assert first.pop("ts").endswith("Z")
    assert first == {
        "level": "info",
        "logger": "x",
        "msg": "could not bind: gone",
        "pod": "default/web",
        "n": 1,
    }


def test_a_text_line_has_its_facts_behind_the_message():
    first, second = lines("text")
    assert first.endswith("INFO x: could not bind: gone pod=default/web n=1")
    assert second.endswith('placed reason="no room"')


@pytest.mark.parametrize(("verbosity", "n_lines"), [(1, 1), (2, 2)])
def test_decisions_are_told_from_two_on(verbosity, n_lines):
    assert len(lines("text", verbosity)) == n_lines
    assert logging.getLogger("kubeberth.scheduler.scheduler.decisions").level == logging.NOTSET
