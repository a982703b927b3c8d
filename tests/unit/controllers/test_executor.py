import asyncio

import pytest
from tests.fake_api import FakeApi

from kubeberth.api.scheme import CONFIG_MAPS, NAMESPACES, PODS, REPLICA_SETS
from kubeberth.client.recorder import EventRecorder
from kubeberth.clock import SystemClock
from kubeberth.controllers.action import (
    ConfirmAbsent,
    ConfirmAlive,
    CreateObject,
    CreatePods,
    DeleteContent,
    DeleteObject,
    DeletePods,
    InBatches,
    ObjectRef,
    PatchObject,
    Stop,
    StoppedError,
    Together,
    Told,
)
from kubeberth.controllers.executor import Executor
from kubeberth.errors import (
    AlreadyExistsError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    TransportError,
)

OWNER = ObjectRef(REPLICA_SETS, "web", "default", "uid-web")
BODY = {"metadata": {"generateName": "web-"}, "spec": {}}


class Journal:
    def __init__(self):
        self.writes = []
        self.deletions = []

    def wrote(self, resource, resource_version):
        self.writes.append((resource, resource_version))

    def deleted(self, target):
        self.deletions.append(target.name)


class Recorder:
    """Notes events instead of writing them."""

    def __init__(self):
        self.events = []

    def record(self, about, type_, reason, message):
        self.events.append((about.name, type_, reason, message))


def carry_out(api, *actions, recorder=None):
    journal = Journal()

    async def scenario():
        client = api.client()
        events = recorder or EventRecorder(client, "test", SystemClock())
        await Executor(client, events).carry_out(actions, journal)

    asyncio.run(scenario())
    return journal


def put_pod(api, name="p", **metadata):
    body = api.put(PODS, {"metadata": {"name": name, **metadata}, "spec": {}})
    return ObjectRef(PODS, name, "default", body["metadata"]["uid"])


def test_all_pods_are_created_and_every_write_is_noted():
    api = FakeApi()
    journal = carry_out(api, CreatePods(OWNER, (BODY,) * 7))
    assert len(api.objects[PODS]) == 7
    assert len(journal.writes) == 7


@pytest.mark.parametrize(("allowed", "tried"), [(0, 1), (1, 3), (3, 7)])
def test_the_first_batch_with_a_failure_is_the_last(allowed, tried):
    class Quota(FakeApi):
        def put(self, resource, body):
            if len(self.objects[PODS]) >= allowed:
                raise ForbiddenError("exceeded quota")
            return super().put(resource, body)

    api = Quota()
    with pytest.raises(StoppedError, match="exceeded quota") as stopped:
        carry_out(api, CreatePods(OWNER, (BODY,) * 100))
    assert stopped.value.reason == "FailedCreate"
    assert len(api.objects[PODS]) == allowed
    assert sum(entry[0] == "create" for entry in api.log) == tried


def test_a_server_that_is_away_is_no_failure_of_the_pods():
    api = FakeApi()
    api.is_down = True
    with pytest.raises(TransportError):
        carry_out(api, CreatePods(OWNER, (BODY,) * 3))


def test_what_a_terminating_namespace_refuses_need_not_be():
    api = FakeApi()
    body = {"metadata": {"name": "default", "deletionTimestamp": "x"}}
    api.put(NAMESPACES, body)
    carry_out(api, CreatePods(OWNER, (BODY,) * 3))
    assert api.objects[PODS] == {}


def test_deleting_pods_notes_each_and_skips_those_that_are_gone_or_others_by_now():
    api = FakeApi()
    mine, other = put_pod(api, "mine"), put_pod(api, "other")
    stale = ObjectRef(PODS, "other", "default", "uid-of-before")
    gone = ObjectRef(PODS, "gone", "default", "uid-gone")
    journal = carry_out(api, DeletePods(OWNER, (mine, stale, gone)))
    assert journal.deletions == ["mine"]
    assert list(api.objects[PODS]) == [f"default/{other.name}"]


def test_a_pod_whose_end_is_refused_with_a_conflict_is_not_taken_for_another_one():
    api, recorder = FakeApi(), Recorder()
    pod = put_pod(api)
    api.refusals["delete", PODS] = ConflictError("the webhook says: not now")
    with pytest.raises(StoppedError, match="not now") as stopped:
        carry_out(api, DeletePods(OWNER, (pod,)), recorder=recorder)
    assert stopped.value.reason == "FailedDelete"
    assert [reason for _, _, reason, _ in recorder.events] == ["FailedDelete"]


def test_an_action_that_fails_stops_those_behind_it():
    api = FakeApi()
    missing = ObjectRef(PODS, "missing", "default")
    with pytest.raises(NotFoundError):
        carry_out(api, PatchObject(missing, {}), CreateObject(CONFIG_MAPS, named("c"), "default"))
    assert api.objects[CONFIG_MAPS] == {}


def told(*actions):
    return Told(OWNER, actions, ("SuccessfulCreate", "made it"), ("FailedCreate", "made it not: "))


