"""How containers get their images, or do not: the words are those of kubelet and containerd."""

from itertools import pairwise

import pytest
from tests.objects import NOW, pod
from tests.unit.kubelet.player import Player, containers, make

from kubeberth.errors import UsageError
from kubeberth.kubelet.containers import ContainerStage
from kubeberth.kubelet.images import Images
from kubeberth.kubelet.lives import parse_lives
from kubeberth.kubelet.pod_lifecycle import PodLife
from kubeberth.kubelet.pod_status import Addresses, to_status
from kubeberth.kubelet.pulling import go_duration, image_size
from kubeberth.kubelet.transitions import Stage, Stimulus

TYPO = "nginx:1.161"
FULL = f"docker.io/library/{TYPO}"
NOT_FOUND = (
    f'rpc error: code = NotFound desc = failed to pull and unpack image "{FULL}": '
    f'failed to resolve reference "{FULL}": {FULL}: not found'
)
FAILS = {"kubeberth.io/life": "pull: {fails: true}"}


def wanting(image=TYPO, policy="IfNotPresent", annotations=None, **fields):
    container = {"name": "c", "image": image, "imagePullPolicy": policy}
    return make(apps=[container], annotations=annotations, **fields)


def playing(pod, images=(), scripts=None):
    known = {} if scripts is None else {"scripts": scripts}
    return Player(pod, images=Images(images), **known).admit()


def waiting(player, pod, statuses="containerStatuses"):
    """Return a container's waiting reason and message as the API shows it."""
    shown = to_status(player.life, pod, Addresses("192.168.0.1"), {}, player.now)
    state = shown[statuses][0]["state"]["waiting"]
    return state["reason"], state.get("message", "")


def told(player):
    return [(n.type, n.reason, n.message) for n in player.notices]


def test_an_image_that_is_not_on_the_node_is_pulled_with_its_time_and_its_size():
    text = {"kubeberth.io/life": "pull: {takes: 1500ms}"}
    player = playing(wanting(annotations=text)).run()
    assert player.life.phase == "Running"
    assert told(player)[:2] == [
        ("Normal", "Pulling", f'Pulling image "{TYPO}"'),
        (
            "Normal",
            "Pulled",
            f'Successfully pulled image "{TYPO}" in 1.5s (1.5s including waiting). '
            f"Image size: {image_size(FULL)} bytes.",
        ),
    ]
    assert player.reasons()[2:] == ["Created", "Started"]


@pytest.mark.parametrize(
    ("policy", "present", "reasons"),
    [
        ("IfNotPresent", True, ["Pulled"]),
        ("IfNotPresent", False, ["Pulling", "Pulled"]),
        ("Always", True, ["Pulling", "Pulled"]),
        ("Never", True, ["Pulled"]),
    ],
)
def test_the_pull_policy_says_whether_an_image_is_pulled(policy, present, reasons):
    player = playing(wanting(policy=policy), [TYPO] if present else []).run()
    assert player.reasons() == [*reasons, "Created", "Started"]


def test_an_image_that_is_there_is_said_to_be():
    assert told(playing(wanting(), [FULL]).run())[0][2] == (
        f'Container image "{TYPO}" already present on machine and can be accessed by the pod'
    )


def test_the_second_pod_of_a_node_finds_the_image_that_the_first_one_has_pulled():
    images = Images()
    Player(wanting(), images=images).admit().run()
    assert "Pulling" not in Player(wanting(), images=images).admit().run().reasons()


def test_an_image_that_cannot_be_pulled_is_told_as_people_know_it():
    p = wanting(annotations=FAILS)
    player = playing(p).run(until=NOW)
    assert waiting(player, p) == ("ErrImagePull", NOT_FOUND)
    player.run(until=NOW + 1)
    assert waiting(player, p) == (
        "ImagePullBackOff",
        f'Back-off pulling image "{TYPO}": ErrImagePull: {NOT_FOUND}',
    )
    assert told(player) == [
        ("Normal", "Pulling", f'Pulling image "{TYPO}"'),
        ("Warning", "Failed", f'Failed to pull image "{TYPO}": {NOT_FOUND}'),
        ("Warning", "Failed", "Error: ErrImagePull"),
        ("Normal", "BackOff", f'Back-off pulling image "{TYPO}"'),
        ("Warning", "Failed", "Error: ImagePullBackOff"),
    ]
    run = player.life.run_of("c")
    assert (player.life.phase, run.restart_count, run.ready) == ("Pending", 0, False)


