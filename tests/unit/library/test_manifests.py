from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from tests.unit.library.builders import any_object, node, pod

from kubeberth import Cluster, InvalidObjectError, ManifestError
from kubeberth.topology.names import LAYOUT_ANNOTATION

TWO = """\
# nodes of the lab
apiVersion: v1
kind: Node
metadata: {name: a}
status: {capacity: {cpu: 2, memory: 4Gi, pods: 10}}
---
---
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers: [{name: main, image: nginx}]
"""


def test_file_holds_several_documents(tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    path.write_text(TWO)
    cluster = Cluster.from_manifests(path)
    assert repr(cluster) == "<Cluster: 1 nodes, 0 pods placed, 1 pending>"


def test_folder_is_read_by_name_without_what_kubectl_would_not_read(tmp_path: Path) -> None:
    (tmp_path / "b.yml").write_text(json.dumps(pod("web", nodeName="a")))
    (tmp_path / "a.json").write_text(json.dumps(node("a")))
    (tmp_path / "notes.txt").write_text("not a manifest: [")
    (tmp_path / "below").mkdir()
    cluster = Cluster.from_manifests(str(tmp_path))
    assert repr(cluster) == "<Cluster: 1 nodes, 1 pods placed, 0 pending>"


def test_lists_count_as_their_items() -> None:
    bare = {key: value for key, value in node("a").items() if key not in ("apiVersion", "kind")}
    nodes = {"apiVersion": "v1", "kind": "NodeList", "items": [bare]}
    dump = {"apiVersion": "v1", "kind": "List", "items": [pod("web", nodeName="a"), nodes]}
    cluster = Cluster.from_manifests(io.StringIO(json.dumps(dump)), io.BytesIO(b""))
    assert repr(cluster) == "<Cluster: 1 nodes, 1 pods placed, 0 pending>"


def test_json_objects_may_follow_each_other() -> None:
    text = "\n---\n".join(json.dumps(document) for document in (node("a"), node("b")))
    assert len(Cluster.from_manifests(io.StringIO(text)).nodes) == 2


def test_other_kinds_are_skipped_and_counted() -> None:
    others = [
        any_object("Deployment", "web", "apps/v1"),
        any_object("Deployment", "db", "apps/v1"),
        any_object("Service", "web", "serving.knative.dev/v1"),
    ]
    dump = {"apiVersion": "v1", "kind": "List", "items": [*others, node("a")]}
    cluster = Cluster.from_manifests(io.StringIO(json.dumps(dump)))
    assert cluster.skipped == {"apps/v1 Deployment": 2, "serving.knative.dev/v1 Service": 1}


MACHINE = """
apiVersion: kubeberth.io/v1
kind: Machine
metadata: {name: big}
nodes: [worker, other]
numaNodes: [{id: 0, memory: 8Gi, cpus: "0-3"}]
---
apiVersion: v1
kind: Node
metadata: {name: worker, labels: {zone: a}}
status: {allocatable: {cpu: 1, ephemeral-storage: 10Gi}}
"""


def test_nodes_have_the_machines_that_are_described_for_them() -> None:
    cluster = Cluster.from_manifests(io.StringIO(MACHINE))
    assert [node.metadata.name for node in cluster.nodes] == ["worker", "other"]
    worker, other = cluster.nodes
    assert worker.metadata.labels["zone"] == "a"
    assert worker.status.allocatable == {
        "cpu": "4",
        "memory": "8092Mi",
        "pods": "110",
        "ephemeral-storage": "10Gi",
    }
    assert other.metadata.labels["kubernetes.io/hostname"] == "other"
    assert other.status.capacity["memory"] == "8Gi"
    assert LAYOUT_ANNOTATION in worker.metadata.annotations
    assert not cluster.skipped


@pytest.mark.parametrize(
    ("flaw", "message"),
    [
        (("cpus:", "cores:"), 'machine "big": numaNodes'),
        (("status: {", "status: {capacity: {cpu: 8}, "), "status.capacity.cpu: 8, but its machine"),
        (("status: {", "status: {capacity: {cpu: x}, "), "status.capacity.cpu: x, but its machine"),
        (("[worker, other]", "[worker, worker]"), 'node "worker" has two machines'),
        (("{name: worker,", "{name: worker, annotations: [x],"), "metadata.annotations"),
        (("{allocatable: {cpu: 1, ephemeral-storage: 10Gi}}", "7"), "status"),
    ],
)
def test_a_machine_that_cannot_be_is_told(flaw: tuple[str, str], message: str) -> None:
    with pytest.raises((ManifestError, InvalidObjectError)) as raised:
        Cluster.from_manifests(io.StringIO(MACHINE.replace(*flaw)))
    assert message in str(raised.value)


def test_what_an_api_server_has_stored_is_not_admitted_again() -> None:
    stored = pod(
        "web",
        meta={"uid": "u", "resourceVersion": "7"},
        priorityClassName="not-in-the-dump",
        priority=50,
        aFieldOfTheFuture=True,
    )
    dump = {"apiVersion": "v1", "kind": "List", "items": [stored]}
    [web] = Cluster.from_manifests(io.StringIO(json.dumps(dump))).pending
    assert (web.priority, web.spec.tolerations) == (50, ())


def test_error_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    path.write_text(TWO.replace("nginx}", "nginx, resources: {requests: {cpu: -1}}}"))
    with pytest.raises(InvalidObjectError) as refusal:
        Cluster.from_manifests(path)
    assert str(refusal.value) == (
        f'{path}:8: Pod "default/web": spec.containers[0].resources.requests[cpu]: '
        'Invalid value: "-1": must be greater than or equal to 0'
    )
    assert refusal.value.source == f"{path}:8"


def test_same_name_twice_is_a_fault() -> None:
    text = "\n---\n".join(json.dumps(node("a")) for _ in range(2))
    with pytest.raises(InvalidObjectError, match=r':3: Node "a": metadata.name: Duplicate value'):
        Cluster.from_manifests(io.StringIO(text))
    with pytest.raises(InvalidObjectError, match='Duplicate value: "web"'):
        Cluster([pod("web"), pod("web")])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("a: [", "<stream>: yaml: line ", id="no YAML"),
        pytest.param("- 1", "<stream>:1: an object must be a mapping", id="no object"),
        pytest.param(
            "kind: Pod\nkind: Node", '<stream>: line 2: key "kind" already set', id="a key twice"
        ),
    ],
)
def test_text_that_holds_no_objects_is_told(text: str, message: str) -> None:
    with pytest.raises(ManifestError) as error:
        Cluster.from_manifests(io.StringIO(text))
    assert str(error.value).startswith(message)


