"""Lives of pods as users write them down: in annotations, and in files of PodLife documents."""

import pytest
from tests.objects import pod as make_pod
from tests.unit.kubelet.player import Player, containers, make

from kubeberth.errors import UsageError
from kubeberth.kubelet.lives import parse_lives
from kubeberth.kubelet.pod import KubeletContainer
from kubeberth.kubelet.pod_lifecycle import PodLife
from kubeberth.kubelet.pod_status import Addresses, to_status
from kubeberth.kubelet.program import FOREVER, once
from kubeberth.kubelet.scripts import Scripts
from kubeberth.kubelet.transitions import Step

PROBE = {"httpGet": {"path": "/", "port": 80}}
SLOW_START = {**PROBE, "periodSeconds": 10, "failureThreshold": 4}


def living(text, policy="Always", **container):
    """Return a pod whose annotation says how it lives."""
    return make(policy, apps=containers("c", **container), annotations={"kubeberth.io/life": text})


def played(pod, until=float("inf"), steps=100):
    player = Player(pod).admit()
    return player.run(steps, until=player.now + until)


def status_of(player, pod):
    shown = to_status(player.life, pod, Addresses("192.168.0.1"), {}, player.now)
    return shown, shown["containerStatuses"][0]


def test_each_life_of_a_container_goes_as_written_and_the_last_one_again_and_again():
    pod = living("runs: [{for: 5s, exitCode: 3}, {for: 7s, oom: true}, {for: 1s, exitCode: 9}]")
    player = played(pod, steps=2)
    ends = []
    while len(ends) < 4:
        player.step()
        if player.log[-1][0] == "EXITED":
            last = player.life.run_of("c").last
            lasted = round(last.finished_at - last.started_at)
            ends.append((lasted, last.exit_code, last.reason))
    assert ends == [(5, 3, ""), (7, 137, "OOMKilled"), (1, 9, ""), (1, 9, "")]


def test_a_container_out_of_memory_is_shown_as_kubectl_knows_it():
    pod = living("runs: [{for: 5s, oom: true}]")
    player = played(pod, until=6)
    shown, container = status_of(player, pod)
    assert shown["phase"] == "Running"
    assert container["lastState"]["terminated"]["reason"] == "OOMKilled"
    assert container["lastState"]["terminated"]["exitCode"] == 137
    assert container["restartCount"] == 1