def test_pulls_back_off_10_20_40_80_160_300_300_seconds():
    player = playing(wanting(annotations=FAILS))
    pulls = []
    while len(pulls) < 8:
        before = player.reasons().count("Pulling")
        player.step()
        if player.reasons().count("Pulling") > before:
            pulls.append(player.now)
    waits = [later - earlier for earlier, later in pairwise(pulls)]
    assert waits == [10, 20, 40, 80, 160, 300, 300]


def test_a_pod_starts_once_its_image_has_become_available():
    text = {"kubeberth.io/life": 'pull: {failsFor: 25s, message: "no route to host"}'}
    p = wanting(annotations=text)
    player = playing(p).run(until=NOW + 29)
    assert waiting(player, p)[1].endswith("no route to host")
    player.run(until=NOW + 31)
    run = player.life.run_of("c")
    assert (player.life.phase, run.restart_count, run.trouble) == ("Running", 0, None)


def test_a_pod_that_is_given_an_image_that_can_be_pulled_starts_at_once():
    """As `kubectl set image pod/...` does; an annotation that changes counts at the next try."""
    p = wanting(annotations=FAILS)
    player = playing(p, ["nginx:1.16"]).run(until=NOW + 5)
    player.take(player.life.rewritten(wanting("nginx:1.16", annotations=FAILS), player.now))
    player.run(until=NOW + 5)
    assert player.life.phase == "Running"

    player = playing(p).run(until=NOW + 5)
    player.take(player.life.rewritten(wanting(), player.now))
    assert player.run(until=NOW + 9).life.phase == "Pending"
    assert player.run(until=NOW + 10).life.phase == "Running"


def test_an_image_that_changes_while_the_old_one_is_pulled_is_pulled_next():
    slow = {"kubeberth.io/life": "pull: {takes: 10s}"}
    player = playing(wanting(annotations=slow)).run(until=NOW + 5)
    player.take(player.life.rewritten(wanting("redis:7", annotations=slow), player.now))
    player.run()
    messages = [message for _, _, message in told(player)]
    assert 'Pulling image "redis:7"' in messages
    assert player.life.run_of("c").image == "redis:7"
    assert not any(
        message.startswith(f'Successfully pulled image "{TYPO}"') for message in messages
    )


def test_an_image_that_must_not_be_pulled_and_is_not_there_is_waited_for():
    p = wanting(policy="Never")
    images = Images()
    player = Player(p, images=images).admit().run(until=NOW)
    said = f'Container image "{TYPO}" is not present with pull policy of Never'
    assert waiting(player, p) == ("ErrImageNeverPull", said)
    assert told(player) == [
        ("Warning", "ErrImageNeverPull", said),
        ("Warning", "Failed", "Error: ErrImageNeverPull"),
    ]
    images.add(TYPO)
    assert player.run(until=NOW + 10).life.phase == "Running"


def test_a_name_that_is_no_images_is_told():
    p = wanting("busyBOX")
    player = playing(p).run(until=NOW)
    said = (
        'Failed to apply default image tag "busyBOX": couldn\'t parse image name "busyBOX": '
        "invalid reference format: repository name (library/busyBOX) must be lowercase"
    )
    assert waiting(player, p) == ("InvalidImageName", said)
    assert told(player) == [
        ("Warning", "InspectFailed", said),
        ("Warning", "Failed", "Error: InvalidImageName"),
    ]
    assert player.run(until=NOW + 3600).life.phase == "Pending"


def test_an_init_container_without_its_image_keeps_the_others_waiting():
    init = containers("i", imagePullPolicy="IfNotPresent")
    text = {"kubeberth.io/life.i": "pull: {failsFor: 15s}"}
    p = make(inits=init, annotations=text)
    player = playing(p, []).run(until=NOW + 2)
    assert waiting(player, p, "initContainerStatuses")[0] == "ImagePullBackOff"
    assert waiting(player, p) == ("PodInitializing", "")
    player.run(until=NOW + 60)
    assert player.life.phase == "Running"
    assert player.life.run_of("i").has_succeeded, "without runs it does what it would"


