"""What kubelets remember of pods and Nodes."""

import msgspec
from tests.objects import pod

from kubeberth.api.core import Node
from kubeberth.kubelet.sharing import remembered, remembered_node

STARTED = {"running": {"startedAt": "2027-01-15T08:00:00Z"}}


def nobody(uid):
    return None


def raw(name, generation=1, image="nginx", **status):
    document = msgspec.to_builtins(pod(name, spec={"containers": [{"name": "c", "image": image}]}))
    document["metadata"] |= {"uid": f"uid-{name}", "generation": generation}
    document["spec"] |= {"nodeName": f"node-of-{name}", "hostname": name}
    document["status"] = {"phase": "Pending", **status}
    return msgspec.json.encode(document)


def test_pods_of_one_template_have_one_spec():
    web, other = remembered(raw("web"), nobody), remembered(raw("other"), nobody)
    assert web.spec is other.spec
    assert web.metadata.name != other.metadata.name


def test_pods_of_different_templates_have_each_its_own():
    web, other = remembered(raw("web"), nobody), remembered(raw("other", image="redis"), nobody)
    assert [one.spec.containers[0].image for one in (web, other)] == ["nginx", "redis"]


def test_how_the_containers_of_a_pod_were_is_remembered_until_it_is_taken_over():
    entry = {"name": "c", "ready": True, "state": STARTED}
    written = raw("web", phase="Running", containerStatuses=[entry])
    first = remembered(written, nobody)
    assert first.status.container_statuses[0].state.running is not None
    again = remembered(written, lambda uid: first)
    assert again.status.container_statuses == ()
    assert again.status.phase == "Running"


def test_conditions_that_others_set_are_seen_also_later():
    first = remembered(raw("web"), nobody)
    gate = {"type": "example.com/gate", "status": "True"}
    again = remembered(raw("web", conditions=[gate]), lambda uid: first)
    assert again.condition("example.com/gate").status == "True"


def test_a_changed_spec_is_seen_by_its_generation():
    first = remembered(raw("web"), nobody)
    same = remembered(raw("web"), lambda uid: first)
    changed = remembered(raw("web", generation=2, image="redis"), lambda uid: first)
    assert same.spec is first.spec
    assert changed.spec.containers[0].image == "redis"


def test_the_name_of_a_pod_is_kept_once_however_often_it_is_seen():
    first = remembered(raw("web"), nobody)
    again = remembered(raw("web", phase="Running"), lambda uid: first)
    assert again.metadata.name is first.metadata.name
    assert again.metadata.uid is first.metadata.uid


def test_of_a_server_that_counts_no_generations_every_change_is_seen():
    first = remembered(raw("web", generation=0), nobody)
    changed = remembered(raw("web", generation=0, image="redis"), lambda uid: first)
    assert changed.spec.containers[0].image == "redis"


def test_nodes_that_are_alike_have_their_parts_in_common():
    def node(name, **labels):
        amounts = {"cpu": "4"}
        document = {
            "metadata": {"name": name, "labels": labels},
            "status": {"allocatable": dict(amounts), "capacity": dict(amounts)},
        }
        return msgspec.convert(document, Node)

    said = {"zone": "a"}
    one, other = (remembered_node(node(name, zone="a"), said) for name in ("one", "other"))
    assert one.status.allocatable is other.status.allocatable
    assert one.metadata.labels is other.metadata.labels is said
    labelled = remembered_node(node("third", zone="b"), said)
    assert labelled.metadata.labels == {"zone": "b"}
