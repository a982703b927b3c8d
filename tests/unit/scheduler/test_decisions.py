from kubeberth.placement.decision import Decision
from kubeberth.scheduler.decisions import Attempt, Budget, Decisions


def attempt(name: str, uid: str = "u") -> Attempt:
    return Attempt(uid, 0.0, 1, Decision(f"default/{name}", "a", 1))


def test_the_oldest_attempts_are_forgotten_first():
    decisions = Decisions(max_kept=2)
    for name in ("a", "b", "a", "c"):
        decisions.keep(attempt(name))
    assert len(decisions) == 2
    assert decisions.get("default/b", "u") is None
    assert decisions.get("default/a", "u") is not None


def test_a_pod_of_the_same_name_is_another_pod():
    decisions = Decisions()
    decisions.keep(attempt("a", "first"))
    assert decisions.get("default/a", "second") is None


def test_a_budget_of_a_tenth_rests_nine_times_as_long_as_it_took():
    budget = Budget(0.1)
    assert budget.allows(0.0)
    budget.spend(0.0, 1.0)
    assert not budget.allows(9.9)
    assert budget.allows(10.0)
