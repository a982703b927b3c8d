"""Requests read into what they ask for."""

import pytest

from kubeberth.apiserver.route import parse_request


def parsed(method, path, query=""):
    info = parse_request(method, path, query)
    place = (info.group, info.version, info.plural, info.namespace, info.name, info.subresource)
    return " ".join(part or "-" for part in (info.verb, *place))


# verb, group, version, resource, namespace, name, subresource
@pytest.mark.parametrize(
    ("request_line", "expected"),
    [
        ("GET /api/v1/pods", "list - v1 pods - - -"),
        ("GET /api/v1/pods?watch=true", "watch - v1 pods - - -"),
        ("GET /api/v1/pods?watch=0", "list - v1 pods - - -"),
        ("GET /api/v1/namespaces", "list - v1 namespaces - - -"),
        ("GET /api/v1/namespaces/a", "get - v1 namespaces a a -"),
        ("PUT /api/v1/namespaces/a/finalize", "update - v1 namespaces a a finalize"),
        ("GET /api/v1/namespaces/a/pods/", "list - v1 pods a - -"),
        ("POST /api/v1/namespaces/a/pods/p/binding", "create - v1 pods a p binding"),
        ("DELETE /api/v1/namespaces/a/pods", "deletecollection - v1 pods a - -"),
        ("PATCH /apis/apps/v1/namespaces/a/deployments/d", "patch apps v1 deployments a d -"),
        ("GET /api/v1/watch/namespaces/a/pods", "watch - v1 pods a - -"),
        ("GET /api/v1/pods?fieldSelector=metadata.name%3Dp", "list - v1 pods - p -"),
        ("GET /apis/apps/v1", "get - - - - - -"),
        ("POST /healthz", "post - - - - - -"),
    ],
)
def test_path_method_and_query_say_what_is_asked(request_line, expected):
    method, url = request_line.split()
    path, _, query = url.partition("?")
    assert parsed(method, path, query) == expected
