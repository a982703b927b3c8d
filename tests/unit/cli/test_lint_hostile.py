"""Manifests that nobody means well with: one clear line, within bounds of time and memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

MEMORY_BYTES = 1024**3
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefghi", "bcdefghij", strict=True)
)
POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n"
HUGE = 33 * 1024 * 1024


def lint(path):
    """Run the command in a process of its own, which may have so much memory and no more."""
    program = f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({MEMORY_BYTES},) * 2)"
    program += "; from kubeberth.cli import main; main()"
    command = [sys.executable, "-c", program, "lint", "-f", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(BOMB.encode(), "document contains excessive aliasing", id="alias bomb"),
        pytest.param(b"a: &a [*a]", "value contains itself", id="value in itself"),
        pytest.param(b"[" * 200_000, "exceeded maximum nesting depth", id="deep YAML"),
        pytest.param(b'{"a":' * 200_000, "exceeded maximum nesting depth", id="deep JSON"),
        pytest.param(b"\0" * 1_000_000, "control characters are not allowed", id="zeros"),
        pytest.param(b"\x89PNG\r\n\x1a\n" * 9, "not UTF-8 text, from byte 0 on", id="a picture"),
        pytest.param(b"#" * HUGE, "more than 32 MiB are no manifest", id="huge"),
    ],
)
def test_hostile_manifests_are_answered_with_one_line(tmp_path, content, why):
    file = tmp_path / "hostile.yaml"
    file.write_bytes(content)
    done = lint(file)
    assert done.returncode == 2
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith(f"error: {file}: ")
    assert why in line


def test_of_what_never_ends_no_more_is_read_than_is_needed():
    done = lint("/dev/zero")
    assert done.stderr == "error: /dev/zero: more than 32 MiB are no manifest\n"


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param("".join(f"  field{number}: 1\n" for number in range(5000)), id="unknown"),
        pytest.param(
            "  tolerations:\n" + "".join(f"  - {{key: key{number}}}\n" for number in range(5000)),
            id="tolerations",
        ),
        pytest.param(
            "  nodeSelector:\n" + "".join(f"    label{number}: a\n" for number in range(5000)),
            id="labels",
        ),
    ],
)
def test_thousands_of_the_same_are_told_of_a_few_times(tmp_path, fields):
    file = tmp_path / "hostile.yaml"
    file.write_text(POD + fields + "  containers: [{name: web, image: nginx}]\n")
    done = lint(file)
    told = done.stdout.splitlines()
    assert 0 < len(told) < 200
    assert any(line.endswith("(and there is more like it)") for line in told)
