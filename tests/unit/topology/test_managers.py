"""What recordings do not show of the resource managers."""

import copy

import msgspec
import pytest
from tests.replay.kubelet_objects import to_pod

from kubeberth.topology.configuration import StartError
from kubeberth.topology.layout import layout_from
from kubeberth.topology.requests import pod_request
from kubeberth.topology.start import start

BASE = {
    "numaNodes": [
        {"id": 0, "memory": "8Gi", "cpus": "0-3", "hugepages": {"2Mi": 512}},
        {"id": 1, "memory": "8Gi", "cpus": "4-7", "socket": 1},
    ],
    "devices": [{"resource": "example.com/gpu", "devices": [{"id": "g0"}, {"id": "g1"}]}],
    "kubeletConfiguration": {
        "topologyManagerPolicy": "best-effort",
        "topologyManagerScope": "pod",
        "cpuManagerPolicy": "static",
        "memoryManagerPolicy": "Static",
        "reservedSystemCPUs": "0",
        "kubeReserved": {"memory": "412Mi"},
        "reservedMemory": [{"numaNode": 0, "limits": {"memory": "512Mi"}}],
        "featureGates": {"PodLevelResourceManagers": True},
    },
}


def layout(**changes):
    return layout_from({**copy.deepcopy(BASE), **changes})


def container(name, cpu="1", memory="1Gi", restart="", **limits):
    asked = {"cpu": cpu, "memory": memory, **limits} if cpu else {}
    described = {"name": name, "image": "app", "resources": {"limits": asked}}
    return {**described, "restartPolicy": restart} if restart else described


def pod(*containers, init=(), **level):
    spec = {"containers": list(containers), "initContainers": list(init)}
    if level:
        spec["resources"] = {"limits": level, "requests": level}
    return pod_request(to_pod({"metadata": {"name": "p"}, "spec": spec}), pools=True)


def refusal(request, known=None):
    managers, allocations = (known or layout()).start()
    return managers.admit(allocations, request).refusal


def kept(request, known=None):
    known = known or layout()
    managers, allocations = known.start()
    admission = managers.admit(allocations, request)
    assert admission.refusal is None
    return known.kept(admission.allocations)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        pytest.param(
            pod(
                container("c", ""),
                init=[container("s", "2", restart="Always"), container("i", "2")],
                cpu="3",
                memory="4Gi",
            ),
            "pod rejected, largest exclusive init container requests 2 cpus, but only 1 available",
            id="an init container beside a sidecar",
        ),
        pytest.param(
            pod(
                container("c", ""),
                init=[container("s", "2", restart="Always"), container("i", "")],
                cpu="2",
                memory="4Gi",
            ),
            "pod rejected, pod has shared init containers but no cpus available for them",
            id="an init container that a sidecar leaves no CPU",
        ),
        pytest.param(
            pod(container("a", "2"), container("b", ""), cpu="2", memory="4Gi"),
            "pod rejected, sum of exclusive container cpu requests equals pod budget, leaving no "
            "cpus for shared containers",
            id="a container that the others leave no CPU",
        ),
        pytest.param(
            pod(
                container("c", ""),
                init=[container("s", memory="3Gi", restart="Always"), container("i", memory="2Gi")],
                cpu="3",
                memory="4Gi",
            ),
            "pod rejected, largest exclusive init container requests 2147483648 of memory, but "
            "only 1073741824 available",
            id="an init container beside a sidecar with much memory",
        ),
        pytest.param(
            pod(
                container("c", ""),
                init=[container("s", memory="4Gi", restart="Always"), container("i", "")],
                cpu="3",
                memory="4Gi",
            ),
            "pod rejected, pod has shared init containers but no memory available for them",
            id="an init container that a sidecar leaves no memory",
        ),
        pytest.param(
            pod(container("a", memory="4Gi"), container("b", ""), cpu="3", memory="4Gi"),
            "pod rejected, sum of exclusive container memory requests equals pod budget, leaving "
            "no memory for shared containers",
            id="a container that the others leave no memory",
        ),
    ],
)
def test_a_pod_whose_resources_do_not_go_round_is_told_which(request_, message):
    found = refusal(request_)
    assert (found.reason, found.message) == ("EmptyPodSharedPoolError", message)


def test_a_pod_that_asks_for_huge_pages_that_there_are_not_is_refused():
    """Where the kubelet of 1.36 crashes."""
    found = refusal(pod(container("c", **{"hugepages-1Gi": "1Gi"})))
    assert found.reason == "UnexpectedAdmissionError"
    assert "[memorymanager]" in found.message


def test_a_device_whose_plugin_is_gone_cannot_be_had_again():
    request = pod(container("c", **{"example.com/gpu": "1"}))
    managers, allocations = layout(devices=[]).start(kept(request))
    found = managers.admit(allocations, request).refusal
    assert found.message == (
        "Allocate failed due to cannot allocate unregistered device example.com/gpu, which is "
        "unexpected"
    )


def test_a_container_that_asks_for_other_devices_than_it_has_is_refused():
    before = pod(container("c", **{"example.com/gpu": "1"}))
    after = pod(container("c", **{"example.com/gpu": "2"}))
    managers, allocations = layout().start(kept(before))
    assert managers.admit(allocations, after).refusal.message == (
        'Allocate failed due to pod "p" container "c" changed request for resource '
        '"example.com/gpu" from 1 to 2, which is unexpected'
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param(
            {"numaNodes": [{"id": 0, "memory": "16Gi", "cpus": "0-7", "hugepages": {"2Mi": 512}}]},
            "[memorymanager] (pod: p, container: c) the memory assignment uses the NUMA that does "
            "not exist",
            id="a NUMA node is gone",
        ),
        pytest.param(
            {"numaNodes": [{"id": 0, "memory": "8Gi", "cpus": "0-3"}, BASE["numaNodes"][1]]},
            "[memorymanager] (pod: p, container: c) the memory assignment uses memory resource "
            "that does not exist",
            id="huge pages are gone",
        ),
        pytest.param(
            {"numaNodes": [BASE["numaNodes"][0], {"id": 1, "memory": "9Gi", "cpus": "4-7"}]},
            "[memorymanager] the expected machine state is different from the real one",
            id="memory has come",
        ),
        pytest.param(
            {"numaNodes": [BASE["numaNodes"][0], {"id": 1, "memory": "8Gi", "cpus": "4-8"}]},
            'current set of available CPUs "0-8" doesn\'t match with CPUs in state "0-7"',
            id="a CPU has come",
        ),
    ],
)
def test_a_kubelet_does_not_start_with_what_it_kept_of_another_machine(changes, message):
    wide = "the NUMA" in message
    request = pod(
        container("c", memory="12Gi") if wide else container("c", **{"hugepages-2Mi": "64Mi"})
    )
    with pytest.raises(StartError) as caught:
        layout(**changes).start(kept(request))
    assert caught.value.message == message


def test_a_kubelet_does_not_start_with_reserved_cpus_that_there_are_not():
    known = layout()
    configuration = msgspec.structs.replace(known.configuration, reserved_system_cpus="0,9")
    with pytest.raises(StartError) as caught:
        start(known.machine, configuration, known.plugins)
    assert caught.value.message == (
        "new static policy error: [cpumanager] unable to build the reserved physical CPUs from the "
        "reserved set: unknown CPU ID: 9"
    )


def test_a_threshold_may_be_a_part_of_the_memory():
    configuration = {"evictionHard": {"memory.available": "25%"}}
    known = layout(kubeletConfiguration=configuration)
    assert known.allocatable()["memory"] == "11Gi"  # of 16Gi, and 1Gi are huge pages
