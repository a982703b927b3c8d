import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.objects import NOW, pod
from tests.unit.kubelet.player import Player, containers, make

from kubeberth.clock import rfc3339
from kubeberth.kubelet.containers import ContainerStage
from kubeberth.kubelet.pod import KubeletPod
from kubeberth.kubelet.pod_lifecycle import InvalidTransitionError, PodLife
from kubeberth.kubelet.transitions import TRANSITIONS, Stage, Step, Stimulus, Timer


def test_a_pod_goes_through_sandbox_and_start_to_running():
    player = Player(make()).admit()
    assert player.life.stage is Stage.CREATING
    assert player.life.phase == "Pending"
    player.run()
    assert player.life.phase == "Running"
    assert player.life.run_of("c").ready
    assert player.log == [("SANDBOX_READY", ""), ("STARTED", "c")]
    assert player.reasons() == ["Pulled", "Created", "Started"]


def test_a_pod_is_running_only_when_all_its_containers_are():
    player = Player(make(apps=containers("a", "b"))).admit().run(steps=2)
    assert player.life.phase == "Pending"
    assert player.run().life.phase == "Running"


def test_init_containers_run_one_by_one_before_the_others():
    player = Player(make(inits=containers("i", "j"))).admit().run()
    assert [entry for entry in player.log if entry[1]] == [
        ("STARTED", "i"),
        ("EXITED", "i"),
        ("STARTED", "j"),
        ("EXITED", "j"),
        ("STARTED", "c"),
    ]


def test_a_sidecar_runs_on_beside_the_containers():
    sidecar = containers("s", restartPolicy="Always")
    player = Player(make(inits=[*sidecar, *containers("i")])).admit().run()
    assert [name for stimulus, name in player.log if stimulus == "STARTED"] == ["s", "i", "c"]
    assert player.life.run_of("s").stage is ContainerStage.RUNNING


def test_a_failing_init_container_ends_a_pod_that_never_restarts():
    failing = containers("i", command=["false"])
    player = Player(make("Never", inits=failing)).admit().run()
    assert player.life.phase == "Failed"
    assert player.life.run_of("c").stage is ContainerStage.WAITING


def test_a_failing_init_container_is_tried_again_otherwise():
    failing = containers("i", command=["false"])
    player = Player(make("OnFailure", inits=failing)).admit().run(steps=20)
    assert player.life.phase == "Pending"
    assert player.life.run_of("i").attempt > 2


def test_crash_loops_back_off_10_20_40_80_160_300_300_seconds():
    """N98, the first restart is immediate."""
    player = Player(make(apps=containers("c", command=["true"]))).admit()
    waits = []
    while len(waits) < 8:
        player.step()
        run = player.life.run_of("c")
        if player.log[-1][0] == "EXITED":
            waits.append(run.waits_s)
    assert waits == [0, 10, 20, 40, 80, 160, 300, 300]
    assert player.life.phase == "Running", "a crash loop is a running pod"
    assert "BackOff" in player.reasons()


def test_a_run_of_more_than_ten_minutes_starts_the_back_off_over():
    """N99."""
    player = Player(make(apps=containers("c", command=["sleep", "11m"]))).admit()
    player.run(steps=8)
    assert player.life.run_of("c").attempt >= 2
    assert player.life.run_of("c").waits_s == 0


@pytest.mark.parametrize(
    ("policy", "commands", "phase"),
    [
        pytest.param("Never", ["true", "false"], "Failed", id="N100"),
        pytest.param("Never", ["true", "true"], "Succeeded", id="all well"),
        pytest.param("OnFailure", ["true", "true"], "Succeeded", id="N101"),
        pytest.param("OnFailure", ["true", "sleep"], "Running", id="N101: the other still runs"),
    ],
)
def test_pods_end_by_restart_policy_and_exit_codes(policy, commands, phase):
    arguments = {"sleep": ["sleep", "9999"]}
    apps = [
        {"name": f"c{i}", "image": "x", "command": arguments.get(command, [command])}
        for i, command in enumerate(commands)
    ]
    player = Player(make(policy, apps=apps)).admit().run(until=NOW + 600)
    assert player.life.phase == phase


def test_a_sidecar_is_stopped_when_the_work_is_done():
    """N103."""
    sidecar = containers("s", restartPolicy="Always")
    apps = containers("c", command=["true"])
    player = Player(make("Never", apps=apps, inits=sidecar)).admit().run()
    assert player.life.phase == "Succeeded"
    assert player.life.run_of("s").stage is ContainerStage.EXITED


def test_annotations_say_when_and_how_containers_end():
    annotations = {"kubeberth.io/exit-after-seconds": "5", "kubeberth.io/exit-code": "3"}
    player = Player(make("Never", annotations=annotations)).admit().run()
    assert player.life.phase == "Failed"
    assert player.life.run_of("c").exit_code == 3
    assert player.now == NOW + 5


