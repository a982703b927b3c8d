"""Bodies whose spec was decoded before: the answer is the same as the first time."""

import json

import msgspec
import pytest

from kubeberth.api.codec import decode
from kubeberth.api.known_specs import Stored
from kubeberth.api.scheme import PODS
from kubeberth.errors import BadRequestError

JSON = "application/json"
SPEC = {"containers": [{"name": "c", "resources": {"requests": {"cpu": "0.5"}}}], "nodeName": None}


def body(name, spec=SPEC, **more):
    return json.dumps({"metadata": {"name": name}, "spec": spec, **more}).encode()


def known(spec):
    """Decode often enough for the spec to be remembered."""
    for name in ("one", "two", "three"):
        decoded = decode(body(name, spec), JSON, PODS)
    return decoded


def test_a_known_spec_gives_the_same_document():
    spec = {**SPEC, "schedulerName": "same"}
    first = decode(body("a", spec), JSON, PODS).document
    known(spec)
    assert decode(body("a", spec), JSON, PODS).document == first
    assert list(decode(body("a", spec), JSON, PODS).document) == list(first)


def test_fields_stay_in_the_order_of_the_text_when_the_spec_is_known():
    spec = {**SPEC, "schedulerName": "order"}
    text = json.dumps({"spec": spec, "metadata": {"name": "a"}}).encode()
    before = list(decode(text, JSON, PODS).document)
    known(spec)
    assert list(decode(text, JSON, PODS).document) == before


def test_what_is_handed_out_may_be_changed():
    spec = {**SPEC, "schedulerName": "changed"}
    known(spec).document["spec"]["containers"][0]["name"] = "other"
    assert known(spec).document["spec"]["containers"][0]["name"] == "c"


def test_an_unknown_field_is_told_every_time():
    for _ in range(4):
        decoded = decode(body("a", {**SPEC, "colour": "red"}), JSON, PODS)
        assert decoded.unknown_fields == ["spec.colour"]


def test_a_wrong_type_is_refused_every_time():
    for _ in range(4):
        with pytest.raises(BadRequestError, match="cannot unmarshal"):
            decode(body("a", {"containers": "none"}), JSON, PODS)


def test_duplicates_outside_a_known_spec_are_found():
    spec = {**SPEC, "schedulerName": "outside"}
    known(spec)
    text = body("a", spec)[:-1] + b', "metadata": {"name": "b"}}'
    assert decode(text, JSON, PODS).duplicate_fields == ["metadata"]


def test_a_known_spec_that_comes_twice_is_a_duplicate():
    spec = {**SPEC, "schedulerName": "twice"}
    known(spec)
    text = body("a", spec)[:-1] + b', "spec": %s}' % json.dumps(spec).encode()
    assert "spec" in decode(text, JSON, PODS).duplicate_fields


def test_a_known_spec_does_not_make_another_kind_pass():
    spec = {**SPEC, "schedulerName": "kind"}
    known(spec)
    with pytest.raises(BadRequestError, match="cannot be handled as a Pod"):
        decode(body("a", spec, kind="Node", apiVersion="v1"), JSON, PODS)


def test_a_spec_that_is_no_object_is_refused_every_time():
    for _ in range(4):
        with pytest.raises(BadRequestError):
            decode(body("a", "text"), JSON, PODS)


def test_a_field_whose_name_is_no_utf_8_is_a_field_like_others():
    body = b'{"x\xcay": 1, "spec": {"containers": [{"name": "c"}]}}'
    decoded = decode(body, JSON, PODS)
    assert decoded.unknown_fields == ["x\N{REPLACEMENT CHARACTER}y"]
    assert decoded.document["spec"]["containers"][0]["name"] == "c"


STORED = (
    b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","resourceVersion":"7",'
    b'"managedFields":[{"manager":"m","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{}}}]},'
    b'"spec":{"containers":[{"name":"c","image":"nginx","resources":{}}],"hostNetwork":true},'
    b'"status":{"phase":"Pending"}}'
)


