"""Pods as the scheduler keeps them decide what whole ones decide, in less room."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec

from kubeberth.api.core import Pod, decode_pod
from kubeberth.api.requests import effective_request, occupied
from kubeberth.placement.pod_volumes import to_pod_volumes
from kubeberth.placement.request import to_host_ports, to_node_rules, to_pod_rules
from kubeberth.placement.spread import to_spread_constraints
from kubeberth.scheduler.intake import PodIntake
from kubeberth.testing.random_objects import random_pod


def a_pod(name: str, **more: Any) -> bytes:
    container = {"name": "main", "image": "x", "resources": {"requests": {"cpu": "1"}}}
    document = {
        "metadata": {"name": name, "namespace": "team", "labels": {"app": "web"}},
        "spec": {
            "containers": [container],
            "tolerations": [{"operator": "Exists"}],
            "volumes": [
                {"name": f"kube-api-access-{name}", "projected": {"sources": []}},
                {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
            ],
            **more.pop("spec", {}),
        },
        **more,
    }
    return msgspec.json.encode(document)


def of_placement(pod: Pod) -> tuple[Any, ...]:
    """Return what rules see of a pod."""
    spec, namespace = pod.spec, pod.metadata.namespace
    return (
        pod.metadata.key,
        pod.metadata.labels,
        pod.priority,
        spec.node_name,
        spec.tolerations,
        spec.scheduling_gates,
        effective_request(pod),
        occupied(pod),
        to_host_ports(spec),
        to_node_rules(spec),
        to_pod_rules(namespace, spec),
        to_spread_constraints(spec.topology_spread_constraints, pod.metadata.labels),
        to_pod_volumes(pod),
        pod.is_terminal,
        pod.is_terminating,
    )


def test_rules_see_the_same_pod():
    intake = PodIntake()
    for seed in range(300):
        raw = msgspec.json.encode(random_pod(Random(seed), f"pod-{seed}"))
        assert of_placement(intake.decode(raw)) == of_placement(decode_pod(raw))


def test_a_pod_that_is_being_resized_takes_what_it_was_given():
    given = {"requests": {"cpu": "3"}}
    status = {"containerStatuses": [{"name": "main", "resources": given, "image": "x"}]}
    raw = a_pod("a", status=status)
    assert occupied(PodIntake().decode(raw)) == occupied(decode_pod(raw)) == {"cpu": 3000}


def test_pods_of_one_template_share_what_is_equal():
    intake = PodIntake()
    one, other = (intake.decode(a_pod(name, spec={"nodeName": name})) for name in "ab")
    assert (one.spec.node_name, other.spec.node_name) == ("a", "b")
    assert one.spec.containers is other.spec.containers
    assert one.spec.tolerations is other.spec.tolerations
    assert one.spec.volumes is other.spec.volumes
    assert [volume.name for volume in one.spec.volumes] == ["data"]
    assert one.metadata.labels is other.metadata.labels


def test_labels_and_annotations_that_look_alike_are_what_they_are():
    raw = b'{"metadata": {"labels": {"a": "b"}, "annotations": {"a": "b"}}}'
    meta = PodIntake().decode(raw).metadata
    assert meta.labels == meta.annotations == {"a": "b"}
    assert PodIntake().decode(b'{"spec": {"affinity": {}}}').spec.affinity is not None


def test_what_a_failed_attempt_and_a_preemption_have_left_is_kept():
    failed = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    ready = {"type": "Ready", "status": "False"}
    victim = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}
    conditions = [ready, failed, victim]
    status = {"conditions": conditions, "nominatedNodeName": "a", "podIP": "10.0.0.1"}
    kept = PodIntake().decode(a_pod("a", status=status)).status
    assert [entry.type for entry in kept.conditions] == ["PodScheduled", "DisruptionTarget"]
    assert kept.nominated_node_name == "a"
    assert kept.pod_ip == ""


def test_pods_that_are_all_different_do_not_gather():
    intake = PodIntake(max_shared=10)
    for index in range(100):
        labels = {"index": str(index)}
        raw = msgspec.json.encode({"metadata": {"name": "a", "labels": labels}})
        assert intake.decode(raw).metadata.labels == labels
        assert len(intake._shared) <= 10
