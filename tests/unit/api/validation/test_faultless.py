"""Checks that remember what they found nothing wrong with."""

from kubeberth.api.validation.faultless import Faultless


class Check:
    """Finds the names of containers that are `bad`, and counts how often it had to look."""

    def __init__(self) -> None:
        self.n_looks = 0

    def __call__(self, spec, path):
        self.n_looks += 1
        return [f"{path}: {c}" for c in spec["containers"] if c == "bad"]


def token(name, *containers, mount=None):
    return {
        "containers": list(containers),
        "mount": name if mount is None else mount,
        "volumes": [{"name": name}],
    }


def test_equal_specs_without_fault_are_checked_once():
    check = Check()
    remembering = Faultless(check)
    for _ in range(3):
        assert remembering({"containers": ["good"]}, "spec") == []
    assert check.n_looks == 1


def test_faults_are_found_every_time():
    remembering = Faultless(Check())
    for _ in range(3):
        assert remembering({"containers": ["bad"]}, "spec") == ["spec: bad"]


def test_the_same_spec_somewhere_else_is_checked_anew():
    check = Check()
    remembering = Faultless(check)
    remembering({"containers": ["good"]}, "spec")
    remembering({"containers": ["good"]}, "spec.template.spec")
    assert check.n_looks == 2


def test_the_drawn_name_of_the_token_volume_makes_no_difference():
    check = Check()
    remembering = Faultless(check)
    remembering(token("kube-api-access-bcdfg"), "spec")
    remembering(token("kube-api-access-2456x"), "spec")
    assert check.n_looks == 1


def test_a_mount_of_another_volume_than_the_token_s_makes_a_difference():
    check = Check()
    remembering = Faultless(check)
    remembering(token("kube-api-access-bcdfg"), "spec")
    remembering(token("kube-api-access-bcdfg", mount="kube-api-access-2456x"), "spec")
    assert check.n_looks == 2


def test_a_token_volume_whose_name_nobody_draws_is_a_name_like_any_other():
    check = Check()
    remembering = Faultless(check)
    remembering(token("kube-api-access-bcdfg"), "spec")
    remembering(token("kube-api-access-UPPER"), "spec")
    assert check.n_looks == 2
