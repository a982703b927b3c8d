"""Expressions of validation rules: what they are worth, and when they have no value."""

import pytest

from kubeberth.api.cel.evaluate import evaluate, unknown_functions
from kubeberth.api.cel.functions import CelError
from kubeberth.api.cel.syntax import CelSyntaxError, parse

SELF = {
    "replicas": 3,
    "min": 1,
    "name": "web-0",
    "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}],
    "labels": {"app": "web"},
    "memory": "1Gi",
    "namespace": "n",
    "a-b": 1,
}


def value(text, **variables):
    return evaluate(parse(text), {"self": SELF, **variables})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("self.min <= self.replicas && self.replicas <= 10", True),
        ("1 + 2 * 3 - 4", 3),
        ("-7 / 2", -3),
        ("-7 % 2", -1),
        ("2.5 * 2.0 == 5.0", True),
        ("1 == 1.0", True),
        ("true == 1", False),
        ("'a' + \"b\"", "ab"),
        (r"r'\d' + '\n'", "\\d\n"),
        ("has(self.min) && !has(self.max)", True),
        ("self.ports.all(p, p.port > 79)", True),
        ("self.ports.exists(p, p.name == 'b')", True),
        ("self.ports.exists_one(p, p.port > 80)", True),
        ("self.ports.filter(p, p.port > 80).map(p, p.name)", ["b"]),
        ("self.ports.map(p, p.port > 80, p.name)", ["b"]),
        ("self.labels.all(k, k.startsWith('a'))", True),
        ("self.labels.all(k, v, v == 'web')", True),
        ("'app' in self.labels && !('x' in ['y'])", True),
        ("self.labels['app']", "web"),
        ("self.name.matches('^[a-z]+-[0-9]+$')", True),
        ("size(self.ports) == self.ports.size()", True),
        ("self.replicas > 2 ? 'many' : 'few'", "many"),
        ("self.__namespace__ + string(self.a__dash__b)", "n1"),
        ("self.?max.orValue(5)", 5),
        ("self.?labels.?app.orValue('')", "web"),
        ("self.labels[?'x'].hasValue()", False),
        ("quantity(self.memory).isGreaterThan(quantity('500Mi'))", True),
        ("duration('1h30m') > duration('80m')", True),
        ("timestamp('2026-01-02T00:00:00Z') > timestamp('2026-01-01T00:00:00Z')", True),
        ("url('https://example.com:80/x').getHostname()", "example.com"),
        ("cidr('10.0.0.0/8').containsIP('10.1.2.3') && isIP('::1')", True),
        ("[1, 2, 3].isSorted() && [1, 2].sum() == 3", True),
        ("{'a': [1]}['a'][0]", 1),
        ("'a,b'.split(',') == ['a', 'b']", True),
        ("type(self.name) == string", True),
        ("0x10 == 16 // all of it", True),
    ],
)
def test_an_expression_has_a_value(text, expected):
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("self.max > 1", "no such key: max"),
        ("self.ports[7]", "index out of bounds: 7"),
        ("1 / 0", "division by zero"),
        ("self.name > 1", "no such overload: >"),
        ("nothing", "undeclared reference to 'nothing'"),
        ("self.replicas && true", "no such overload: &&"),
    ],
)
def test_some_expressions_have_none(text, why):
    with pytest.raises(CelError) as caught:
        value(text)
    assert str(caught.value) == why


def test_an_error_does_not_matter_when_the_other_side_decides():
    assert value("self.max > 1 || true") is True
    assert value("self.max > 1 && false") is False
    assert value("[1, 0].exists(x, 1 / x == 1)") is True


@pytest.mark.parametrize(
    "text",
    [
        "1 +",
        "self..a",
        "(1",
        "'open",
        "a b",
        "#",
        "[1,",
        pytest.param("9" * 5000, id="a number of 5000 digits"),
        pytest.param("0x" + "f" * 5000, id="a hexadecimal one"),
        "9223372036854775809",
        "18446744073709551616u",
        "1e999",
    ],
)
def test_what_is_no_expression_is_refused(text):
    with pytest.raises(CelSyntaxError):
        parse(text)


def test_functions_that_do_not_exist_here_are_found():
    assert unknown_functions(parse("self.all(x, x.frobnicate()) && size(self) > 0")) == {
        "frobnicate"
    }
