"""Tokens that lead to the next page."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeberth.apiserver.continuation import Continuation, parse_continuation
from kubeberth.errors import BadRequestError


@given(st.text(min_size=1).filter(lambda text: not text.endswith("\0")), st.integers(1, 2**60))
def test_a_token_comes_back_as_what_it_was_made_from(last, revision):
    continuation = Continuation(last, revision)
    assert parse_continuation(continuation.token()) == continuation


@pytest.mark.parametrize(
    ("token", "why"),
    [
        ("bogus", "illegal base64 data at input byte 4"),
        ("a!bc", "illegal base64 data at input byte 1"),
        ("e30", 'server does not recognize this encoded version ""'),
    ],
)
def test_what_is_no_token_is_refused(token, why):
    with pytest.raises(BadRequestError) as refused:
        parse_continuation(token)
    assert refused.value.message == f"invalid continue token: continue key is not valid: {why}"