OWNERS = b'[{"manager":"m","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{}}}]'


def stored_as(text):
    return Stored(msgspec.json.decode(text, type=dict[str, msgspec.Raw]), OWNERS)


def replaced(text, stored=STORED):
    return decode(text, JSON, PODS, stored=stored_as(stored) if stored else None)


def without_owners(document):
    metadata = {k: v for k, v in document["metadata"].items() if k != "managedFields"}
    return {**document, "metadata": metadata}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(STORED, id="the same"),
        pytest.param(STORED.replace(b'"p"', b'"p","labels":{"a":"b"}'), id="other metadata"),
        pytest.param(STORED.replace(b'"p"', b'"p","colour":"b"'), id="unknown metadata"),
        pytest.param(STORED.replace(b'"7"', b'"8"'), id="another version"),
        pytest.param(STORED.replace(b",", b", ").replace(b":", b": "), id="with spaces"),
        pytest.param(STORED.replace(b"nginx", b"redis"), id="another spec"),
        pytest.param(STORED.replace(b"Pending", b"Running"), id="another status"),
        pytest.param(STORED.replace(b'"status"', b'"colour":1,"status"'), id="an unknown field"),
        pytest.param(STORED.replace(b'"hostNetwork":true', b'"hostNetwork":true,"x":1'), id="more"),
        pytest.param(b"{}", id="nothing"),
    ],
)
def test_a_replacement_reads_the_same_whether_it_is_known_what_is_stored_or_not(text):
    known, unknown = replaced(text), replaced(text, b"")
    if "managedFields" not in known.document["metadata"]:
        unknown.document = without_owners(unknown.document)
    assert known.document == unknown.document
    assert list(known.document) == list(unknown.document)
    assert known.warnings == unknown.warnings


@pytest.mark.parametrize(
    ("text", "is_told"),
    [
        pytest.param(STORED.replace(b'"7"', b'"8"'), False, id="as they are stored"),
        pytest.param(STORED.replace(b'"f:spec"', b'"f:status"'), True, id="other owners"),
        pytest.param(STORED.replace(b'"managedFields"', b'"labels"'), None, id="as labels"),
    ],
)
def test_owners_are_told_only_if_they_are_others_than_those_that_are_stored(text, is_told):
    if is_told is None:
        with pytest.raises(BadRequestError, match="labels of type map"):
            replaced(text)
    else:
        assert ("managedFields" in replaced(text).document["metadata"]) == is_told


def test_owners_that_are_sent_twice_are_a_duplicate():
    twice = STORED.replace(b'"managedFields"', b'"managedFields":' + OWNERS + b',"managedFields"')
    assert replaced(twice).duplicate_fields == ["metadata.managedFields"]


def test_a_value_of_another_type_is_not_taken_for_the_stored_one():
    with pytest.raises(BadRequestError, match="hostNetwork of type bool"):
        replaced(STORED.replace(b"true", b"1"))


@pytest.mark.parametrize(("stored", "sent"), [(b'"1.5"', b"1.5"), (b"5", b"5.0")])
def test_a_number_is_not_taken_for_another_or_for_a_text(stored, sent):
    def with_value(value):
        return STORED.replace(b'"hostNetwork":true', b'"activeDeadlineSeconds":' + value)

    with pytest.raises(BadRequestError, match="activeDeadlineSeconds"):
        replaced(with_value(sent), with_value(stored))


def test_a_key_that_comes_twice_is_told_in_what_is_as_it_was_too():
    twice = STORED.replace(b'"hostNetwork":true', b'"hostNetwork":true,"hostNetwork":true')
    assert replaced(twice).duplicate_fields == ["spec.hostNetwork"]


def test_what_was_taken_over_is_the_callers_own():
    first = replaced(STORED).document
    first["spec"]["containers"].clear()
    assert len(replaced(STORED).document["spec"]["containers"]) == 1
