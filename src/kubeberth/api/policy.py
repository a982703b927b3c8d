"""The policy group's kinds, `policy/v1`, as the scheduler reads them."""

from __future__ import annotations

import msgspec

from kubeberth.api.meta import ApiStruct, LabelSelector, ObjectMeta


class PodDisruptionBudgetSpec(ApiStruct, frozen=True):
    """Which pods are protected, and how many of them must stay."""

    selector: LabelSelector | None = None
    min_available: int | str | None = None
    max_unavailable: int | str | None = None


class BudgetCondition(ApiStruct, frozen=True):
    """Whether something is so of a budget, and since when."""

    type: str
    status: str = ""
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None
    observed_generation: int = 0


class PodDisruptionBudgetStatus(ApiStruct, frozen=True):
    """How many pods may go at the moment."""

    observed_generation: int = 0
    disruptions_allowed: int = 0
    current_healthy: int = 0
    desired_healthy: int = 0
    expected_pods: int = 0
    conditions: tuple[BudgetCondition, ...] = ()
    disrupted_pods: dict[str, str] = {}
    """Names of pods whose eviction has been granted, with the time when it was."""


class PodDisruptionBudget(ApiStruct, frozen=True):
    """How many of some pods may be disturbed at a time."""

    metadata: ObjectMeta = ObjectMeta()
    spec: PodDisruptionBudgetSpec = PodDisruptionBudgetSpec()
    status: PodDisruptionBudgetStatus = PodDisruptionBudgetStatus()


decode_disruption_budget = msgspec.json.Decoder(PodDisruptionBudget).decode
