import pytest
from tests.objects import NOW, condition, pod
from tests.unit.kubelet.player import Player, containers, make

from kubeberth.api.meta import Condition
from kubeberth.clock import rfc3339
from kubeberth.kubelet.pod_status import Addresses, container_id, image_id, to_patch, to_status

ADDRESSES = Addresses("192.168.0.1", "10.244.1.2")


def show(player, p=None, *, addresses=ADDRESSES, shown=None, now=NOW):
    return to_status(player.life, p or make(), addresses, shown or {}, now)


def by_type(status):
    return {entry["type"]: entry for entry in status["conditions"]}


def test_a_starting_pod_is_pending_and_its_container_being_created():
    status = show(Player(make()).admit(), addresses=Addresses("192.168.0.1"))
    assert status["phase"] == "Pending"
    assert status["hostIP"] == "192.168.0.1"
    assert "podIP" not in status
    assert status["containerStatuses"][0]["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert status["containerStatuses"][0]["imageID"] == ""
    assert by_type(status)["PodReadyToStartContainers"]["status"] == "False"
    ready = by_type(status)["Ready"]
    assert ready["reason"] == "ContainersNotReady"
    assert ready["message"] == "containers with unready status: [c]"


def test_a_running_pod_shows_everything_a_kubelet_shows():
    p = make()
    player = Player(p).admit().run()
    status = show(player, p)
    assert status["phase"] == "Running"
    assert status["podIP"] == "10.244.1.2"
    assert status["podIPs"] == [{"ip": "10.244.1.2"}]
    assert status["hostIPs"] == [{"ip": "192.168.0.1"}]
    assert status["startTime"] == rfc3339(NOW)
    assert status["observedGeneration"] == 1
    assert status["containerStatuses"] == [
        {
            "name": "c",
            "image": "nginx",
            "imageID": image_id("nginx"),
            "containerID": container_id("uid-web-1", "c", 0),
            "restartCount": 0,
            "ready": True,
            "started": True,
            "state": {"running": {"startedAt": rfc3339(NOW)}},
            "lastState": {},
            "resources": {},
        }
    ]
    types = {entry["type"]: entry["status"] for entry in status["conditions"]}
    assert types == {
        "PodReadyToStartContainers": "True",
        "Initialized": "True",
        "Ready": "True",
        "ContainersReady": "True",
        "PodScheduled": "True",
    }
    assert all(entry["observedGeneration"] == 1 for entry in status["conditions"])


def test_what_a_container_asked_for_shows_as_allocated():
    p = make(apps=containers("c", resources={"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}))
    [container] = show(Player(p).admit(), p)["containerStatuses"]
    assert container["allocatedResources"] == {"cpu": "1"}
    assert container["resources"] == {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}


def test_conditions_keep_the_time_since_when_they_hold():
    shown = {
        "Ready": Condition(type="Ready", status="True", last_transition_time="then"),
        "Initialized": Condition(type="Initialized", status="False", last_transition_time="then"),
    }
    entries = by_type(show(Player(make()).admit().run(), shown=shown, now=NOW + 9))
    assert entries["Ready"]["lastTransitionTime"] == "then"
    assert entries["Initialized"]["lastTransitionTime"] == rfc3339(NOW + 9)


def test_a_reason_that_no_longer_holds_is_taken_away():
    shown = {"Ready": Condition(type="Ready", status="False", reason="ContainersNotReady")}
    status = show(Player(make()).admit().run(), shown=shown)
    assert "reason" not in by_type(status)["Ready"]
    ready = by_type(to_patch(status, shown))["Ready"]
    assert ready["reason"] is None
    assert "message" not in ready


def test_while_init_containers_run_the_others_wait_for_them():
    p = make(inits=containers("i"))
    player = Player(p).admit().run(steps=2)
    status = show(player, p)
    assert status["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}
    assert "running" in status["initContainerStatuses"][0]["state"]
    initialized = by_type(status)["Initialized"]
    assert initialized["reason"] == "ContainersNotInitialized"
    assert initialized["message"] == "containers with incomplete status: [i]"


def test_a_crash_loop_shows_its_back_off_and_its_last_end():
    p = make(apps=containers("c", command=["false"]))
    player = Player(p).admit()
    while player.life.run_of("c").waits_s == 0:
        player.step()
    [container] = show(player, p)["containerStatuses"]
    assert container["state"]["waiting"] == {
        "reason": "CrashLoopBackOff",
        "message": "back-off 10s restarting failed container=c pod=web-1_default(uid-web-1)",
    }
    assert container["restartCount"] == 1, "the life that it waits for does not count yet"
    assert container["lastState"]["terminated"]["exitCode"] == 1
    assert container["lastState"]["terminated"]["reason"] == "Error"


def test_readiness_gates_hold_a_pod_back():
    """N104."""
    p = make(readinessGates=[{"conditionType": "x"}])
    player = Player(p).admit().run()
    ready = by_type(show(player, p))["Ready"]
    assert ready["reason"] == "ReadinessGatesNotReady"
    assert ready["message"] == ('corresponding condition of pod readiness gate "x" does not exist.')
    gated = pod(
        spec={"readinessGates": [{"conditionType": "x"}]},
        status={"conditions": [condition("x", "False")]},
    )
    message = by_type(show(player, gated))["Ready"]["message"]
    assert message == 'the status of pod readiness gate "x" is not "True", but False'


@pytest.mark.parametrize(
    ("command", "phase", "reason"),
    [("true", "Succeeded", "PodCompleted"), ("false", "Failed", "PodFailed")],
)
def test_an_ended_pod_says_how_it_ended(command, phase, reason):
    p = make("Never", apps=containers("c", command=[command]))
    status = show(Player(p).admit().run(), p)
    assert status["phase"] == phase
    assert by_type(status)["Ready"]["reason"] == reason
    assert by_type(status)["PodReadyToStartContainers"]["status"] == "False"
    ended = status["containerStatuses"][0]["state"]["terminated"]
    assert ended["reason"] == ("Completed" if command == "true" else "Error")


def test_a_refused_pod_says_nothing_about_containers():
    player = Player(make())
    player.life.rejected("OutOfpods", "full", NOW)
    assert show(player) == {
        "phase": "Failed",
        "observedGeneration": 1,
        "startTime": rfc3339(NOW),
        "reason": "OutOfpods",
        "message": "Pod was rejected: full",
    }


@pytest.mark.parametrize(
    ("image", "repository"),
    [
        ("nginx", "nginx"),
        ("nginx:1.16", "nginx"),
        ("registry:5000/app", "registry:5000/app"),
        ("registry:5000/app:1", "registry:5000/app"),
    ],
)
def test_image_ids_are_digests_of_the_repository(image, repository):
    assert image_id(image).startswith(f"{repository}@sha256:")


def test_an_ephemeral_container_is_shown_beside_the_others():
    player = Player(make()).admit().run()
    debugged = make(ephemeralContainers=containers("debug"))
    player.take(player.life.joined(debugged, player.now))
    (status,) = show(player, debugged)["ephemeralContainerStatuses"]
    assert status["state"] == {"waiting": {"reason": "ContainerCreating"}}
    player.run()
    (status,) = show(player, debugged)["ephemeralContainerStatuses"]
    assert status["state"] == {"running": {"startedAt": rfc3339(NOW)}}
    assert (status["ready"], "resources" in status) == (False, False)


def test_a_container_that_is_not_found_any_more_ended_with_137():
    """N110."""
    player = Player(make()).admit()
    player.take(player.life.deleted(30, player.now))
    player.run()
    [container] = show(player)["containerStatuses"]
    ended = container["state"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("ContainerStatusUnknown", 137)
