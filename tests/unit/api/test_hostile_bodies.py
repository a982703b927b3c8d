"""Bodies that nobody writes by mistake; each of them once was answered with 500, or never."""

import pytest

from kubeberth.api import codec, protobuf, yaml
from kubeberth.api.integers import IntegerTextError, parse_int, parse_uint
from kubeberth.api.json_syntax import MAX_DEPTH, JSONSyntaxError, parse_json
from kubeberth.api.quantity import QuantityError, parse_quantity
from kubeberth.api.scheme import CONFIG_MAPS
from kubeberth.errors import BadRequestError

LONG = "9" * 5000


@pytest.mark.parametrize("brackets", [b"[]", b"{}"], ids=["lists", "objects"])
def test_json_may_be_nested_so_deep_and_no_deeper(brackets):
    opening, closing = (b"[", b"]") if brackets == b"[]" else (b'{"a":', b"}")
    parse_json(opening * MAX_DEPTH + b"1" + closing * MAX_DEPTH)
    for n in (MAX_DEPTH + 1, 5000, 100_000):
        with pytest.raises(JSONSyntaxError, match="exceeded max depth"):
            parse_json(opening * n + b"1" + closing * n)


def test_many_shallow_objects_are_no_deep_nesting():
    assert len(parse_json(b"[" + b"{}," * 1000 + b"{}]")) == 1001


def test_bytes_that_are_no_utf_8_become_the_replacement_character():
    assert parse_json(b'{"a\xff":"b\xfe"}') == {"a\ufffd": "b\ufffd"}
    decoded = codec.decode(b'{"data":{"a":"b"},"d\xffta":1}', codec.JSON, CONFIG_MAPS)
    assert decoded.unknown_fields == ["d\ufffdta"]


def test_a_delete_body_whose_version_is_no_text_is_refused():
    with pytest.raises(BadRequestError, match=r"field \.apiVersion of type string"):
        codec.decode_kind(b'{"apiVersion":true}', "", "v1", "DeleteOptions", any_version=True)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param(b"a: &x [*x]", "anchor 'x' value contains itself", id="list in itself"),
        pytest.param(b"a: &x {b: *x}", "anchor 'x' value contains itself", id="map in itself"),
        pytest.param(b"<<: 5", "map merge requires map or sequence of maps", id="merged number"),
        pytest.param(b"<<: [5]", "map merge requires map or sequence of maps", id="merged list"),
        pytest.param(b"<<: &x {<<: *x}", "value contains itself", id="merged with itself"),
        pytest.param(b"{a: " * 500 + b"}" * 500, "exceeded max depth", id="deep"),
        pytest.param(b"- " * 100_000, "exceeded maximum nesting depth", id="deeper"),
    ],
)
def test_yaml_that_cannot_be_a_value_is_refused(text, why):
    with pytest.raises(yaml.YAMLError, match=why):
        yaml.parse(text)


def test_yaml_that_unfolds_without_bounds_is_refused():
    lines = ["a0: &a0 [x,x]", *(f"a{i}: &a{i} [*a{i - 1},*a{i - 1}]" for i in range(1, 60))]
    with pytest.raises(yaml.YAMLError, match="yaml: document contains excessive aliasing"):
        yaml.parse("\n".join(lines))


def test_yaml_may_repeat_itself_within_reason():
    text = "a: &a {b: [1, 2]}\n" + "".join(f"k{i}: *a\n" for i in range(50))
    assert yaml.parse(text)["k49"] == {"b": [1, 2]}


def test_a_yaml_number_beyond_all_numbers_is_text():
    assert yaml.parse(f"a: {LONG}") == {"a": LONG}
    assert yaml.parse(f"a: {LONG}.5") == {"a": f"{LONG}.5"}
    assert yaml.parse("a: 0x" + "f" * 5000) == {"a": "0x" + "f" * 5000}


@pytest.mark.parametrize("text", [LONG, f"1e{LONG}", f"0.{LONG}"])
def test_a_quantity_of_thousands_of_digits_is_refused(text):
    with pytest.raises(QuantityError):
        parse_quantity(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (LONG, f'strconv.ParseInt: parsing "{LONG}": value out of range'),
        ("9223372036854775808", "value out of range"),
        ("1_0", "invalid syntax"),
        ("٣", "invalid syntax"),
        (" 1", "invalid syntax"),
        ("", "invalid syntax"),
    ],
)
def test_an_integer_is_what_go_takes_for_one(text, why):
    with pytest.raises(IntegerTextError, match=why):
        parse_int(text)


def test_integers_reach_as_far_as_64_bits():
    assert parse_int("-9223372036854775808") == -(2**63)
    assert parse_int("+0009223372036854775807") == 2**63 - 1
    assert parse_uint("18446744073709551615") == 2**64 - 1
    with pytest.raises(IntegerTextError, match=r"ParseUint.*value out of range"):
        parse_uint("18446744073709551616")


def unknown(api_version: bytes, kind: bytes, raw: bytes) -> bytes:
    """Return a protobuf body around the bytes of an object."""

    def part(number: int, data: bytes) -> bytes:
        return bytes((number << 3 | 2, len(data))) + data

    return b"k8s\x00" + part(1, part(1, api_version) + part(2, kind)) + part(2, raw)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"k8s\x00\x08\x01\x10\x01", id="number for the kind"),
        pytest.param(b"k8s\x00\x0a\x04\x08\x01\x10\x01", id="numbers in the kind"),
        pytest.param(unknown(b"\xff", b"Pod", b""), id="version that is no UTF-8"),
        pytest.param(unknown(b"v1", b"Pod", b"\x08\x01"), id="number for the metadata"),
        pytest.param(
            unknown(b"v1", b"Pod", b"\x12\x02\x20\x01\x12\x02\x22\x00"), id="text for one"
        ),
        pytest.param(unknown(b"v1", b"Pod", b"\x09\x01"), id="cut in a number of 64 bits"),
        pytest.param(
            unknown(b"v1", b"Pod", b"\x0a\x0c\x42\x0a\x08" + b"\xff" * 8 + b"\x3f"), id="year"
        ),
    ],
)
def test_a_protobuf_body_with_the_wrong_types_is_refused(body):
    with pytest.raises(protobuf.ProtobufError):
        protobuf.decode(body)
