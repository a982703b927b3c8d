from __future__ import annotations

import pytest

from kubeberth.errors import UsageError
from kubeberth.scheduler.config import (
    Backoff,
    Settings,
    parse_configuration,
    remarks,
    to_settings,
)

HEADER = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n"


def settings_of(text: str) -> Settings:
    return to_settings(parse_configuration((HEADER + text).encode()), {}, seed=7)


def test_backoff_is_that_of_the_file() -> None:
    settings = settings_of("podInitialBackoffSeconds: 2\npodMaxBackoffSeconds: 5\n")
    assert settings.backoff == Backoff(2.0, 5.0)
    assert [settings.backoff.after(n) for n in range(4)] == [0.0, 2.0, 4.0, 5.0]


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        pytest.param("", 500, id="kube-scheduler's tenth where nothing is said"),
        pytest.param(
            "pluginConfig: [{name: DefaultPreemption, args: {minCandidateNodesPercentage: 50}}]",
            2500,
            id="as the file says",
        ),
    ],
)
def test_searches_for_victims_are_short_unless_the_file_says_otherwise(
    args: str, expected: int
) -> None:
    [profile] = settings_of(f"profiles: [{{{args}}}]").profiles
    assert profile.preemption.size(5000) == expected
    assert Settings().profiles[0].preemption.size(5000) == 500


def test_everything_of_upstreams_example_is_accepted() -> None:
    settings = settings_of(
        "leaderElection: {leaderElect: false}\n"
        "clientConnection: {kubeconfig: /etc/kubernetes/scheduler.conf, qps: 100, burst: 200}\n"
        "percentageOfNodesToScore: 50\nparallelism: 8\n"
        "profiles:\n- schedulerName: no-scoring\n"
        "  plugins: {preScore: {disabled: [{name: '*'}]}, score: {disabled: [{name: '*'}]}}\n"
    )
    assert [profile.name for profile in settings.profiles] == ["no-scoring"]
    assert settings.profiles[0].scores == ()
    assert settings.seed == 7


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        pytest.param("", [], id="nothing"),
        pytest.param("percentageOfNodesToScore: 0\n", [], id="as the scheduler likes"),
        pytest.param("percentageOfNodesToScore: 100\n", [], id="all of them"),
        pytest.param(
            "percentageOfNodesToScore: 5\nprofiles:\n"
            "- {schedulerName: a, percentageOfNodesToScore: 7}\n- {schedulerName: b}\n",
            ["percentageOfNodesToScore: 5", "profiles[0].percentageOfNodesToScore: 7"],
            id="a sample, and another one for a profile",
        ),
    ],
)
def test_who_asks_for_a_sample_of_the_nodes_is_told_that_all_are_looked_at(
    text: str, fields: list[str]
) -> None:
    told = remarks(parse_configuration((HEADER + text).encode()))
    assert told == [f"{field} has no effect: every node is looked at" for field in fields]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("profiles: [", "yaml: line 3: did not find expected node content"),
        ("parallelism: 1\nparallelism: 2\n", 'line 4: key "parallelism" already set in map'),
    ],
)
def test_what_is_no_clear_yaml_is_refused(text: str, fault: str) -> None:
    with pytest.raises(UsageError) as raised:
        settings_of(text)
    assert str(raised.value) == fault
