import pytest

from kubeberth.api.qos import qos_class


def resources(requests=None, limits=None):
    return {"resources": {"requests": requests or {}, "limits": limits or {}}}


@pytest.mark.parametrize(
    ("containers", "expected"),
    [
        pytest.param([{}], "BestEffort", id="nothing asked for"),
        pytest.param([resources({"cpu": "0"})], "BestEffort", id="nothing, in words"),
        pytest.param([resources({"cpu": "1"})], "Burstable", id="a request alone"),
        pytest.param(
            [resources({"cpu": "1", "memory": "1Gi"}, {"cpu": "1000m", "memory": "1024Mi"})],
            "Guaranteed",
            id="requests equal limits",
        ),
        pytest.param(
            [resources({"cpu": "1", "memory": "1Gi"}, {"cpu": "1", "memory": "1Gi"}), {}],
            "Burstable",
            id="one container without",
        ),
        pytest.param([resources({"gpu": "1"}, {"gpu": "1"})], "BestEffort", id="other resources"),
    ],
)
def test_the_quality_of_service_follows_from_cpu_and_memory(containers, expected):
    assert qos_class({"containers": containers}) == expected
