"""RBAC rules, as the documentation says they are evaluated."""

import pytest

from kubeberth.apiserver.auth.authn import User
from kubeberth.apiserver.auth.default_roles import rule, urls
from kubeberth.apiserver.auth.rbac import Authorizer, RoleBinding
from kubeberth.apiserver.route import parse_request
from kubeberth.errors import ForbiddenError


class Given:
    """Rules that everybody has."""

    def __init__(self, rules) -> None:
        self._rules = tuple(rules)

    def grants(self, user, namespace):
        return [RoleBinding("r", frozenset((user.name,))).grant(user, self._rules)]


def may(rules, method, path, *, groups=()) -> bool:
    user = User("jane", frozenset(groups))
    path, _, query = path.partition("?")
    try:
        Authorizer(Given(rules)).authorize(user, parse_request(method, path, query))
    except ForbiddenError:
        return False
    return True


POD = "/api/v1/namespaces/a/pods/p"


@pytest.mark.parametrize(
    ("rules", "method", "path", "expected"),
    [
        pytest.param([rule("get", "pods")], "GET", POD, True, id="verb, group and resource"),
        pytest.param([rule("get", "pods")], "DELETE", POD, False, id="another verb"),
        pytest.param([rule("get", "pods", groups="apps")], "GET", POD, False, id="another group"),
        pytest.param([rule("get", "pods")], "GET", f"{POD}/log", False, id="not its subresource"),
        pytest.param([rule("get", "pods/log")], "GET", f"{POD}/log", True, id="the subresource"),
        pytest.param([rule("get", "*/log")], "GET", f"{POD}/log", True, id="of any resource"),
        pytest.param([rule("*", "*", groups="*")], "GET", f"{POD}/log", True, id="everything"),
        pytest.param([rule("get", "pods", names="p")], "GET", POD, True, id="by name"),
        pytest.param([rule("get", "pods", names="q")], "GET", POD, False, id="by another name"),
        pytest.param(
            [rule("list", "pods", names="p")], "GET", "/api/v1/pods", False, id="a list has no name"
        ),
        pytest.param(
            [rule("list", "pods", names="p")],
            "GET",
            "/api/v1/pods?fieldSelector=metadata.name%3Dp",
            True,
            id="but for the field selector",
        ),
        pytest.param([urls("/healthz/*")], "GET", "/healthz/ping", True, id="paths below"),
        pytest.param([urls("/healthz")], "GET", "/version", False, id="another path"),
    ],
)
def test_a_rule_covers_what_it_names(rules, method, path, expected):
    assert may(rules, method, path) is expected


def test_masters_may_do_everything():
    assert may([], "DELETE", POD, groups=("system:masters",))
    assert may([], "GET", "/nowhere", groups=("system:masters",))
