"""Regular expressions of Go."""

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
        (r"^\pL+$", "größe", True),
    ],
)
def test_a_pattern_means_what_it_means_in_go(pattern, text, matches):
    assert bool(compile_pattern(pattern).search(text)) is matches


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(a", "error parsing regexp: missing closing ): `(a`"),
        ("[a", "error parsing regexp: missing closing ]: `[a`"),
        ("(?=a)", "error parsing regexp: invalid or unsupported Perl syntax: `(?=`"),
        ("\\", "error parsing regexp: trailing backslash at end of expression: ``"),
        ("*a", "error parsing regexp: missing argument to repetition operator: `*`"),
    ],
)
def test_a_malformed_pattern_is_refused_in_the_words_of_go(pattern, why):
    with pytest.raises(PatternError) as caught:
        compile_pattern(pattern)
    assert str(caught.value) == why


def test_no_pattern_takes_more_than_its_time():
    evil = compile_pattern("^(a+)+$")
    assert evil.search("a" * 100_000 + "b") is None
