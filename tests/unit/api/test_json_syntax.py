import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeberth.api.json_syntax import JSONSyntaxError, NumberText, parse_json, syntax_error


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "unexpected end of JSON input"),
        ('{"a"', "unexpected end of JSON input"),
        ("{a}", "invalid character 'a' looking for beginning of object key string"),
        ('{"a" 1}', "invalid character '1' after object key"),
        ('{"a":1 "b"}', "invalid character '\"' after object key:value pair"),
        ("[1 2]", "invalid character '2' after array element"),
        ("[1,]", "invalid character ']' looking for beginning of value"),
        ("{} x", "invalid character 'x' after top-level value"),
        ("tru", "unexpected end of JSON input"),
        ("trux", "invalid character 'x' in literal true (expecting 'e')"),
        ("1.x", "invalid character 'x' after decimal point in numeric literal"),
        ("1ex", "invalid character 'x' in exponent of numeric literal"),
        ("-x", "invalid character 'x' in numeric literal"),
        ('"\\x"', "invalid character 'x' in string escape code"),
        ('"\\u12x4"', r"invalid character 'x' in \u hexadecimal character escape"),
        ('"a\nb"', r"invalid character '\n' in string literal"),
    ],
)
def test_what_is_wrong_is_said_in_gos_words(text, message):
    assert syntax_error(text.encode()) == message


@given(st.text(alphabet='{}[]:,"\\truefalsn0123.eE+- ', max_size=12))
def test_whatever_the_parser_refuses_the_scanner_can_name(text):
    assert is_json(text) or syntax_error(text.encode()) != "invalid character in JSON input"


def is_json(text):
    try:
        parse_json(text.encode())
    except JSONSyntaxError:
        return False
    return True


def test_a_fraction_is_kept_as_written():
    value = parse_json(b"1.50")
    assert isinstance(value, NumberText)
    assert value == "1.50"
