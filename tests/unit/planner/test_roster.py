"""The controllers of a plan: each is there as soon as there is something that it works on."""

from __future__ import annotations

import pytest

from kubeberth.api.scheme import PODS
from kubeberth.clock import rfc3339
from kubeberth.planner.control import Control
from kubeberth.planner.objects import Objects
from kubeberth.planner.roster import ROSTER

NOW = 1_767_225_600.0


@pytest.mark.parametrize("place", ROSTER, ids=lambda place: place.reconciler)
def test_a_controller_hears_of_what_it_works_on_and_of_its_pods(place):
    started = place.start()
    assert started.hears_of(place.works_on)
    assert started.name


def test_what_was_there_before_a_controller_started_is_its_own_all_the_same():
    objects = Objects(NOW)
    control = Control(objects, lambda pod: None)
    labels = {"app": "web"}
    spec = {"containers": [{"name": "main", "image": "nginx"}]}
    objects.load(PODS, {"metadata": {"name": "lone", "labels": labels}, "spec": spec})
    control.run()
    template = {"metadata": {"labels": labels}, "spec": spec}
    selector = {"matchLabels": labels}
    replica_set = next(p.works_on for p in ROSTER if p.works_on.kind == "ReplicaSet")
    objects.create(
        replica_set,
        {
            "metadata": {"name": "web", "creationTimestamp": rfc3339(NOW)},
            "spec": {"replicas": 2, "selector": selector, "template": template},
        },
    )
    while control.run():
        pass
    owners = [pod.metadata.controller for pod in objects.all(PODS)]
    assert [owner.name for owner in owners if owner is not None] == ["web", "web"]
