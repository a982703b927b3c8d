"""Layouts of nodes: what follows from them, and which cannot be."""

import json

import pytest

from kubeberth.topology.description import DescriptionError, machine_from
from kubeberth.topology.layout import layout_from, parse_layout


def numa_node(id_=0, **fields):
    return {"id": id_, "memory": "8Gi", "cpus": f"{4 * id_}-{4 * id_ + 3}", "socket": id_, **fields}


def layout(*nodes, devices=(), **configuration):
    return {
        "numaNodes": list(nodes) or [numa_node(0), numa_node(1)],
        "devices": list(devices),
        "kubeletConfiguration": configuration,
    }


def gpus(*devices, **fields):
    return {"resource": "example.com/gpu", "devices": list(devices), **fields}


STATIC = {"cpuManagerPolicy": "static", "reservedSystemCPUs": "0"}


def test_the_short_form_makes_cores_of_threads_and_groups_of_caches():
    described = {"id": 0, "memory": 1, "cpus": "0-3,8-11", "threadsPerCore": 2, "coresPerUncore": 2}
    machine = machine_from({"numaNodes": [described]})
    assert [sorted(core.cpus) for core in machine.numa_nodes[0].cores] == [
        [0, 8],
        [1, 9],
        [2, 10],
        [3, 11],
    ]
    assert {id_: sorted(cpus) for id_, cpus in machine.cpus_of_uncore.items()} == {
        0: [0, 1, 8, 9],
        2: [2, 3, 10, 11],
    }


def test_capacity_is_what_the_machine_has_and_allocatable_what_is_not_kept():
    described = layout(
        numa_node(0, hugepages={"2Mi": 512}),
        numa_node(1),
        devices=[gpus({"id": "a"}, {"id": "b", "healthy": False})],
        kubeReserved={"cpu": "500m", "memory": "412Mi"},
    )
    known = layout_from(described)
    assert known.capacity() == {
        "cpu": "8",
        "memory": "16Gi",
        "hugepages-2Mi": "1Gi",
        "example.com/gpu": "2",
    }
    assert known.allocatable() == {
        "cpu": "7500m",
        "memory": "14848Mi",  # 16Gi - 412Mi - 100Mi (eviction) - 1Gi (huge pages)
        "hugepages-2Mi": "1Gi",
        "example.com/gpu": "1",
    }


def test_what_kubelet_and_system_keep_adds_up():
    """N9."""
    described = layout(
        numa_node(0),
        systemReserved={"cpu": "500m", "memory": "1Gi"},
        kubeReserved={"cpu": "500m"},
    )
    assert layout_from(described).allocatable() == {"cpu": "3", "memory": "7068Mi"}


def test_an_annotation_reads_as_the_layout_that_it_was_written_from():
    described = layout(**STATIC)
    assert parse_layout(json.dumps(described)) == layout_from(described)


