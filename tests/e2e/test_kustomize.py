"""What the real `kubectl kustomize` prints, piped into the commands that ask before applying."""

from __future__ import annotations

import json
import subprocess

import pytest
import yaml

from tests.e2e.conftest import BERTH, kubectl_programs
from tests.unit.planner.clusters import deployment, zones

WIDGET = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}}
LIST = {
    "apiVersion": "v1",
    "kind": "List",
    "items": [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "more"}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
        },
    ],
}
BASE = {
    "resources": ["web.yaml", "widget.yaml", "list.yaml"],
    "configMapGenerator": [{"name": "settings", "literals": ["LEVEL=info"]}],
    "secretGenerator": [{"name": "key", "literals": ["token=abc"]}],
}
SIX_ON_MISSPELT_DISKS = [
    {"op": "replace", "path": "/spec/replicas", "value": 6},
    {"op": "add", "path": "/spec/template/spec/nodeSelector", "value": {"disktype": "sdd"}},
]
OVERLAYS = {
    "staging": {"resources": ["../base"], "namePrefix": "staging-"},
    "production": {
        "resources": ["../base"],
        "namespace": "shop",
        "patches": [{"target": {"kind": "Deployment"}, "patch": json.dumps(SIX_ON_MISSPELT_DISKS)}],
    },
}
PASSED_OVER = {"v1 ConfigMap": 2, "v1 Secret": 1, "example.com/v1 Widget": 1}


@pytest.fixture(scope="module", params=kubectl_programs())
def built(request, tmp_path_factory):
    """Return what kubectl prints of each overlay, and the file of a cluster."""
    folder = tmp_path_factory.mktemp("kustomize")
    nodes = zones(3)
    for node in nodes:
        node["metadata"]["labels"]["disktype"] = "ssd"
    (folder / "nodes.yaml").write_text(yaml.safe_dump_all(nodes))
    for name, content in {"base": BASE, **OVERLAYS}.items():
        (folder / name).mkdir()
        (folder / name / "kustomization.yaml").write_text(yaml.safe_dump(content))
    web = deployment("web", 2, cpu="500m")
    web["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [
        {"configMapRef": {"name": "settings"}}
    ]
    for name, document in {"web": web, "widget": WIDGET, "list": LIST}.items():
        (folder / "base" / f"{name}.yaml").write_text(yaml.safe_dump(document))
    return folder / "nodes.yaml", {
        name: subprocess.run(
            [request.param, "kustomize", str(folder / name)], capture_output=True, check=True
        ).stdout
        for name in OVERLAYS
    }


def berth(built, overlay, *arguments):
    """Pipe an overlay into a command."""
    nodes, texts = built
    command = [str(BERTH), *arguments, "-f", "-", "--cluster", str(nodes)]
    return subprocess.run(command, input=texts[overlay], capture_output=True, check=False)


def test_an_overlay_is_planned_with_what_it_generates(built):
    done = berth(built, "staging", "plan", "-o", "json")
    assert done.returncode == 0
    found = json.loads(done.stdout)
    assert [(w["name"], w["placed"]) for w in found["workloads"]] == [("staging-web", 2)]
    assert found["passedOver"] == PASSED_OVER


def test_an_overlay_with_a_namespace_is_planned_in_it(built):
    done = berth(built, "production", "plan", "-o", "json")
    assert done.returncode == 1
    [web] = json.loads(done.stdout)["workloads"]
    assert (web["namespace"], web["wanted"], web["pending"]) == ("shop", 6, 6)


def test_lint_names_the_line_in_the_stream(built):
    assert berth(built, "staging", "lint").stdout == b""
    done = berth(built, "production", "lint")
    lines = built[1]["production"].decode().splitlines()
    number = next(n for n, line in enumerate(lines, 1) if "disktype: sdd" in line)
    told = [line for line in done.stdout.decode().splitlines() if "sdd" in line]
    assert told[0].startswith(f"<stdin>:{number}:")


def test_why_is_answered_of_a_stream(built):
    done = berth(built, "production", "why", "deployment/web", "-n", "shop")
    assert "kubectl label node n1 disktype=sdd --overwrite" in done.stdout.decode()
