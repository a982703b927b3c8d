"""The small parts of a kubelet: addresses, programs, stages, timers, the Node object."""

import pytest
from tests.objects import NOW, node, pod

from kubeberth.api.core import Container
from kubeberth.kubelet.addresses import AddressPool
from kubeberth.kubelet.containers import runs_of
from kubeberth.kubelet.node_object import new_lease, new_node, status_patch
from kubeberth.kubelet.program import AT_ONCE, FOREVER, WORK, Program, program_of
from kubeberth.kubelet.specs import NodeSpec, node_specs
from kubeberth.kubelet.stages import Stages
from kubeberth.kubelet.timers import Timers
from kubeberth.kubelet.transitions import Step


class ManualClock:
    def __init__(self):
        self.at = 0.0

    def now(self):
        return NOW + self.at

    def monotonic(self):
        return self.at


def test_pods_get_different_addresses():
    pool = AddressPool("10.244.3.0/24")
    assert [pool.take("a"), pool.take("b")] == ["10.244.3.2", "10.244.3.3"]


def test_an_address_that_was_given_back_is_the_last_to_be_used_again():
    pool = AddressPool("10.0.0.0/29")
    taken = [pool.take(name) for name in "abc"]
    pool.free("a", taken[0])
    assert pool.take("d") not in taken
    assert [pool.take(name) for name in "efg"] == ["10.0.0.6", "10.0.0.2", ""]


def test_an_address_from_before_a_restart_is_not_given_out_again():
    pool = AddressPool("10.244.3.0/24")
    pool.keep("old", "10.244.3.2")
    assert pool.take("new") == "10.244.3.3"


def test_nobody_gives_back_an_address_that_another_pod_has_by_now():
    pool = AddressPool("10.0.0.0/30")
    ip = pool.take("a")
    pool.free("a", ip)
    assert pool.take("b") == ip
    pool.free("a", ip)
    pool.free("unknown", "10.0.0.9")
    assert pool.take("c") == ""


@pytest.mark.parametrize(
    ("command", "annotations", "program"),
    [
        ((), {}, FOREVER),
        (("nginx", "-g"), {}, FOREVER),
        (("sleep", "5"), {}, Program(5.0)),
        (("/bin/sleep", "2m"), {}, Program(120.0)),
        (("sleep", "infinity"), {}, FOREVER),
        (("sleep", "x"), {}, FOREVER),
        (("true",), {}, Program(0.0)),
        (("/usr/bin/false",), {}, Program(0.0, 1)),
        ((), {"kubeberth.io/exit-after-seconds": "1.5"}, Program(1.5)),
        (
            (),
            {"kubeberth.io/exit-after-seconds": "1", "kubeberth.io/exit-code": "137"},
            Program(1.0, 137),
        ),
        ((), {"kubeberth.io/exit-after-seconds": "soon"}, FOREVER),
    ],
)
def test_commands_and_annotations_say_what_a_container_does(command, annotations, program):
    assert program_of(Container(command=command), annotations, FOREVER) == program


@pytest.mark.parametrize("otherwise", [AT_ONCE, WORK, FOREVER])
def test_a_container_that_says_nothing_does_what_it_is_for(otherwise):
    assert program_of(Container(command=("perl",)), {}, otherwise) == otherwise
    assert program_of(Container(command=("sleep", "5")), {}, otherwise) == Program(5.0)


def test_init_containers_end_at_once_and_those_of_jobs_after_their_work():
    spec = {"initContainers": [{"name": "i"}, {"name": "s", "restartPolicy": "Always"}]}
    programs = [run.program for run in runs_of(pod(spec=spec))]
    assert programs == [AT_ONCE, FOREVER, FOREVER]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "pi", "controller": True}
    programs = [run.program for run in runs_of(pod(spec=spec, ownerReferences=[owner]))]
    assert programs == [AT_ONCE, FOREVER, WORK]


def test_equal_seeds_give_equal_delays_and_nodes_differ():
    stages = Stages(seed=7)
    first = [stages.dice("node-1").delay_s(Step.START) for _ in range(2)]
    assert first[0] == first[1]
    assert stages.dice("node-2").delay_s(Step.START) != first[0]
    assert 0.015 <= first[0] <= 0.045


def test_timers_fire_in_order_and_not_when_cancelled():
    clock = ManualClock()
    timers, fired = Timers(clock), []
    timers.call_in(2, lambda: fired.append("late"))
    timers.call_in(1, lambda: fired.append("early"))
    timers.call_in(1.5, lambda: fired.append("cancelled")).cancel()
    timers.fire()
    assert fired == []
    clock.at = 2
    timers.fire()
    assert fired == ["early", "late"]


def test_a_new_node_has_everything_a_kubelet_registers():
    spec = NodeSpec(
        "n",
        labels={"kubernetes.io/hostname": "n"},
        taints=({"key": "dedicated", "effect": "NoSchedule"},),
        internal_ip="192.168.0.1",
        pod_cidr="10.244.1.0/24",
    )
    body = new_node(spec, NOW)
    assert body["spec"] == {
        "podCIDR": "10.244.1.0/24",
        "podCIDRs": ["10.244.1.0/24"],
        "taints": [{"key": "dedicated", "effect": "NoSchedule"}],
    }
    status = body["status"]
    assert status["addresses"] == [
        {"type": "InternalIP", "address": "192.168.0.1"},
        {"type": "Hostname", "address": "n"},
    ]
    assert [entry["type"] for entry in status["conditions"]][-1] == "Ready"
    assert status["conditions"][-1]["message"] == "kubelet is posting ready status"
    assert status["nodeInfo"]["kubeletVersion"].startswith("v1.36")
    assert status["nodeInfo"] == new_node(spec, NOW + 9)["status"]["nodeInfo"]


def test_labels_of_users_survive_and_the_kubelets_own_are_corrected():
    [spec] = node_specs(1)
    changed = {**spec.labels, "team": "x", "kubernetes.io/hostname": "by-hand"}
    del changed["kubernetes.io/arch"]
    patch = status_patch(spec, node(labels=changed), NOW)
    assert patch["metadata"]["labels"] == {
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": "node-1",
    }
    assert {"$patch": "replace"} in patch["status"]["addresses"]
    assert "spec" not in patch


def test_a_custom_label_of_the_spec_is_not_added_to_an_existing_node():
    """N2 and N3: only the default labels are reconciled."""
    spec = NodeSpec("n", labels={"team": "a", "topology.kubernetes.io/zone": "z2"})
    patch = status_patch(spec, node("n", labels={"topology.kubernetes.io/zone": "z1"}), NOW)
    assert patch["metadata"]["labels"] == {"topology.kubernetes.io/zone": "z2"}


def test_a_taint_of_the_spec_is_not_added_to_an_existing_node():
    """N6."""
    spec = NodeSpec("n", taints=({"key": "dedicated", "value": "x", "effect": "NoSchedule"},))
    assert "spec" not in status_patch(spec, node("n"), NOW)


def test_a_lease_goes_with_its_node():
    lease = new_lease("n", "uid-n", NOW)
    assert lease["spec"]["leaseDurationSeconds"] == 40
    assert lease["metadata"]["ownerReferences"] == [
        {"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "uid-n"}
    ]
    assert "ownerReferences" not in new_lease("n", "", NOW)["metadata"]