def test_what_went_well_is_told_once_all_of_it_is_done():
    api, recorder = FakeApi(), Recorder()
    carry_out(
        api,
        told(*(CreateObject(CONFIG_MAPS, named(n), "default") for n in "ab")),
        recorder=recorder,
    )
    assert len(api.objects[CONFIG_MAPS]) == 2
    assert recorder.events == [("web", "Normal", "SuccessfulCreate", "made it")]


def test_what_went_wrong_is_told_with_the_reason_and_stops_what_is_behind_it():
    api, recorder = FakeApi(), Recorder()
    with pytest.raises(StoppedError, match="no disk"):
        carry_out(
            api,
            told(Stop("FailedCreate", "no disk")),
            CreateObject(CONFIG_MAPS, named("c"), "default"),
            recorder=recorder,
        )
    assert api.objects[CONFIG_MAPS] == {}
    assert recorder.events == [("web", "Warning", "FailedCreate", "made it not: no disk")]


def test_a_name_that_is_taken_because_the_cache_is_behind_is_not_told_of():
    api, recorder = FakeApi(), Recorder()
    put_pod(api, "web-0")
    with pytest.raises(AlreadyExistsError):
        carry_out(api, told(CreateObject(PODS, named("web-0"), "default")), recorder=recorder)
    assert recorder.events == []


def test_groups_are_done_in_batches_that_double_until_one_fails():
    api = FakeApi()
    fine = (CreateObject(CONFIG_MAPS, named("c"), "default", if_absent=True),)
    bad = (Stop("Enough", "enough"), CreateObject(CONFIG_MAPS, named("never"), "default"))
    with pytest.raises(StoppedError, match="enough"):
        carry_out(api, InBatches((fine, bad, fine, fine, fine)))
    assert sum(entry[0] == "create" for entry in api.log) == 2
    assert list(api.objects[CONFIG_MAPS]) == ["default/c"]


def named(name):
    return {"metadata": {"name": name, "namespace": "default"}}


def test_of_what_is_done_together_all_is_tried_before_a_failure_is_told():
    api = FakeApi()
    first, second = put_pod(api, "a"), put_pod(api, "b")
    gone = ObjectRef(PODS, "gone", "default")
    note = {"metadata": {"annotations": {"seen": "yes"}}}
    patches = tuple(PatchObject(target, note) for target in (first, gone, second))
    with pytest.raises(NotFoundError):
        carry_out(api, Together(patches), DeleteObject(first))
    assert [pod["metadata"]["annotations"] for pod in api.objects[PODS].values()] == [
        {"seen": "yes"},
        {"seen": "yes"},
    ]


def test_what_is_there_already_is_an_error_unless_that_is_fine():
    api = FakeApi()
    api.put(CONFIG_MAPS, named("c"))
    carry_out(api, CreateObject(CONFIG_MAPS, named("c"), "default", if_absent=True))
    with pytest.raises(AlreadyExistsError):
        carry_out(api, CreateObject(CONFIG_MAPS, named("c"), "default"))


def test_a_patch_of_what_is_gone_is_an_error_unless_that_is_fine():
    missing = ObjectRef(PODS, "missing", "default")
    carry_out(FakeApi(), PatchObject(missing, {}, if_present=True))


def test_an_object_of_another_uid_is_not_deleted():
    api = FakeApi()
    put_pod(api, "p")
    with pytest.raises(ConflictError):
        carry_out(api, DeleteObject(ObjectRef(PODS, "p", "default", "other")))
    carry_out(api, DeleteObject(ObjectRef(PODS, "missing", "default", "other")))


def test_going_on_can_depend_on_an_owner_being_alive():
    api = FakeApi()
    alive = put_pod(api, "alive")
    leaving = put_pod(api, "leaving", deletionTimestamp="x")
    carry_out(api, ConfirmAlive(alive))
    for ref in (leaving, ObjectRef(PODS, "alive", "default", "other"), OWNER):
        with pytest.raises(StoppedError):
            carry_out(api, ConfirmAlive(ref))


def test_going_on_can_depend_on_an_owner_being_gone():
    api = FakeApi()
    alive = put_pod(api, "alive")
    carry_out(api, ConfirmAbsent(OWNER), ConfirmAbsent(ObjectRef(PODS, "alive", "default", "old")))
    with pytest.raises(StoppedError):
        carry_out(api, ConfirmAbsent(alive))


def test_that_a_uid_is_gone_is_asked_once():
    api = FakeApi()
    carry_out(api, *[ConfirmAbsent(OWNER)] * 5)
    assert len(api.log) == 1


def test_emptying_a_namespace_tells_what_is_left():
    api = FakeApi()
    api.put(CONFIG_MAPS, named("c"))
    put_pod(api, "held", finalizers=["example.com/wait"])
    with pytest.raises(StoppedError) as stopped:
        carry_out(api, DeleteContent("default", (PODS, CONFIG_MAPS)))
    assert stopped.value.message == ("Some resources are remaining: pods. has 1 resource instances")
    assert api.objects[CONFIG_MAPS] == {}
    api.remove(PODS, "default/held")
    carry_out(api, DeleteContent("default", (PODS, CONFIG_MAPS)))
