"""What a kubelet publishes of who has what: its allocations, and which pods they are of.

Whoever foresees what the kubelet will say to a pod adds the pods that it has not heard of yet, and
leaves out those that are gone since.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from kubeberth.topology.checkpoint import CheckpointError, from_json, to_json
from kubeberth.topology.kept_state import KeptState
from kubeberth.topology.managers import Allocations


@dataclass(frozen=True, slots=True)
class Publication:
    """What a kubelet published.

    Parameters
    ----------
    pods
        `namespace/name` of the pods that it has admitted and that have not ended, by UID.
    """

    allocations: Allocations
    pods: Mapping[str, str]


class _Document(msgspec.Struct, frozen=True):
    pods: dict[str, str]
    kept: msgspec.Raw


def to_text(kept: KeptState, pods: Mapping[str, str]) -> str:
    """Return a publication as text."""
    document = _Document(dict(pods), msgspec.Raw(to_json(kept)))
    return msgspec.json.encode(document).decode()


def from_text(text: str) -> Publication:
    """Return what a text publishes.

    Raises
    ------
    CheckpointError
        Nothing that a kubelet wrote.
    """
    try:
        document = msgspec.json.decode(text, type=_Document)
    except msgspec.DecodeError as error:
        raise CheckpointError(f"publication is damaged: {error}") from None
    return Publication(from_json(bytes(document.kept)).allocations, document.pods)
