"""Unjudged: writes of a plan about which no admission policy is asked."""

from __future__ import annotations

from kubeberth.api.scheme import Resource
from kubeberth.apiserver.admission.chain import Operation

Write = tuple[Operation, Resource, str]
"""A kind of write: what is done to which resource, or subresource of it."""

# What somebody is not asked about who is asked about all else.
GOING, IN_PART = "what goes", "what is here in part"


class Unjudged:
    """The kinds of writes about which nobody was asked.

    Attributes
    ----------
    writes
        By what they are about: `GOING`, `IN_PART`.
    """

    def __init__(self) -> None:
        self.writes: dict[str, set[Write]] = {GOING: set(), IN_PART: set()}

    def note(self, about: str, operation: Operation, resource: Resource, sub: str = "") -> None:
        """Take one down."""
        self.writes[about].add((operation, resource, sub))