def test_a_pod_that_is_deleted_while_it_waits_for_its_image_ends():
    player = playing(wanting(annotations=FAILS)).run(until=NOW + 5)
    player.take(player.life.deleted(30.0, player.now))
    player.run()
    assert (player.life.stage, player.life.phase) == (Stage.ENDED, "Failed")


def test_the_other_containers_of_the_pod_run_and_the_pod_is_pending():
    apps = [
        {"name": "good", "image": "nginx"},
        {"name": "bad", "image": TYPO, "imagePullPolicy": "IfNotPresent"},
    ]
    text = {"kubeberth.io/life.bad": "pull: {fails: true}"}
    player = playing(make(apps=apps, annotations=text)).run(until=NOW + 100)
    assert player.life.phase == "Pending"
    assert player.life.run_of("good").stage is ContainerStage.RUNNING


def test_a_container_that_restarts_pulls_again_what_is_always_pulled():
    p = make(apps=containers("c", command=["false"], imagePullPolicy="Always"))
    assert playing(p).run(until=NOW + 5).reasons().count("Pulling") == 2


def pending(*states):
    return pod(
        spec={"containers": [{"name": name, "image": f"{name}:1"} for name, _ in states]},
        annotations={"kubeberth.io/life.bad": "pull: {failsFor: 60s}"},
        status={
            "phase": "Pending",
            "startTime": "2027-01-15T08:00:00Z",
            "podIP": "10.244.1.9",
            "containerStatuses": [
                {"name": name, "ready": "running" in state, "restartCount": 0, "state": state}
                for name, state in states
            ],
        },
    )


def test_a_kubelet_that_starts_anew_leaves_what_runs_alone_and_pulls_again():
    p = pending(
        ("good", {"running": {"startedAt": "2027-01-15T08:00:00Z"}}),
        ("bad", {"waiting": {"reason": "ImagePullBackOff"}}),
    )
    images = Images()
    life = PodLife(p, images=images)
    effects = life.restored(p.status, NOW)
    life.check_invariants()
    assert [(t.stimulus, t.container) for t in effects.timers] == [(Stimulus.PULLED, "bad")]
    assert life.run_of("good").restart_count == 0
    assert life.phase == "Pending"
    assert images.has("good:1"), "what runs is there"


FILE = """
apiVersion: kubeberth.io/v1
kind: PodLife
metadata: {name: typo}
images: ["*:1.161", "registry.example/*"]
pull: {fails: true}
"""


@pytest.mark.parametrize(
    ("image", "phase"),
    [(TYPO, "Pending"), ("registry.example/team/app", "Pending"), ("nginx:1.16", "Running")],
)
def test_a_file_names_the_images_that_no_pod_can_pull(image, phase):
    scripts = parse_lives(FILE).scripts
    assert playing(wanting(image), scripts=scripts).run(until=NOW + 5).life.phase == phase
    init = [{"name": "i", "image": image}]
    player = playing(make(inits=init), scripts=scripts).run(until=NOW + 5)
    assert player.life.phase == phase, "of init containers as well"


@pytest.mark.parametrize(
    ("pull", "error"),
    [
        (
            "{fails: true, failsFor: 1m}",
            "pull: fails is for ever, and failsFor is not: one of them",
        ),
        ("{message: denied}", "pull: what has a message needs to say that it fails, or failsFor"),
        ("{failsFor: soon}", "pull.failsFor: 'soon' is no duration"),
        ("{until: 1m}", "unknown field `until`"),
    ],
)
def test_a_pull_that_cannot_be_is_refused_in_a_line(pull, error):
    with pytest.raises(UsageError, match=error):
        parse_lives(FILE.replace("{fails: true}", pull))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.0234, "23ms"), (1.5, "1.5s"), (62.05, "1m2.05s"), (3600.0, "1h0m0s")],
)
def test_durations_are_written_as_go_writes_them(seconds, text):
    assert go_duration(seconds) == text
