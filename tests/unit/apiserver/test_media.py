"""Which form of answer an Accept header gets."""

import pytest

from kubeberth.apiserver.media import OBJECT_FORMS, Form, negotiate, to_yaml
from kubeberth.errors import NotAcceptableError

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", Form()),
        ("*/*", Form()),
        ("application/yaml", Form("application/yaml")),
        (f"{TABLE},application/json", Form("application/json", "Table", "v1")),
        ("application/vnd.kubernetes.protobuf,application/json", Form()),
        ("application/json;q=0.1,application/yaml", Form("application/yaml")),
        ("application/json;as=Novel;v=v1;g=meta.k8s.io,*/*", Form()),
    ],
)
def test_the_first_form_that_is_served_is_taken(accept, expected):
    assert negotiate(accept, OBJECT_FORMS) == expected


def test_what_is_not_served_is_refused_in_two_ways():
    with pytest.raises(NotAcceptableError, match="406: Not Acceptable"):
        negotiate("text/html")
    with pytest.raises(NotAcceptableError, match="only the following media types"):
        negotiate(TABLE)


def test_yaml_quotes_what_it_would_read_as_something_else():
    body = b'{"b":"true","a":"2026-01-01T00:00:00Z","c":["x",1],"d":"","e":"a\\nb\\n"}'
    assert to_yaml(body).decode() == (
        'a: "2026-01-01T00:00:00Z"\nb: "true"\nc:\n- x\n- 1\nd: ""\ne: |\n  a\n  b\n'
    )