@pytest.mark.parametrize(
    ("described", "line"),
    [
        pytest.param(
            layout(numa_node(0), numa_node(0, cpus="4-7")),
            "numaNodes: two NUMA nodes with the id 0",
            id="two NUMA nodes of one id",
        ),
        pytest.param(
            layout(numa_node(0), numa_node(1, cpus="3-6")),
            "numaNodes: more than one core has CPU 3",
            id="a CPU on two NUMA nodes",
        ),
        pytest.param(
            layout(numa_node(64)),
            "numaNodes[0].id: 64 is not between 0 and 63",
            id="a NUMA id that no mask holds",
        ),
        pytest.param(
            {"numaNodes": []}, "numaNodes: a machine has at least one NUMA node", id="no NUMA node"
        ),
        pytest.param(
            layout(numa_node(0, cpus="")), "numaNodes: no NUMA node has a CPU", id="no CPU"
        ),
        pytest.param(
            layout(numa_node(0, cpus="", cores=[{"cpus": [-1]}])),
            "numaNodes: CPU -1 is below zero",
            id="a negative CPU",
        ),
        pytest.param(
            layout(numa_node(0, cpus="", cores=[{"cpus": []}])),
            "numaNodes: a core of NUMA node 0 has no CPU",
            id="a core without CPUs",
        ),
        pytest.param(
            layout(numa_node(0, cpus="3-0")),
            "numaNodes: cpus of NUMA node 0: '3-0' is no list of CPUs: 3-0 ends before it begins",
            id="a range that ends before it begins",
        ),
        pytest.param(
            layout(numa_node(0, threadsPerCore=3)),
            "numaNodes: 4 CPUs of NUMA node 0 do not make cores of 3 threads each",
            id="cores that do not come out even",
        ),
        pytest.param(
            layout(numa_node(0, memory="lots")),
            "numaNodes[0].memory: 'lots' is no quantity",
            id="memory that is no quantity",
        ),
        pytest.param(
            layout(numa_node(0, hugepages={"1Gi": 9})),
            "numaNodes[0].hugepages: more than the NUMA node's memory",
            id="more huge pages than memory",
        ),
        pytest.param(
            layout(numa_node(0, distances=[-1])),
            "numaNodes[0].distances: a distance is below zero",
            id="a negative distance",
        ),
        pytest.param(
            layout(numa_node(0, sockets=1)),
            "numaNodes[0]: object contains unknown field `sockets`",
            id="a field that there is not",
        ),
        pytest.param(
            layout(devices=[gpus({"id": "a"}, {"id": "a"})]),
            "devices[0].devices: two have the id a",
            id="two devices of one id",
        ),
        pytest.param(
            layout(devices=[gpus(), gpus()]),
            "devices[1].resource: example.com/gpu is described twice",
            id="two plugins of one resource",
        ),
        pytest.param(
            layout(devices=[gpus({"id": "a", "numa": [2]})]),
            "devices[0].devices: a is near to NUMA node 2, which the machine does not have",
            id="a device near to nothing",
        ),
        pytest.param(
            layout(devices=[{"resource": "cpu", "devices": []}]),
            "devices[0].resource: 'cpu' is no extended resource such as vendor.com/gpu",
            id="a device of a resource that plugins cannot have",
        ),
        pytest.param(
            layout(devices=[gpus(preferred="lowest")]),
            "devices[0].preferred: 'lowest' is not highest",
            id="an unknown preference",
        ),
        pytest.param(
            layout(topologyManagerPolicy="strict"),
            'kubeletConfiguration.topologyManagerPolicy: unknown policy: "strict"',
            id="an unknown topology policy",
        ),
        pytest.param(
            layout(cpuManagerPolicy="dynamic"),
            'kubeletConfiguration.cpuManagerPolicy: unknown policy: "dynamic"',
            id="an unknown CPU policy",
        ),
        pytest.param(
            layout(memoryManagerPolicy="static"),
            'kubeletConfiguration.memoryManagerPolicy: unknown policy: "static"',
            id="an unknown memory policy",
        ),
        pytest.param(
            layout(**STATIC, cpuManagerPolicyOptions={"full-pcpus-only": "yes"}),
            "kubeletConfiguration.cpuManagerPolicyOptions: new static policy error: bad value for "
            'option "full-pcpus-only": strconv.ParseBool: parsing "yes": invalid syntax',
            id="an option that is neither true nor false",
        ),
        pytest.param(
            layout(topologyManagerPolcy="none"),
            "kubeletConfiguration: object contains unknown field `topologyManagerPolcy`",
            id="a misspelt field of the configuration",
        ),
        pytest.param(
            layout(kubeReserved={"cpu": "9"}),
            "kubeletConfiguration: kubeReserved, systemReserved and evictionHard keep 9 of cpu, "
            "more than the 8 that there is",
            id="more CPUs reserved than there are",
        ),
        pytest.param(
            layout(systemReserved={"memory": "1Ti"}),
            "kubeletConfiguration: kubeReserved, systemReserved and evictionHard keep 1048676Mi of "
            "memory, more than the 16Gi that there is",
            id="more memory reserved than there is",
        ),
        pytest.param(
            layout(reservedMemory=[{"numaNode": 0, "limits": {"memory": "9Gi"}}]),
            "kubeletConfiguration.reservedMemory[0].limits.memory: 9Gi is more than the 8Gi that "
            "NUMA node 0 has",
            id="more memory reserved than a NUMA node has",
        ),
        pytest.param(
            layout(reservedSystemCPUs="8"),
            "kubeletConfiguration.reservedSystemCPUs: the machine has no CPU 8",
            id="a reserved CPU that there is not",
        ),
        pytest.param(
            layout(reservedSystemCPUs="one"),
            "kubeletConfiguration.reservedSystemCPUs: 'one' is no list of CPUs such as 0-3,8",
            id="reserved CPUs that are no list",
        ),
        pytest.param(
            layout(kubeReserved={"memory": "x"}),
            "kubeletConfiguration.kubeReserved.memory: 'x' is no quantity",
            id="a reservation that is no quantity",
        ),
        pytest.param(
            layout(evictionHard={"memory.available": "-1Gi"}),
            "kubeletConfiguration.evictionHard.memory.available: -1Gi is below zero",
            id="a threshold below zero",
        ),
    ],
)
def test_what_cannot_be_is_told_in_one_line_that_begins_with_the_field(described, line):
    with pytest.raises(DescriptionError) as caught:
        layout_from(described)
    assert str(caught.value) == line


@pytest.mark.parametrize(("text", "line"), [("{", "no JSON: "), ("[]", "no JSON object")])
def test_an_annotation_that_is_no_layout_is_told_so(text, line):
    with pytest.raises(DescriptionError) as caught:
        parse_layout(text)
    assert str(caught.value).startswith(line)
