"""Normalisation: raw scores of the feasible nodes become 0..100.

Matches kube-scheduler 1.36 (plugins/helper/normalize_score.go, interpodaffinity/scoring.go,
podtopologyspread/scoring.go).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kubeberth.placement.plugin import MAX_SCORE, Normalization, Scores

_FULL = float(MAX_SCORE)


def normalize(raw: Scores, how: Normalization) -> Scores:
    """Return normalised scores of the same shape; `raw` holds the feasible nodes only."""
    match how:
        case Normalization.NONE:
            return raw
        case Normalization.DEFAULT:
            return _by_maximum(raw)
        case Normalization.REVERSED:
            return MAX_SCORE - _by_maximum(raw)
        case Normalization.MIN_MAX:
            return _by_range(raw)
        case Normalization.INVERTED:
            return _by_inversion(raw)


def normalize_groups(raw: list[int], how: Normalization) -> list[int]:
    """Return the same for a few plain numbers, one per group of nodes."""
    match how:
        case Normalization.NONE:
            return raw
        case Normalization.DEFAULT:
            return by_maximum(raw)
        case Normalization.REVERSED:
            return [MAX_SCORE - share for share in by_maximum(raw)]
        case Normalization.MIN_MAX:
            return by_range(raw)
        case Normalization.INVERTED:
            return by_inversion(raw)


def by_maximum(raw: list[int]) -> list[int]:
    """Return shares of the highest, in percent."""
    maximum = max(raw, default=0)
    return [value * MAX_SCORE // maximum for value in raw] if maximum > 0 else [0] * len(raw)


def by_range(raw: Sequence[int]) -> list[int]:
    """Return places between the lowest and the highest, in percent."""
    low, high = min(raw), max(raw)
    span = high - low
    if span == 0:
        return [0] * len(raw)
    # Most values are one of the two, and need no arithmetic.
    return [
        0 if value == low else MAX_SCORE if value == high else int(_FULL * ((value - low) / span))
        for value in raw
    ]


def by_inversion(raw: list[int]) -> list[int]:
    """Return shares of the highest of which the lowest gets most; what is negative gets nothing."""
    low, high = min(raw, default=0), max(raw, default=0)
    if low < 0:
        counted = iter(by_inversion([value for value in raw if value >= 0]))
        return [next(counted) if value >= 0 else 0 for value in raw]
    if high == 0:
        return [MAX_SCORE] * len(raw)
    ends = high + low
    return [MAX_SCORE * (ends - value) // high for value in raw]


def _by_maximum(raw: Scores) -> Scores:
    # Raw scores that use this are counts and positive weights: no negative operands.
    maximum = int(raw.max(initial=0))
    return raw if maximum == 0 else raw * MAX_SCORE // maximum


def _by_range(raw: Scores) -> Scores:
    low, high = int(raw.min()), int(raw.max())
    if low == high:
        return np.zeros_like(raw)
    # Floating point, in upstream's order of operations: 29 of 0..100 becomes 28.
    scaled: Scores = (_FULL * ((raw - low) / (high - low))).astype(np.int64)
    return scaled


def _by_inversion(raw: Scores) -> Scores:
    counted = raw[raw >= 0]
    high = int(counted.max(initial=0))
    if high == 0:
        return np.where(raw >= 0, MAX_SCORE, 0)
    shares = MAX_SCORE * (high + int(counted.min()) - raw) // high
    return np.where(raw >= 0, shares, 0)
