"""What a controller hears of, and which keys that concerns."""

from tests.objects import pod, replica_set

from kubeberth.api.scheme import DEPLOYMENTS, PODS, REPLICA_SETS, SECRETS
from kubeberth.controllers.action import Outcome
from kubeberth.controllers.cache import Cache
from kubeberth.controllers.reconciler import Reconciler
from kubeberth.controllers.supervisor import WATCHED, ControllerSettings, reconcilers

EVERYBODY = reconcilers(ControllerSettings(root_ca="PEM"))


class Plain(Reconciler):
    name = account = "plain"
    resource = REPLICA_SETS

    def reconcile(self, cache, key, now, failure):
        return Outcome()


class Following(Plain):
    follows = (PODS,)

    def keys_behind(self, cache, resource, old, new):
        return [f"behind {new.metadata.name}"]


def test_a_controller_looks_at_the_object_that_changed_or_went():
    item = replica_set()
    for old, new in ((None, item), (item, item), (item, None)):
        assert list(Plain().keys(Cache(), REPLICA_SETS, old, new)) == ["default/web"]


def test_what_else_it_follows_concerns_the_keys_behind_it():
    assert list(Following().keys(Cache(), PODS, None, pod("web-1"))) == ["behind web-1"]
    assert list(Following().keys(Cache(), REPLICA_SETS, None, replica_set())) == ["default/web"]


def test_a_controller_hears_of_its_own_kind_and_of_those_that_it_follows():
    assert [r for r in WATCHED if Plain().hears_of(r)] == [REPLICA_SETS]
    assert {r for r in WATCHED if Following().hears_of(r)} == {REPLICA_SETS, PODS}
    everything = Plain()
    everything.follows = None
    assert all(map(everything.hears_of, WATCHED))


def test_few_controllers_hear_of_everything_and_each_hears_of_something():
    hearing = {r: sum(each.hears_of(r) for each in EVERYBODY) for r in WATCHED}
    assert hearing[SECRETS] < hearing[PODS]
    assert hearing[DEPLOYMENTS] > 3
    for each in EVERYBODY:
        assert any(map(each.hears_of, WATCHED)), each.name