def test_probes_delay_readiness():
    probe = {"httpGet": {"port": 80}, "initialDelaySeconds": 7}
    player = Player(make(apps=containers("c", readinessProbe=probe))).admit().run(steps=2)
    assert player.life.phase == "Running"
    assert not player.life.run_of("c").ready
    player.run()
    assert player.life.run_of("c").ready
    assert player.now == NOW + 7


def test_deleting_stops_the_containers_and_ends_the_pod():
    player = Player(make()).admit().run()
    effects = player.life.deleted(30, player.now)
    assert [(timer.stimulus, timer.step) for timer in effects.timers] == [
        (Stimulus.STOPPED, Step.STOP)
    ]
    player.take(effects)
    assert player.life.stage is Stage.TERMINATING
    assert player.life.phase == "Running"
    player.run()
    assert player.life.phase == "Succeeded"
    assert player.reasons()[-1] == "Killing"


def test_a_pod_that_is_deleted_before_anything_ran_fails_with_lost_containers():
    player = Player(make()).admit()
    player.take(player.life.deleted(30, player.now))
    player.run()
    assert player.life.phase == "Failed"
    assert player.life.run_of("c").lost


def test_told_again_to_end_it_may_have_to_be_quicker_but_never_has_longer():
    player = Player(make()).admit().run()
    [timer] = player.life.deleted(30, player.now).timers
    assert timer.at_most_s == 30
    [timer] = player.life.deleted(25, player.now + 20).timers
    assert timer.at_most_s == 10
    [timer] = player.life.deleted(5, player.now + 21).timers
    assert timer.at_most_s == 5
    [timer] = player.life.deleted(0, player.now + 21).timers
    assert timer.at_most_s == 0


@pytest.mark.parametrize(
    ("took_s", "exit_code", "phase"), [(29, 0, "Succeeded"), (30, 137, "Failed")]
)
def test_a_container_that_does_not_end_within_its_grace_period_is_killed(took_s, exit_code, phase):
    """N105."""
    player = Player(make()).admit().run()
    [timer] = player.life.deleted(30, player.now).timers
    player.take(player.life.tell(timer, player.now + took_s))
    assert (player.life.run_of("c").exit_code, player.life.phase) == (exit_code, phase)


def test_work_that_is_told_to_stop_has_not_been_done():
    player = Player(make("Never", apps=containers("c", command=["sleep", "60"]))).admit()
    player.run(until=NOW + 30)
    player.take(player.life.deleted(30, player.now))
    player.run()
    assert (player.life.run_of("c").exit_code, player.life.phase) == (143, "Failed")


def test_a_pod_that_has_to_go_for_others_has_its_own_grace_period():
    player = Player(make(terminationGracePeriodSeconds=7)).admit().run()
    assert player.life.preempted(player.now).timers[0].at_most_s == 7


def test_a_refused_pod_fails_and_says_why():
    life = PodLife(make())
    effects = life.rejected("OutOfcpu", "too little", NOW)
    assert (life.phase, life.reason) == ("Failed", "OutOfcpu")
    assert life.message == "Pod was rejected: too little"
    assert [(n.type, n.reason, n.message) for n in effects.notices] == [
        ("Warning", "OutOfcpu", "too little")
    ]


def test_a_pod_that_makes_room_for_a_critical_one_ends_failed_and_says_why():
    player = Player(make()).admit().run(steps=2)
    player.take(player.life.preempted(player.now))
    assert (player.life.phase, player.life.is_preempted) == ("Running", True)
    player.run()
    assert (player.life.phase, player.life.reason) == ("Failed", "Preempting")
    assert player.life.message == "Preempted in order to admit critical pod"
    assert [n.reason for n in player.notices][-2:] == ["Preempting", "Killing"]


def test_timers_of_an_earlier_life_of_a_container_say_nothing():
    player = Player(make(apps=containers("c", command=["true"]))).admit().run(steps=4)
    old = Timer(Stimulus.EXITED, container="c", attempt=0)
    before = player.life.run_of("c").attempt
    assert player.life.tell(old, player.now).timers == []
    assert player.life.run_of("c").attempt == before


def test_what_cannot_happen_raises_with_the_last_steps():
    life = PodLife(make())
    life.rejected("NodeAffinity", "no", NOW)
    with pytest.raises(InvalidTransitionError, match=r"PENDING \+ REJECTED, ENDED \+ ADMITTED"):
        life.admitted(NOW)


def test_no_stage_is_ever_gone_back_to():
    order = list(Stage)
    for (before, _), after in TRANSITIONS.items():
        assert order.index(after) >= order.index(before)


