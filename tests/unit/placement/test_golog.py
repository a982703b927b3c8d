"""Go's logarithm is the C library's, but for the last bit of some numbers."""

from __future__ import annotations

import math

import pytest

from kubeberth.placement.golog import log


def test_the_numbers_that_go_rounds_otherwise_are_known() -> None:
    differing = [n for n in range(1, 200_002) if log(n) != math.log(n)]
    assert differing[:4] == [3, 14, 48, 74]
    assert len(differing) == 1997


@pytest.mark.parametrize("number", [1, 2, 3, 14, 5002, 10**9])
def test_it_is_a_logarithm(number: int) -> None:
    assert log(number) == pytest.approx(math.log(number), rel=1e-15)
