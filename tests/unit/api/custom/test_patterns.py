"""Regular expressions of Go, run by Python."""

import pytest

from kubeberth.api.custom.patterns import PatternError, compile_pattern


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("^a$", "a\n", False),
        ("^[a$]+$", "$", True),
        (r"^\d+$", "٣", False),
        ("^[[:alpha:]_]+$", "a_b", True),
        ("(?i)^abc$", "ABC", True),
        (r"^a\z", "a", True),
        (r"^\$$", "$", True),
    ],
)
def test_a_pattern_means_what_it_means_in_go(pattern, text, matches):
    assert bool(compile_pattern(pattern).search(text)) is matches


def test_a_malformed_pattern_is_refused():
    with pytest.raises(PatternError):
        compile_pattern("(a")