def running_status(**container):
    return {
        "phase": "Running",
        "startTime": "2027-01-15T08:00:00Z",
        "podIP": "10.244.1.9",
        "containerStatuses": [
            {
                "name": "c",
                "ready": True,
                "restartCount": 2,
                "state": {"running": {"startedAt": "2027-01-15T07:59:00Z"}},
                **container,
            }
        ],
    }


def restored(p, now=NOW):
    life = PodLife(p)
    effects = life.restored(p.status, now)
    life.check_invariants()
    return life, effects


def test_a_pod_that_ran_before_goes_on_without_a_restart():
    life, effects = restored(pod(status=running_status()))
    run = life.run_of("c")
    assert (life.phase, run.stage, run.attempt, run.ready) == (
        "Running",
        ContainerStage.RUNNING,
        2,
        True,
    )
    assert effects.timers == []


def test_a_container_that_had_just_ended_is_started_again():
    """A kubelet that died between the two must not leave it so."""
    ended = {"terminated": {"exitCode": 1, "startedAt": "2027-01-15T07:59:00Z"}}
    life, effects = restored(pod(status=running_status(ready=False, state=ended)))
    assert [(timer.stimulus, timer.attempt) for timer in effects.timers] == [(Stimulus.STARTED, 3)]
    assert life.run_of("c").restart_count == 2


def test_a_crash_loop_goes_on_where_it_was():
    ended = {"exitCode": 1, "startedAt": "2027-01-15T07:59:00Z"}
    status = running_status(
        ready=False,
        state={"waiting": {"reason": "CrashLoopBackOff"}},
        lastState={"terminated": ended},
    )
    life, effects = restored(pod(status=status))
    [timer] = effects.timers
    assert (timer.stimulus, timer.container, timer.attempt) == (Stimulus.STARTED, "c", 3)
    assert life.run_of("c").restart_count == 2
    life.tell(timer, NOW)
    assert life.run_of("c").stage is ContainerStage.RUNNING


PROBE = {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 10, "failureThreshold": 3}


def resumed(life_text, away_s, *, ready=True, started=True, **container):
    """Return the player of a container whose kubelet starts anew so long after it has started."""
    p = make(apps=containers("c", **container), annotations={"kubeberth.io/life": life_text})
    state = {"running": {"startedAt": rfc3339(NOW)}}
    status = running_status(ready=ready, started=started, restartCount=0, state=state)
    player = Player(msgspec.structs.replace(p, status=pod(status=status).status))
    player.now = NOW + away_s
    player.take(player.life.restored(pod(status=status).status, player.now))
    return player


def when(player, holds, until=NOW + 7200):
    """Return how long after the container's start something holds for the first time."""
    while not holds(player.life.run_of("c")):
        assert player.timers, "it never does"
        player.step()
        assert player.now < until, "it does not in time"
    return player.now - NOW


def restarted(run):
    return run.attempt == 1


def test_a_liveness_probe_goes_on_after_a_restart_of_the_kubelet_and_counts_anew():
    """It has failed since 60 s, and would have ended the container at 80 s."""
    text = "runs: [{livenessFailsAfter: 60s}, {}]"
    assert when(resumed(text, 30, livenessProbe=PROBE), restarted) == 80
    assert when(resumed(text, 75, livenessProbe=PROBE), restarted) == 95
    late = PROBE | {"initialDelaySeconds": 100}
    assert when(resumed(text, 75, livenessProbe=late), restarted) == 120


def test_a_readiness_probe_goes_on_after_a_restart_of_the_kubelet():
    text = "runs: [{unready: [{after: 60s, for: 60s}]}]"
    for away_s, unready_at in ((30, 80), (65, 85)):
        player = resumed(text, away_s, readinessProbe=PROBE)
        assert when(player, lambda run: not run.ready) == unready_at
        assert when(player, lambda run: run.ready) == 120


def test_what_a_readiness_probe_had_found_stays_until_it_finds_something_else():
    text = "runs: [{unready: [{after: 60s, for: 60s}]}]"
    player = resumed(text, 100, ready=False, readinessProbe=PROBE)
    assert not player.life.run_of("c").ready
    assert when(player, lambda run: run.ready) == 120
    player = resumed("runs: [{readyAfter: 50s}]", 20, ready=False, readinessProbe=PROBE)
    assert when(player, lambda run: run.ready) == 50


def test_a_startup_probe_goes_on_after_a_restart_of_the_kubelet():
    """Of three failures, 10 s apart, those before the restart do not count."""
    text = "runs: [{readyAfter: 40s}, {}]"
    unstarted = {"ready": False, "started": False, "startupProbe": PROBE}
    assert when(resumed(text, 5, **unstarted), restarted) == 25
    assert when(resumed(text, 30, **unstarted), lambda run: run.is_started) == 40


