"""Lists of CPUs as the kernel writes them."""

import pytest

from kubeberth.topology.cpuset import cpu_list, parse_cpus


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("", []), ("3", [3]), ("0-3,8", [0, 1, 2, 3, 8]), ("5,1", [1, 5]), ("2-2", [2])],
)
def test_a_list_stands_for_a_set(text, cpus):
    assert sorted(parse_cpus(text)) == cpus


def test_a_set_is_written_in_ranges_ascending():
    assert cpu_list({8, 1, 0, 2, 10}) == "0-2,8,10"
    assert cpu_list(()) == ""


@pytest.mark.parametrize("text", ["a", "1-", "-1", "3-1", "1,,2", "1 2", "9999999"])
def test_anything_else_is_no_list(text):
    with pytest.raises(ValueError, match="is no list of CPUs"):
        parse_cpus(text)
