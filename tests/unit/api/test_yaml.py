import math

import pytest

from kubeberth.api import yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True),
        ("Off", False),
        ("y", True),
        ("~", None),
        ("", None),
        ("0x10", 16),
        ("010", 8),
        ("0o10", 8),
        ("0b11", 3),
        ("-7", -7),
        ("1_000", 1000),
        ("1.5", 1.5),
        ("1e+3", 1000),
        (".inf", math.inf),
        ("1Gi", "1Gi"),
        ("2024-01-01", "2024-01-01"),
        ("1.2.3", "1.2.3"),
        ("08", 8),
    ],
)
def test_a_plain_scalar_means_what_it_means_to_kubectl(text, value):
    assert yaml.parse(f"a: {text}") == {"a": value}


@pytest.mark.parametrize("text", ['"yes"', "'5'", "!!str 5", "|-\n  true"])
def test_a_quoted_block_or_tagged_scalar_is_text(text):
    assert isinstance(yaml.parse(f"a: {text}")["a"], str)


def test_keys_become_text():
    assert yaml.parse("1: a\ntrue: b") == {"1": "a", "true": "b"}


def test_merge_keys_bring_in_what_is_not_there():
    assert yaml.parse("x: &x {a: 1, b: 2}\nz: {<<: *x, b: 3}")["z"] == {"a": 1, "b": 3}


def test_every_document_of_a_stream_is_read():
    assert list(yaml.parse_documents("a: 1\n---\n---\nb: 2\n")) == [{"a": 1}, None, {"b": 2}]


def test_a_fault_is_told_with_its_line():
    with pytest.raises(yaml.YAMLError) as error:
        yaml.parse("a: b\nc: d: e\n")
    assert str(error.value) == "yaml: line 2: mapping values are not allowed in this context"


def test_repeated_keys_are_collected_when_asked_for():
    repeated = []
    assert yaml.parse("a: 1\na: 2\n", repeated=repeated) == {"a": 2}
    assert repeated == ['line 2: key "a" already set in map']


def test_documents_tell_the_line_where_they_begin():
    text = "# first\na: 1\n---\n# second\n\nb: 2\n--- {c: 3}\n"
    assert list(yaml.numbered_documents(text)) == [(2, {"a": 1}), (6, {"b": 2}), (7, {"c": 3})]
