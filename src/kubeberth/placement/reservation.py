"""Reservations: what of the cluster's storage a placed pod has been promised.

They come with a decision, hold from the moment the pod is assumed, and are what has to be done
before it is bound.
"""

from __future__ import annotations

import msgspec


class BindClaim(msgspec.Struct, frozen=True, gc=False):
    """A volume that exists is to be bound to a claim.

    Parameters
    ----------
    claim
        `namespace/name`.
    """

    claim: str
    volume: str


class ProvisionClaim(msgspec.Struct, frozen=True, gc=False):
    """A volume is to be made for a claim, where the node can reach it."""

    claim: str
    node: str


Reservation = BindClaim | ProvisionClaim