def test_work_that_goes_on_while_the_kubelet_is_away_takes_no_longer_for_it():
    assert when(resumed("runs: [{for: 60s}, {}]", 45), restarted) == 60
    assert when(resumed("runs: [{for: 60s}, {}]", 90), restarted) == 90


COMMANDS = st.sampled_from([[], ["true"], ["false"], ["sleep", "5"]])


@given(
    policy=st.sampled_from(["Always", "OnFailure", "Never"]),
    apps=st.lists(COMMANDS, min_size=1, max_size=3),
    inits=st.lists(st.tuples(COMMANDS, st.booleans()), max_size=3),
    order=st.lists(st.integers(0, 9), max_size=30),
    delete_at=st.integers(0, 40),
)
@example(  # a sidecar that comes back while init containers start
    policy="Always",
    apps=[[]],
    inits=[(["true"], True), ([], False), ([], False)],
    order=[0, 0, 0, 1, 0, 2, 0, 0, 0],
    delete_at=9,
)
def test_in_any_order_of_events_the_invariants_hold(policy, apps, inits, order, delete_at):
    spec = [
        {"name": f"i{n}", "command": command, **({"restartPolicy": "Always"} if sidecar else {})}
        for n, (command, sidecar) in enumerate(inits)
    ]
    named = [{"name": f"a{n}", "command": command} for n, command in enumerate(apps)]
    player = Player(make(policy, apps=named, inits=spec)).admit()
    for count, choice in enumerate(order):
        if count == delete_at:
            player.take(player.life.deleted(30, player.now))
        if not player.timers:
            break
        _, timer = player.timers.pop(choice % len(player.timers))
        player.now += 1
        player.take(player.life.tell(timer, player.now))


def test_a_pod_is_read_with_its_probes_and_gates():
    document = {
        "spec": {
            "containers": [{"name": "c", "startupProbe": {"initialDelaySeconds": 2}}],
            "readinessGates": [{"conditionType": "x"}],
        }
    }
    read = msgspec.convert(document, KubeletPod)
    assert read.spec.containers[0].startup_probe.initial_delay_seconds == 2
    assert read.spec.readiness_gates[0].condition_type == "x"


def test_an_ephemeral_container_joins_a_pod_and_changes_nothing_else_about_it():
    player = Player(make("Never", apps=containers("c", command=["sleep", "60"]))).admit()
    player.run(until=NOW + 30)
    debugged = make(ephemeralContainers=containers("debug", command=["false"]))
    player.take(player.life.joined(debugged, player.now))
    player.run(until=NOW + 30)
    assert player.life.run_of("debug").stage is ContainerStage.EXITED
    assert player.life.phase == "Running"
    assert player.life.joined(debugged, player.now).timers == []
    player.run()
    assert player.life.phase == "Succeeded"


def test_an_ephemeral_container_that_comes_early_waits_for_the_sandbox():
    player = Player(make()).admit()
    player.take(player.life.joined(make(ephemeralContainers=containers("debug")), player.now))
    assert player.run().life.run_of("debug").stage is ContainerStage.RUNNING


def test_an_ephemeral_container_ends_with_its_pod():
    p = make(apps=containers("c", command=["true"]), policy="Never")
    player = Player(p)
    player.admit()
    player.take(player.life.joined(make(ephemeralContainers=containers("debug")), player.now))
    player.run()
    assert player.life.phase == "Succeeded"
    assert player.life.run_of("debug").stage is ContainerStage.EXITED


def test_a_pod_that_is_active_for_longer_than_it_may_is_ended_and_has_failed():
    player = Player(make()).admit()
    (deadline,) = player.life.limited(60.0, player.now + 20.0)
    assert deadline.extra_s == 40.0
    player.run()
    player.take(player.life.tell(deadline, player.now))
    assert (player.life.stage, player.life.phase) == (Stage.TERMINATING, "Running")
    player.run()
    assert (player.life.phase, player.life.reason) == ("Failed", "DeadlineExceeded")
    assert player.life.message == "Pod was active on the node longer than the specified deadline"
    assert player.reasons()[-2:] == ["DeadlineExceeded", "Killing"]


def test_a_pod_that_has_ended_in_time_has_no_deadline_to_miss():
    player = Player(make("Never", apps=containers("c", command=["true"]))).admit().run()
    (deadline,) = player.life.limited(60.0, player.now)
    player.take(player.life.tell(deadline, player.now + 60.0))
    assert (player.life.phase, player.life.reason) == ("Succeeded", "")


def test_a_pod_without_a_deadline_is_active_for_ever():
    assert Player(make()).admit().life.limited(None, NOW) == []
