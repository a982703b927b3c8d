from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kubeberth.api.core import Pod
from kubeberth.api.requests import (
    effective_request,
    is_counted,
    occupied,
    scoring_occupied,
    scoring_request,
)

MI = 1024 * 1024


def container(cpu: str | None = None, *, sidecar: bool = False, **more: str) -> dict[str, Any]:
    requests = {**({"cpu": cpu} if cpu else {}), **more}
    return {
        "name": cpu or "silent",
        "resources": {"requests": requests},
        **({"restartPolicy": "Always"} if sidecar else {}),
    }


def pod(*containers: dict[str, Any], status: dict[str, Any] | None = None, **spec: Any) -> Pod:
    document = {"spec": {"containers": containers, **spec}, "status": status or {}}
    return msgspec.convert(document, Pod)


@pytest.mark.parametrize(
    ("containers", "init", "cpu"),
    [
        pytest.param(["500m", "500m"], [container("800m")], 1000, id="small init"),
        pytest.param(["500m", "500m"], [container("1500m")], 1500, id="large init"),
        pytest.param(
            ["500m"], [container("200m", sidecar=True), container("900m")], 1100, id="sidecar first"
        ),
        pytest.param(
            ["500m"], [container("900m"), container("200m", sidecar=True)], 900, id="sidecar last"
        ),
        pytest.param(
            ["100m"],
            [container("300m", sidecar=True), container("300m", sidecar=True)],
            700,
            id="two sidecars",
        ),
    ],
)
def test_init_containers_and_sidecars(
    containers: list[str], init: list[dict[str, Any]], cpu: int
) -> None:
    made = pod(*(container(c) for c in containers), initContainers=init)
    assert effective_request(made)["cpu"] == cpu


def test_overhead_comes_on_top_of_everything() -> None:
    made = pod(container("1"), overhead={"cpu": "250m"}, resources={"requests": {"cpu": "2"}})
    assert effective_request(made)["cpu"] == 2250


def test_pod_level_requests_replace_only_what_they_name() -> None:
    made = pod(container("500m", memory="1Gi"), resources={"requests": {"cpu": "2"}})
    assert effective_request(made) == {"cpu": 2000, "memory": 1024 * MI}


def test_silent_containers_count_in_scores_only() -> None:
    made = pod(container(), container("50m"))
    assert effective_request(made) == {"cpu": 50}
    assert scoring_request(made) == {"cpu": 150, "memory": 400 * MI}


def test_an_explicit_zero_stays_zero() -> None:
    assert scoring_request(pod(container("0")))["cpu"] == 0


def test_score_of_a_new_pod_ignores_pod_level_requests() -> None:
    made = pod(container("500m"), resources={"requests": {"cpu": "2"}})
    assert scoring_request(made)["cpu"] == 500
    assert scoring_occupied(made)["cpu"] == 2000


def resizing(reason: str) -> Pod:
    """Return a pod whose spec says 2 CPUs while 1 is what it has."""
    status = {
        "containerStatuses": [{"name": "2", "resources": {"requests": {"cpu": "1"}}}],
        "conditions": [{"type": "PodResizePending", "status": "True", "reason": reason}],
    }
    return pod(container("2"), status=status)


def test_resize_in_progress_counts_with_the_larger_amount() -> None:
    assert occupied(resizing("Deferred"))["cpu"] == 2000


def test_resize_that_cannot_be_counts_with_what_is_there() -> None:
    assert occupied(resizing("Infeasible"))["cpu"] == 1000


def test_fractions_round_up() -> None:
    made = pod(container("0.0001", memory="500m"))
    assert effective_request(made) == {"cpu": 1, "memory": 1}


def test_absurd_amounts_are_held_to_64_bits() -> None:
    made = pod(container("1", memory="9E"), container("1", memory="9E"))
    assert effective_request(made)["memory"] == 2**63 - 1


@pytest.mark.parametrize(
    ("name", "counted"),
    [
        ("cpu", True),
        ("hugepages-2Mi", True),
        ("example.com/gpu", True),
        ("attachable-volumes-csi-x", True),
        ("bananas", False),
    ],
)
def test_which_resources_are_counted(name: str, counted: bool) -> None:
    assert is_counted(name) is counted
