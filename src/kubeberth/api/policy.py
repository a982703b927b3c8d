"""The policy group's kinds, `policy/v1`, as the scheduler reads them."""

from __future__ import annotations

import msgspec

from kubeberth.api.meta import ApiStruct, LabelSelector, ObjectMeta


class PodDisruptionBudgetSpec(ApiStruct, frozen=True):
    """Which pods are protected; how many of them must stay is in the status, worked out."""

    selector: LabelSelector | None = None


class PodDisruptionBudgetStatus(ApiStruct, frozen=True):
    """How many pods may go at the moment."""

    disruptions_allowed: int = 0
    disrupted_pods: dict[str, str] = {}
    """Names of pods whose eviction has been granted, with the time when it was."""


class PodDisruptionBudget(ApiStruct, frozen=True):
    """How many of some pods may be disturbed at a time."""

    metadata: ObjectMeta = ObjectMeta()
    spec: PodDisruptionBudgetSpec = PodDisruptionBudgetSpec()
    status: PodDisruptionBudgetStatus = PodDisruptionBudgetStatus()


decode_disruption_budget = msgspec.json.Decoder(PodDisruptionBudget).decode
