from kubeberth.api.scheme import PODS, REPLICA_SETS
from kubeberth.controllers.action import ObjectRef
from kubeberth.controllers.expectations import TIMEOUT_S, Expectations

POD = ObjectRef(PODS, "web-1", "default", "uid-1")


def met(expectations, *, now=0.0, revision=0, gone=()):
    return expectations.met("key", now, lambda resource: revision, lambda ref: ref in gone)


def test_a_key_waits_until_the_cache_has_seen_its_last_write():
    expectations = Expectations()
    expectations.wrote("key", PODS, "12", 0)
    expectations.wrote("key", REPLICA_SETS, "11", 0)
    assert not met(expectations, revision=11)
    assert met(expectations, revision=12)
    assert met(expectations, revision=0), "what was seen once is not expected again"


def test_a_key_waits_until_a_deleted_object_is_seen_to_go():
    expectations = Expectations()
    expectations.deleted("key", POD, 0)
    assert not met(expectations)
    assert met(expectations, gone=(POD,))


def test_after_five_minutes_the_cache_is_believed():
    expectations = Expectations()
    expectations.wrote("key", PODS, "12", 0)
    assert not met(expectations, now=TIMEOUT_S - 1)
    assert met(expectations, now=TIMEOUT_S)


def test_other_keys_do_not_wait():
    expectations = Expectations()
    expectations.wrote("another", PODS, "12", 0)
    assert met(expectations)


def test_what_a_key_waits_to_see_is_told():
    expectations = Expectations()
    expectations.wrote("key", REPLICA_SETS, "12", 0)
    expectations.deleted("key", POD, 0)
    assert dict(expectations) == {"key": ["replicasets.apps 12", "pods web-1 gone"]}
    assert met(expectations, revision=12, gone=(POD,))
    assert dict(expectations) == {}