def test_object_of_no_kind_is_a_fault() -> None:
    with pytest.raises(InvalidObjectError, match='<stream>:1: object "web": kind: Required value'):
        Cluster.from_manifests(io.StringIO("metadata: {name: web}"))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param('"' + "x" * 2_000_000 + '"', "Too long", id="too large"),
        pytest.param('"\\ud800"', "(?i)unicode|surrogate|yaml", id="half a character"),
    ],
)
@pytest.mark.parametrize("version", ["1", ""], ids=["stored", "new"])
def test_object_that_no_store_would_take_is_a_fault(value: str, message: str, version: str) -> None:
    text = (
        '{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a", '
        f'"resourceVersion": "{version}", "annotations": {{"note": {value}}}}}}}'
    )
    for form in (text, f"# YAML\n{text}"):
        with pytest.raises((InvalidObjectError, ManifestError), match=message):
            Cluster.from_manifests(io.StringIO(form))


def test_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Cluster.from_manifests(tmp_path / "none.yaml")


def test_configuration_may_be_a_file(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n"
        "profiles: [{schedulerName: mine}]\n"
    )
    cluster = Cluster([node("a")], config=path)
    assert cluster.decide(pod("web", schedulerName="mine")).node == "a"
    path.write_text("a: [")
    with pytest.raises(ManifestError):
        Cluster(config=path)
