"""Chance that is the same each time: what is drawn follows from a seed and from what it is for.

So it does not matter in which order nodes and pods draw, and nobody keeps a generator. Pure.
"""

from __future__ import annotations

from hashlib import blake2b


def drawn(*about: object) -> float:
    """Return a number of [0, 1) for what it is about."""
    text = "/".join(map(str, about))
    return int.from_bytes(blake2b(text.encode(), digest_size=7).digest()) / 2**56
