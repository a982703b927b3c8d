import pytest

from kubeberth.api.scheme import DEPLOYMENTS, PODS
from kubeberth.apiserver.patch import (
    JSON_PATCH,
    MERGE_PATCH,
    STRATEGIC_PATCH,
    apply_patch,
)
from kubeberth.errors import (
    ApiError,
    BadRequestError,
    InvalidError,
    RequestEntityTooLargeError,
    UnsupportedMediaTypeError,
)

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "labels": {"a": "1"}},
    "spec": {"containers": [{"name": "c", "image": "x"}]},
}


@pytest.mark.parametrize(
    ("content_type", "patch"),
    [
        (JSON_PATCH, b'[{"op":"replace","path":"/metadata/labels/a","value":"2"}]'),
        (MERGE_PATCH, b'{"metadata":{"labels":{"a":"2"}}}'),
        (STRATEGIC_PATCH + ";charset=utf-8", b'{"metadata":{"labels":{"a":"2"}}}'),
    ],
)
def test_the_content_type_says_what_kind_of_patch_it_is(content_type, patch):
    patched = apply_patch(content_type, PODS, POD, patch)
    assert patched["metadata"]["labels"] == {"a": "2"}
    assert POD["metadata"]["labels"] == {"a": "1"}


def test_merge_keys_are_those_of_the_documents_kind():
    deployment = {"kind": "Deployment", "spec": {"template": {"spec": POD["spec"]}}}
    patch = b'{"spec":{"template":{"spec":{"containers":[{"name":"c","tty":true}]}}}}'
    spec = apply_patch(STRATEGIC_PATCH, DEPLOYMENTS, deployment, patch)["spec"]["template"]["spec"]
    assert spec["containers"] == [{"name": "c", "image": "x", "tty": True}]


@pytest.mark.parametrize("content_type", ["", "application/json", "text/plain"])
def test_anything_else_is_no_patch(content_type):
    with pytest.raises(UnsupportedMediaTypeError, match=r"^415: Unsupported Media Type$"):
        apply_patch(content_type, PODS, POD, b"{}")


@pytest.mark.parametrize(
    ("content_type", "patch", "message"),
    [
        (JSON_PATCH, b"", "error decoding patch: unexpected end of JSON input"),
        (
            JSON_PATCH,
            b"{}",
            "error decoding patch: json: cannot unmarshal object into Go value of type "
            "[]handlers.jsonPatchOp",
        ),
        (
            MERGE_PATCH,
            b"5",
            "error decoding patch: json: cannot unmarshal number into Go value of type "
            "map[string]interface {}",
        ),
        (MERGE_PATCH, b"null", "Invalid JSON Patch"),
    ],
)
def test_a_malformed_patch_is_a_bad_request(content_type, patch, message):
    with pytest.raises(BadRequestError) as error:
        apply_patch(content_type, PODS, POD, patch)
    assert error.value.message == message


def test_an_operation_that_fails_is_invalid():
    with pytest.raises(InvalidError, match="the server rejected our request"):
        apply_patch(JSON_PATCH, PODS, POD, b'[{"op":"remove","path":"/x"}]')


def test_too_many_operations_are_too_large():
    patch = b"[" + b",".join([b'{"op":"test","path":"/x"}'] * 10_001) + b"]"
    with pytest.raises(RequestEntityTooLargeError, match="is 10000, got 10001"):
        apply_patch(JSON_PATCH, PODS, POD, patch)


def test_a_missing_merge_key_is_an_untyped_error():
    with pytest.raises(ApiError) as error:
        apply_patch(STRATEGIC_PATCH, PODS, POD, b'{"spec":{"containers":[{"image":"y"}]}}')
    assert (error.value.code, error.value.reason) == (500, "")


def test_a_wrong_shape_is_shown_as_go_prints_it():
    with pytest.raises(InvalidError) as error:
        apply_patch(STRATEGIC_PATCH, PODS, POD, b'{"spec":{"containers":{"name":"c"}}}')
    assert error.value.message == (
        ' "" is invalid: patch: Invalid value: "map[spec:map[containers:map[name:c]]]": '
        "cannot restore slice from map"
    )