def test_a_crash_loop_waits_longer_each_time_and_says_so():
    pod = living("runs: [{for: 5s, exitCode: 1, message: no database}]")
    player = played(pod, until=5.5 + 5 + 9)
    shown, container = status_of(player, pod)
    assert container["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert container["state"]["waiting"]["message"].startswith("back-off 10s restarting failed")
    assert container["lastState"]["terminated"]["reason"] == "Error"
    assert container["lastState"]["terminated"]["message"] == "no database"
    assert (container["restartCount"], container["ready"]) == (1, False)
    assert {c["type"]: c["status"] for c in shown["conditions"]}["Ready"] == "False"
    assert player.reasons().count("BackOff") == 1


@pytest.mark.parametrize(
    ("text", "policy", "phase", "reason"),
    [
        ("runs: [{for: 5s}]", "Never", "Succeeded", "Completed"),
        ("runs: [{for: 5s, exitCode: 2}]", "Never", "Failed", "Error"),
        ("runs: [{for: 5s, oom: true}]", "Never", "Failed", "OOMKilled"),
        ("runs: [{for: 5s, exitCode: 2}, {for: 5s}]", "OnFailure", "Succeeded", "Completed"),
    ],
)
def test_work_ends_as_its_script_and_its_restart_policy_say(text, policy, phase, reason):
    pod = living(text, policy)
    shown, container = status_of(played(pod), pod)
    assert (shown["phase"], container["state"]["terminated"]["reason"]) == (phase, reason)


def test_a_readiness_probe_that_fails_for_a_while_takes_the_pod_out_and_back_in():
    pod = living("runs: [{unready: [{after: 60s, for: 40s}]}]", readinessProbe=PROBE)
    player = Player(pod).admit()
    began = player.now
    # Three failures in a row, 10 s apart, count; then one success does.
    for until, ready in ((79, True), (81, False), (99, False), (101, True)):
        player.run(until=began + until)
        assert player.life.run_of("c").ready is ready, until
    assert player.life.run_of("c").attempt == 0
    notices = [n for n in player.notices if n.reason == "Unhealthy"]
    assert [n.message for n in notices] == [
        "Readiness probe failed: HTTP probe failed with statuscode: 503"
    ]
    assert notices[0].type == "Warning"


def test_a_spell_that_is_too_short_to_count_is_not_noticed():
    pod = living("runs: [{unready: [{after: 60s, for: 15s}]}]", readinessProbe=PROBE)
    assert "Unhealthy" not in played(pod).reasons()


def test_without_a_probe_nobody_notices():
    pod = living("runs: [{unready: [{after: 1s, for: 1h}], livenessFailsAfter: 1s}]")
    player = played(pod)
    assert player.life.run_of("c").ready
    assert "Unhealthy" not in player.reasons()


def test_a_liveness_probe_that_fails_restarts_the_container():
    pod = living("runs: [{livenessFailsAfter: 60s}, {}]", livenessProbe=PROBE)
    player = played(pod)
    run = player.life.run_of("c")
    assert run.attempt == 1
    assert run.last.finished_at - run.last.started_at == 80
    messages = [n.message for n in player.notices if n.reason in ("Unhealthy", "Killing")]
    assert messages == [
        "Liveness probe failed: HTTP probe failed with statuscode: 503",
        "Container c failed liveness probe, will be restarted",
    ]


def test_a_startup_probe_that_gives_up_restarts_the_container():
    pod = living("runs: [{readyAfter: 31s}, {readyAfter: 30s}]", startupProbe=SLOW_START)
    player = played(pod)
    run = player.life.run_of("c")
    assert (run.attempt, run.ready) == (1, True)
    assert run.last.finished_at - run.last.started_at == 30
    messages = [n.message for n in player.notices if n.reason in ("Unhealthy", "Killing")]
    assert messages == [
        "Startup probe failed: HTTP probe failed with statuscode: 503",
        "Container c failed startup probe, will be restarted",
    ]


def test_a_container_that_has_started_stays_so_while_it_is_not_ready():
    pod = living(
        "runs: [{readyAfter: 5s, unready: [{after: 60s, for: 1m}]}]",
        startupProbe=SLOW_START,
        readinessProbe=PROBE,
    )
    player = Player(pod).admit()
    began, seen = player.now, []
    for seconds in (4, 6, 81):
        player.run(until=began + seconds)
        container = status_of(player, pod)[1]
        seen.append((container["started"], container["ready"]))
    assert seen == [(False, False), (True, True), (True, False)]


def test_a_container_starts_and_gets_ready_as_slowly_as_its_script_says():
    pod = living("{start: 20s, runs: [{readyAfter: 1m}]}", readinessProbe=PROBE)
    player = Player(pod).admit()
    began = player.now
    player.run()
    run = player.life.run_of("c")
    assert run.started_at - began == 20
    assert player.now - run.started_at == 60


def test_the_annotation_of_a_container_goes_before_that_of_the_pod():
    annotations = {
        "kubeberth.io/life": "runs: [{for: 1s}]",
        "kubeberth.io/life.b": "runs: [{for: 2s}]",
        "kubeberth.io/life.i": "runs: [{for: 3s}]",
    }
    pod = make(apps=containers("a", "b"), inits=containers("i", "j"), annotations=annotations)
    runs = {run.name: run.program.run_s for run in PodLife(pod).runs}
    assert runs == {"a": 1, "b": 2, "i": 3, "j": 0}


@pytest.mark.parametrize(
    ("text", "flaw"),
    [
        ("runs: [", "is not YAML"),
        ("runs: []", "runs: there must be one at least"),
        ("runs: [{for: soon}]", "runs[0].for: 'soon' is no duration, such as 10s or 1.5m"),
        ("runs: [{for: 1s, exitCode: 300}]", "Expected `int` <= 255 - at `$.runs[0].exitCode`"),
        ("walks: []", "Object contains unknown field `walks`"),
        ("runs: [{oom: true}]", "runs[0]: what ends needs to say after how long: for"),
        ("runs: [{for: 1s, oom: true, exitCode: 1}]", "what is out of memory exits with 137"),
        ("[]", "Expected `object`, got `array`"),
    ],
)
def test_a_script_that_cannot_be_is_told_in_an_event_and_the_pod_runs_without(text, flaw):
    player = played(living(text))
    [notice] = [n for n in player.notices if n.reason == "InvalidPodLife"]
    assert notice.message.startswith("annotation kubeberth.io/life")
    assert flaw in notice.message
    assert player.life.phase == "Running"


FILE = """
apiVersion: kubeberth.io/v1
kind: PodStages
seed: 7
jitter: 0.25
delays: {start: 3s, stop: 200ms}
---
apiVersion: kubeberth.io/v1
kind: PodLife
metadata: {name: crashing}
namespace: shop
selector: {matchLabels: {app: web}}
share: 0.5
runs: [{for: 5s, exitCode: 1}]
"""


def test_a_file_says_how_all_pods_of_a_process_live():
    lives = parse_lives(FILE)
    assert (lives.stages.seed, lives.stages.jitter) == (7, 0.25)
    assert lives.stages.delays[Step.START] == 3
    assert lives.stages.delays[Step.STOP] == 0.2
    assert lives.stages.delays[Step.SANDBOX] == 0.05
    assert [rule.name for rule in lives.scripts.rules] == ["crashing"]


def takers(seed, **metadata):
    rules = parse_lives(FILE).scripts.rules
    scripts = Scripts(rules, seed)
    pods = [
        make_pod(f"p{n}", **{"labels": {"app": "web"}, "namespace": "shop", **metadata})
        for n in range(400)
    ]
    container = KubeletContainer(name="c")
    return [
        p.metadata.name
        for p in pods
        if scripts.of(p, container, FOREVER, is_app=True) != once(FOREVER)
    ]


def test_a_share_of_the_pods_that_match_lives_so_and_with_equal_seeds_the_same_ones():
    assert 150 < len(takers(7)) < 250
    assert takers(7) == takers(7)
    assert takers(7) != takers(8)


def test_pods_of_other_namespaces_and_labels_live_as_ever():
    assert takers(7, namespace="team") == []
    assert takers(7, labels={"app": "db"}) == []


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("kind: Pod", "a Pod cannot be read: only PodLife and PodStages can"),
        ("- 1", "what has no kind cannot be read"),
        ("{kind: PodLife, apiVersion: v1, metadata: {name: a}}", "apiVersion must be kubeberth"),
        (
            "{kind: PodLife, apiVersion: kubeberth.io/v1, metadata: {name: a}, share: 2}",
            r'PodLife "a": Expected `float` <= 1\.0 - at `\$\.share`',
        ),
        (
            "{kind: PodStages, apiVersion: kubeberth.io/v1, delays: {nap: 1s}}",
            "Invalid enum value 'nap'",
        ),
        (
            "{kind: PodStages, apiVersion: kubeberth.io/v1, delays: {stop: later}}",
            "delays.stop: 'later' is no duration",
        ),
        ("{kind: PodStages, apiVersion: kubeberth.io/v1}\n---\n" * 2, "there are 2 PodStages"),
        ("kind: [", "it is not YAML"),
    ],
)
def test_a_file_that_cannot_be_is_refused_in_a_line(text, error):
    with pytest.raises(UsageError, match=error) as caught:
        parse_lives(text)
    assert "\n" not in str(caught.value)
