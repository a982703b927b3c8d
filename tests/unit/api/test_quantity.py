import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeberth.api.quantity import (
    QuantityError,
    canonical_quantity,
    int_value,
    milli_value,
    parse_quantity,
)


@pytest.mark.parametrize(
    ("typed", "printed"),
    [
        ("1000m", "1"),
        ("0.5", "500m"),
        ("0.500", "500m"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("2048Ki", "2Mi"),
        ("1000M", "1G"),
        ("1000", "1k"),
        ("1.5", "1500m"),
        (".001Ki", "1024m"),
        ("1e3", "1e3"),
        ("1000e0", "1e3"),
        ("0Gi", "0"),
        ("-", "0"),
        pytest.param("1.500", "1.500", id="typed text that looks canonical stays"),
        pytest.param("+5", "+5", id="a plus sign stays"),
        pytest.param("0.1n", "1n", id="finer than nano rounds up"),
        pytest.param("99Ei", str(2**63 - 1), id="binary values are capped"),
    ],
)
def test_a_quantity_prints_as_upstream_prints_it(typed, printed):
    assert canonical_quantity(typed) == printed


def test_json_numbers_are_quantities():
    assert canonical_quantity(1) == "1"
    assert canonical_quantity(0.5) == "500m"


@pytest.mark.parametrize(("text", "value"), [("1.5", 2), ("500m", 1), ("1Ki", 1024), ("-1.5", -2)])
def test_whole_units_round_away_from_zero(text, value):
    assert int_value(text) == value


@pytest.mark.parametrize(("text", "value"), [("0.1", 100), ("100u", 1), ("1n", 1), ("2", 2000)])
def test_milli_units_round_up(text, value):
    assert milli_value(text) == value


@pytest.mark.parametrize("text", ["", "K", "ki", "KiB", "1MB", "1 2", "abc", "1.2.3", "1e", "--1"])
def test_a_text_that_is_no_quantity_is_refused(text):
    with pytest.raises(QuantityError):
        parse_quantity(text)


@given(
    st.integers(-(10**18), 10**18), st.sampled_from(["n", "u", "m", "", "k", "M", "G", "Ki", "Mi"])
)
def test_printing_and_parsing_again_keeps_the_value(number, suffix):
    quantity = parse_quantity(f"{number}{suffix}")
    assert parse_quantity(str(quantity)).nanos == quantity.nanos
