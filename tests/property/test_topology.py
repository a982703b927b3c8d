"""What holds of the resource managers whatever the machine, the configuration and the pods."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.oracle.merging import merge
from tests.replay.kubelet_objects import to_pod

from kubeberth.kubelet.pod import KubeletPod
from kubeberth.topology.checkpoint import CheckpointError, from_json, to_json
from kubeberth.topology.foresight import Outlook
from kubeberth.topology.hint import Hint
from kubeberth.topology.layout import Layout, layout_from
from kubeberth.topology.managers import Allocations, Managers
from kubeberth.topology.masks import narrowness, subsets
from kubeberth.topology.merge import (
    BEST_EFFORT,
    RESTRICTED,
    SINGLE_NUMA_NODE,
    TopologyPolicy,
    closeness,
)
from kubeberth.topology.publication import Publication
from kubeberth.topology.requests import pod_request

NUMA_IDS = (0, 1, 3)
DISTANCES = {0: (10, 12, 0, 21), 1: (12, 10, 0, 21), 3: (21, 21, 0, 10)}

hints = st.one_of(
    st.none(),
    st.lists(
        st.builds(Hint, st.sampled_from(list(subsets(NUMA_IDS))), st.booleans()),
        max_size=5,
    ),
)
answers = st.lists(st.dictionaries(st.sampled_from("abcd"), hints, max_size=2), max_size=3)


@given(
    st.sampled_from([BEST_EFFORT, RESTRICTED, SINGLE_NUMA_NODE]),
    answers,
    st.sampled_from([narrowness, closeness(DISTANCES)]),
)
def test_the_best_hint_is_the_one_that_the_product_of_all_hints_gives(name, provided, order):
    policy = TopologyPolicy(name, NUMA_IDS, order)
    assert policy.merge(provided) == merge(name, NUMA_IDS, order, provided)


def numa_node(numa_id: int) -> dict[str, Any]:
    first = numa_id * 4
    cpus = f"{first}-{first + 3}"
    distances = [10 if other == numa_id else 21 for other in range(2)]
    return {
        "id": numa_id,
        "memory": "8Gi",
        "cpus": cpus,
        "threadsPerCore": 2,
        "socket": numa_id,
        "distances": distances,
    }


@st.composite
def layouts(draw) -> Layout:
    options = draw(
        st.sampled_from(
            [
                {},
                {"full-pcpus-only": "true"},
                {"distribute-cpus-across-numa": "true"},
                {"prefer-align-cpus-by-uncorecache": "true"},
                {"strict-cpu-reservation": "true"},
            ]
        )
    )
    devices = [{"id": f"gpu-{index}", "numa": [index % 2]} for index in range(4)]
    return layout_from(
        {
            "numaNodes": [numa_node(0), numa_node(1)],
            "devices": [{"resource": "example.com/gpu", "devices": devices}],
            "kubeletConfiguration": {
                "topologyManagerPolicy": draw(
                    st.sampled_from(["none", BEST_EFFORT, RESTRICTED, SINGLE_NUMA_NODE])
                ),
                "topologyManagerScope": draw(st.sampled_from(["container", "pod"])),
                "cpuManagerPolicy": "static",
                "cpuManagerPolicyOptions": options,
                "memoryManagerPolicy": "Static",
                "reservedSystemCPUs": "0",
                "kubeReserved": {"memory": "924Mi"},
                "reservedMemory": [{"numaNode": 0, "limits": {"memory": "1Gi"}}],
            },
        }
    )


@st.composite
def containers(draw, name: str) -> dict[str, Any]:
    limits = {
        "cpu": draw(st.sampled_from(["1", "2", "3", "500m"])),
        "memory": draw(st.sampled_from(["1Gi", "3Gi", "9Gi"])),
    }
    if draw(st.booleans()):
        limits["example.com/gpu"] = str(draw(st.integers(1, 3)))
    return {"name": name, "image": "app", "resources": {"limits": limits}}


@st.composite
def pods(draw) -> list[KubeletPod]:
    made = []
    for index in range(draw(st.integers(1, 5))):
        spec: dict[str, Any] = {
            "containers": [
                draw(containers(f"c{number}")) for number in range(draw(st.integers(1, 2)))
            ]
        }
        if draw(st.booleans()):
            first = draw(containers("i0"))
            if draw(st.booleans()):
                first["restartPolicy"] = "Always"
            spec["initContainers"] = [first]
        made.append(to_pod({"metadata": {"name": f"p{index}"}, "spec": spec}))
    return made


def admitted(managers: Managers, allocations: Allocations, pod: KubeletPod) -> Allocations:
    admission = managers.admit(allocations, pod_request(pod, pools=False))
    if admission.refusal is None:
        return admission.allocations
    return admission.allocations.without(pod.metadata.uid)


@given(layouts(), pods())
@settings(deadline=None)
def test_no_cpu_and_no_device_belongs_to_two_pods_and_none_is_lost(layout, arriving):
    managers, allocations = layout.start()
    for pod in arriving:
        allocations = admitted(managers, allocations, pod)
        owned = [frozenset().union(*parts.values()) for parts in allocations.cpus.assigned.values()]
        free = allocations.cpus.shared
        assert sum(map(len, owned)) + len(free) == len(free.union(*owned))
        assert managers.cpus.pool == free.union(*owned)
        held = [
            frozenset().union(*(ids for one in parts.values() for ids in one.values()))
            for parts in allocations.devices.held.values()
        ]
        assert sum(map(len, held)) == len(frozenset().union(*held))
        tables = allocations.memory.tables.values()
        assert all(0 <= s.reserved <= s.allocatable for t in tables for s in t.stocks.values())


@given(layouts(), pods())
@settings(deadline=None)
def test_a_node_whose_pods_have_all_gone_is_as_it_was_at_first(layout, arriving):
    managers, empty = layout.start()
    allocations = empty
    for pod in arriving:
        allocations = admitted(managers, allocations, pod)
    for pod in reversed(arriving):
        allocations = allocations.without(pod.metadata.uid)
    assert allocations.cpus.shared == empty.cpus.shared
    assert allocations.memory.tables == empty.memory.tables
    assert not allocations.pods()


def has_torn_group(tables):
    """Return whether a NUMA node was given away by itself although it is one of a group.

    Upstream's memory manager does that, and then may refuse its own state when it starts again
    (kubernetes/kubernetes#113035).
    """
    groups = {number: table.cells for number, table in tables.items()}
    return any(
        groups[other] != cells
        for cells in groups.values()
        for other in groups
        if cells >> other & 1
    )


@given(layouts(), pods())
@settings(deadline=None)
def test_a_kubelet_that_starts_again_goes_on_with_what_it_kept(layout, arriving):
    managers, allocations = layout.start()
    for pod in arriving:
        allocations = admitted(managers, allocations, pod)
    # With strict reservation, one that has given every CPU away refuses to start, as recorded.
    assume(allocations.cpus.shared or not allocations.cpus.assigned)
    assume(not has_torn_group(allocations.memory.tables))
    kept = from_json(to_json(layout.kept(allocations)))
    _, again = layout.start(kept)
    assert again.cpus.assigned == allocations.cpus.assigned
    assert again.memory.tables == allocations.memory.tables
    assert again.memory.blocks == allocations.memory.blocks
    assert again.devices.held == allocations.devices.held


@given(layouts(), pods(), st.data())
@settings(deadline=None)
def test_a_checkpoint_that_was_cut_off_or_altered_is_told_so(layout, arriving, data):
    managers, allocations = layout.start()
    for pod in arriving:
        allocations = admitted(managers, allocations, pod)
    text = to_json(layout.kept(allocations))
    place = data.draw(st.integers(0, len(text) - 1))
    altered = text[:place] + bytes([text[place] ^ 1]) + text[place + 1 :]
    for damaged in (text[:place], altered):
        with pytest.raises(CheckpointError, match="checkpoint is corrupted"):
            from_json(damaged)


@given(layouts(), pods(), st.integers(0, 4), st.integers(0, 4))
@settings(deadline=None)
def test_who_reads_what_a_node_published_foresees_what_it_will_say(
    layout, arriving, n_published, n_gone
):
    """However old it is: the node has admitted pods since, and some of the old ones have gone.

    What goes shifts memory between NUMA nodes, and only the node knows how. It tells anew once it
    has refused a pod, which may have had a part of what it wanted.
    """
    managers, allocations = layout.start()
    *before, last = arriving
    published: dict[str, str] = {}
    publication = Publication(allocations, {})
    present = {}
    for index, pod in enumerate(before):
        request = pod_request(pod, pools=False)
        admission = managers.admit(allocations, request)
        allocations = admitted(managers, allocations, pod)
        if admission.refusal is None:
            present[f"default/{request.uid}"] = request
        if index < n_published or admission.refusal is not None:
            published = {one.uid: key for key, one in present.items()}
            publication = Publication(allocations, published)
    if n_gone and len(published) == len(present):
        # What has gone from a node that has told all there was to tell.
        for uid, key in list(published.items())[:n_gone]:
            allocations = allocations.without(uid)
            del present[key]
    request = pod_request(last, pools=False)
    foreseen = Outlook(managers, False, publication).refusal(present.items(), request)
    assert foreseen == managers.admit(allocations, request).refusal
