"""What nobody means well with, as manifests and as clusters: one clear line, within bounds."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import yaml
from tests.unit.cli.test_lint_hostile import BOMB, HUGE, MEMORY_BYTES
from tests.unit.planner.clusters import pod, zones

# How a command takes each of the two, and how it is called then.
MANIFESTS = {
    "plan": ("plan", "-f", "-", "--cluster", "nodes.yaml"),
    "lint": ("lint", "-f", "-", "--cluster", "nodes.yaml"),
    "capacity": ("capacity", "-f", "-", "--cluster", "nodes.yaml"),
    "why": ("why", "web", "-f", "-", "--cluster", "nodes.yaml"),
}
CLUSTERS = {
    "plan": ("plan", "-f", "web.yaml", "--cluster", "given"),
    "lint": ("lint", "-f", "web.yaml", "--cluster", "given"),
    "capacity": ("capacity", "-f", "web.yaml", "--cluster", "given"),
    "why": ("why", "web", "--cluster", "given"),
}
NOT_MANIFESTS = {
    "alias bomb": (BOMB.encode(), "yaml: document contains excessive aliasing"),
    "value in itself": (b"a: &a [*a]", "yaml: anchor 'a' value contains itself"),
    "deep YAML": (b"[" * 10_000, "yaml: exceeded maximum nesting depth"),
    "deep JSON": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "yaml: exceeded maximum nesting depth"),
    "zeros": (b"\0" * 100_000, "yaml: control characters are not allowed"),
    "compressed": (b"\x1f\x8b\x08\0" * 99, "not UTF-8 text, from byte 1 on"),
    "Latin-1": (b"kind: Pod\nmetadata: {name: w\xe9b}\n", "not UTF-8 text, from byte 28 on"),
    "cut off": (b'kind: Pod\nname: "we', "yaml: line 2: found unexpected end of stream"),
    "cut off JSON": (b'{"kind": "Po', "yaml: found unexpected end of stream"),
    "two of a key": (b"kind: Pod\nkind: Pod\n", 'line 2: key "kind" already set in map'),
}
NOT_OBJECTS = {
    "a list": (b"- 1\n", "an object must be a mapping, such as `kind: Pod`"),
    "a number": (b"42\n", "an object must be a mapping, such as `kind: Pod`"),
    "a page": (b"<!DOCTYPE html>", "an object must be a mapping, such as `kind: Pod`"),
    "a list of numbers": (
        b'{"apiVersion": "v1", "kind": "List", "items": [1]}',
        "an object must be a mapping, such as `kind: Pod`",
    ),
    "a list of nothing that can be listed": (
        b'{"apiVersion": "v1", "kind": "List", "items": "x"}',
        "the items of a List must be a list",
    ),
    "no kind": (b"a: 1\n", "an object must have apiVersion and kind"),
}
PROGRAM = (
    f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({MEMORY_BYTES},) * 2); "
    "from kubeberth.cli import main; main()"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "nodes.yaml").write_text(yaml.safe_dump_all(zones(2)))
    (folder / "web.yaml").write_text(yaml.safe_dump(pod("web")))
    return folder


def run(folder, arguments, content=b""):
    """Run a command in a process of its own, which may have so much memory and no more."""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    return subprocess.run(
        command, input=content, cwd=folder, capture_output=True, check=False, timeout=60
    )


def the_line(done):
    """Return the one line that a command says of bad input."""
    assert done.returncode == 2
    assert done.stdout == b""
    [line] = done.stderr.decode().splitlines()
    return line


def cases(commands):
    """Return every text for `berth plan`, and one for each other command."""
    texts = {name: (*case, "") for name, case in NOT_MANIFESTS.items()}
    texts |= {name: (*case, ":1") for name, case in NOT_OBJECTS.items()}
    return [
        pytest.param(command, *case, id=f"{command}: {name}")
        for command in commands
        for name, case in texts.items()
        if command == "plan" or name == "alias bomb"
    ]


@pytest.mark.parametrize(("command", "content", "why", "line"), cases(MANIFESTS))
def test_hostile_manifests_on_standard_input_are_told_of_in_a_line(
    folder, command, content, why, line
):
    told = the_line(run(folder, MANIFESTS[command], content))
    assert told.startswith(f"error: <stdin>{line}: {why}")


@pytest.mark.parametrize(("command", "content", "why", "line"), cases(CLUSTERS))
def test_hostile_clusters_are_told_of_in_a_line(folder, command, content, why, line):
    (folder / "given").write_bytes(content)
    told = the_line(run(folder, CLUSTERS[command]))
    assert told.startswith(f"error: given{line}: {why}")


@pytest.mark.parametrize("command", MANIFESTS)
def test_of_manifests_that_never_end_no_more_is_read_than_is_needed(folder, command):
    arguments = ["/dev/zero" if argument == "-" else argument for argument in MANIFESTS[command]]
    told = the_line(run(folder, arguments))
    assert told == "error: /dev/zero: more than 32 MiB are no manifest"


@pytest.mark.parametrize("command", CLUSTERS)
def test_of_a_cluster_that_never_ends_no_more_is_read_than_is_needed(folder, command):
    arguments = ["/dev/zero" if argument == "given" else argument for argument in CLUSTERS[command]]
    told = the_line(run(folder, arguments))
    assert (
        told == "error: /dev/zero: more than 32 MiB of YAML take minutes to read: have it as JSON"
    )


@pytest.mark.parametrize("command", CLUSTERS)
@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"# comment\n---\n", id="a comment"),
        pytest.param(b'{"apiVersion": "v1", "kind": "List", "items": null}', id="an empty list"),
        pytest.param(yaml.safe_dump(pod("web")).encode(), id="a pod"),
    ],
)
def test_what_has_no_node_is_no_cluster(folder, command, content):
    (folder / "given").write_bytes(content)
    told = the_line(run(folder, CLUSTERS[command]))
    assert told == "error: given has no Node: no cluster to judge by"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("plan", "error: nothing to plan: give manifests with -f, or a question as --drain"),
        ("lint", "error: nothing to lint: there is no object in <stdin>"),
        ("capacity", "error: the manifests hold no pod, and nothing that makes pods"),
    ],
)
def test_an_empty_stream_is_told_of(folder, command, told):
    """As of a pipe whose first command has failed."""
    assert the_line(run(folder, MANIFESTS[command])) == told


@pytest.mark.parametrize("command", MANIFESTS)
def test_standard_input_that_is_closed_is_told_of(folder, command):
    program = f"import sys; sys.stdin = None; {PROGRAM}"
    done = subprocess.run(
        [sys.executable, "-c", program, *MANIFESTS[command]],
        cwd=folder,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert the_line(done) == "error: cannot read standard input: it is closed"


def test_a_large_cluster_in_json_is_read(folder):
    (folder / "given").write_bytes(b"{" + b" " * HUGE + json.dumps(zones(1)[0]).encode()[1:])
    assert run(folder, CLUSTERS["plan"]).returncode == 0


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param(b"\0", ["yaml: control characters are not allowed"], id="zeros"),
        pytest.param(
            b"- 1",
            [
                "the file: must be a mapping with apiVersion: kubescheduler.config.k8s.io/v1 and "
                "kind: KubeSchedulerConfiguration"
            ],
            id="a list",
        ),
        pytest.param(
            b"apiVersion: kubescheduler.config.k8s.io/v1\n"
            b"kind: KubeSchedulerConfiguration\nprofile: []\nparalellism: 2\n",
            [
                "profile: unknown field; did you mean profiles?",
                "paralellism: unknown field; did you mean parallelism?",
            ],
            id="fields that there are not",
        ),
    ],
)
def test_each_fault_of_a_configuration_names_its_file(folder, content, told):
    (folder / "rules.yaml").write_bytes(content)
    done = run(folder, (*CLUSTERS["plan"][:3], "--cluster", "nodes.yaml", "--config", "rules.yaml"))
    assert done.returncode == 2
    assert done.stderr.decode().splitlines() == [f"error: rules.yaml: {line}" for line in told]
