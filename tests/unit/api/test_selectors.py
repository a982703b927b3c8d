import pytest

from kubeberth.api.selectors import (
    SelectorError,
    from_label_selector,
    parse_field_selector,
    parse_label_selector,
)


@pytest.mark.parametrize(
    ("text", "matching", "other"),
    [
        pytest.param("a=b", {"a": "b"}, {"a": "c"}, id="equal"),
        pytest.param("a==b", {"a": "b"}, {}, id="doubly equal"),
        pytest.param("a!=b", {}, {"a": "b"}, id="unequal matches an absent label"),
        pytest.param("a in (b, c)", {"a": "c"}, {"a": "d"}, id="one of"),
        pytest.param("a notin (b,c)", {}, {"a": "b"}, id="none of matches an absent label"),
        pytest.param("a", {"a": ""}, {"b": ""}, id="exists"),
        pytest.param("!a", {}, {"a": ""}, id="does not exist"),
        pytest.param("a>5", {"a": "6"}, {"a": "5"}, id="greater"),
        pytest.param("a<5", {"a": "-4"}, {"a": "x"}, id="less"),
        pytest.param("a=b,c", {"a": "b", "c": "d"}, {"a": "b"}, id="all of them"),
        pytest.param("a=", {"a": ""}, {"a": "b"}, id="equal to nothing"),
    ],
)
def test_a_label_selector_matches_labels(text, matching, other):
    selector = parse_label_selector(text)
    assert selector.matches(matching)
    assert not selector.matches(other)


def test_an_empty_label_selector_matches_everything():
    assert parse_label_selector("").is_everything
    assert from_label_selector({}).matches({"a": "b"})


def test_an_absent_label_selector_matches_nothing():
    assert not from_label_selector(None).matches({})


# Texts recorded from kube-apiserver 1.36.
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("app in (web", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("app=a b", "found 'b', expected: ',' or 'end of string'"),
        ("=x", "found '=', expected: !, identifier, or 'end of string'"),
        (
            "a b",
            "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt",
        ),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        (",", "found ',', expected: !, identifier, or 'end of string'"),
        ("app=web,", "found '', expected: identifier after ','"),
    ],
)
def test_a_bad_label_selector_is_explained_as_upstream_does(text, message):
    with pytest.raises(SelectorError) as caught:
        parse_label_selector(text)
    assert str(caught.value) == message


def test_a_key_with_two_slashes_is_no_label_key():
    with pytest.raises(SelectorError, match=r'<nil>: Invalid value: "x/y/z": a valid label key'):
        parse_label_selector("x/y/z=1")


def test_a_field_selector_reads_terms_and_escapes():
    selector = parse_field_selector(r"metadata.name=a\,b,status.phase!=Failed")
    fields = {"metadata.name": "a,b", "status.phase": "Running"}
    assert selector.matches(fields.__getitem__)
    assert selector.required("metadata.name") == "a,b"
    assert not selector.matches({**fields, "status.phase": "Failed"}.__getitem__)


@pytest.mark.parametrize("text", ["status.phase", "status.phase in (Running)"])
def test_a_bad_field_selector_is_explained_as_upstream_does(text):
    with pytest.raises(SelectorError) as caught:
        parse_field_selector(text)
    assert str(caught.value) == f"invalid selector: '{text}'; can't understand '{text}'"
