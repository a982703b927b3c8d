import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from kubeberth.cli import COMMANDS, berth, main

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_and_is_in_the_readme(name):
    shown = CliRunner().invoke(berth, [name, "--help"])
    assert shown.exit_code == 0
    assert shown.output.startswith(f"Usage: berth {name}")
    readme = (ROOT / "README.md").read_text()
    assert re.search(rf"`(berth )?{name}\b", readme)


def said(command, heavy):
    """Return what a command says, and which of some modules it loads."""
    program = (
        "import sys\n"
        "from kubeberth.cli import berth\n"
        f"try: berth({command!r}, prog_name='berth')\n"
        f"finally: print([m for m in {heavy!r} if m in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout, done.stderr


def test_help_loads_nothing_that_takes_long():
    heavy = ("aiohttp", "numpy", "httptools", "cryptography", "kubeberth.api")
    shown, loaded = said(["--help"], heavy)
    assert "Start a cluster on this machine." in shown
    assert loaded == "[]\n"


def test_a_process_of_nodes_has_nothing_of_what_only_others_need():
    heavy = ("aiohttp", "numpy", "cryptography", "kubeberth.placement")
    assert said(["nodes", "--help"], heavy)[1] == "[]\n"


def test_why_of_a_file_loads_nothing_of_what_its_cluster_does_not_have(tmp_path):
    cluster, manifest = tmp_path / "nodes.json", tmp_path / "pod.json"
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}}
    cluster.write_text(json.dumps(node))
    spec = {"containers": [{"name": "main", "image": "nginx"}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "lone"}, "spec": spec}
    manifest.write_text(json.dumps(pod))
    heavy = (
        *("asyncio", "httptools", "cryptography", "importlib.metadata"),
        *("kubeberth.api.cel.evaluate", "kubeberth.controllers.workloads.deployment"),
        *("kubeberth.client.client", "kubeberth.kubelet", "kubeberth.topology.layout"),
    )
    command = ["why", "lone", "-f", str(manifest), "--cluster", str(cluster)]
    shown, loaded = said(command, heavy)
    assert shown.startswith("default/lone")
    assert loaded == "[]\n"


def test_an_unknown_command_is_named():
    shown = CliRunner().invoke(berth, ["upp"])
    assert shown.exit_code == 2
    assert "No such command 'upp'" in shown.output


def test_a_wrong_scheduler_configuration_is_one_line_per_fault(tmp_path, monkeypatch, capsys):
    file = tmp_path / "scheduler.yaml"
    file.write_text("kind: KubeSchedulerConfiguration\nparallelism: 0\n")
    monkeypatch.setattr(sys, "argv", ["berth", "scheduler", "--config", str(file)])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f'error: {file}: apiVersion: Unsupported value: ""')
    assert second == (
        f"{file}: parallelism: Invalid value: 0: should be an integer value greater than zero"
    )


def test_a_certificate_to_sign_with_needs_its_key(tmp_path, monkeypatch, capsys):
    kubeconfig = tmp_path / "kubeconfig"
    arguments = ["--kubeconfig", str(kubeconfig), "--cluster-signing-cert-file", "ca.crt"]
    monkeypatch.setattr(sys, "argv", ["berth", "controllers", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 1
    assert capsys.readouterr().err == (
        "error: --cluster-signing-cert-file and --cluster-signing-key-file go together: name both\n"
    )


def test_a_command_starts_no_threads_for_matrix_products():
    """They are looked for in a process of its own, since whoever tests has numpy already."""
    code = (
        "import os, sys, kubeberth.cli\n"
        "sys.argv = ['berth', 'plan', '--help']\n"
        "try:\n"
        "    kubeberth.cli.main()\n"
        "finally:\n"
        "    assert 'numpy' in sys.modules\n"
        "    assert len(os.listdir('/proc/self/task')) == 1\n"
    )
    unset = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    done = subprocess.run(
        (sys.executable, "-c", code), env=unset, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
