"""What was found without fault is not looked at again: pods of one template have the same spec.

Rule 1  Only the absence of findings is remembered; findings are always worked out anew.
Rule 2  Two specs count as the same when their JSON is, but for the name of the volume with the
        service account's token, which is drawn anew for every pod. It takes part in nothing
        but equality with other names of the spec, and that is kept: what takes its place is a
        byte that no JSON has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

import msgspec

Spec = Mapping[str, Any]
Finding = TypeVar("Finding")
Check = Callable[..., Iterable[Finding]]

# Templates in use at one time; a large cluster has some thousand workloads.
REMEMBERED = 4096
# Larger ones would take more memory than their checks take time.
MAX_BYTES = 64 * 1024

# As the admission plugin ServiceAccount draws it.
_TOKEN_VOLUME = re.compile(r"kube-api-access-[bcdfghjklmnpqrstvwxz2456789]{5}")
_PLACEHOLDER = b"\x00"

_encode = msgspec.json.Encoder().encode


class Faultless(Generic[Finding]):
    """A check of specs that remembers which had no findings.

    Parameters
    ----------
    check
        Takes a spec and what else counts; pure, and the rest hashable.
    """

    def __init__(self, check: Check[Finding]) -> None:
        self._check = check
        self._known: set[tuple[Any, ...]] = set()

    def __call__(self, spec: Spec, *rest: Any) -> list[Finding]:
        """Return what the check finds."""
        key = (_key_of(spec), *rest)
        if key in self._known:
            return []
        found = list(self._check(spec, *rest))
        if not found and len(key[0]) <= MAX_BYTES:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known.add(key)
        return found


def _key_of(spec: Spec) -> bytes:
    key = _encode(spec)
    for volume in spec.get("volumes") or ():
        name = volume.get("name", "")
        if _TOKEN_VOLUME.fullmatch(name):
            return key.replace(b'"%s"' % name.encode(), _PLACEHOLDER)
    return key
