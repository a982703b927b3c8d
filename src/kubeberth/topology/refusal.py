"""Why a kubelet does not run a pod."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """`status.reason`, and the message after "Pod was rejected: "."""

    reason: str
    message: str


TOPOLOGY_AFFINITY_ERROR = "TopologyAffinityError"

TOPOLOGY_AFFINITY = Refusal(
    TOPOLOGY_AFFINITY_ERROR, "Resources cannot be allocated with Topology locality"
)


def unexpected(error: str) -> Refusal:
    """Return the refusal for an allocation that went wrong."""
    return Refusal(
        "UnexpectedAdmissionError", f"Allocate failed due to {error}, which is unexpected"
    )
