"""Edits for nobody's rule: a pod that nobody makes room for, until it is more urgent."""

from __future__ import annotations

from dataclasses import dataclass

from kubeberth.api.core import Pod
from kubeberth.api.priority import HIGHEST_USER_PRIORITY, PREEMPT
from kubeberth.placement.remedies.commands import create_priority_class
from kubeberth.placement.remedies.edit import CHANGE_FIELD, EVICT_POD, Edit, with_spec
from kubeberth.placement.remedies.what_if import WhatIf


@dataclass(frozen=True, slots=True)
class Urgency:
    """A class that makes a pod urgent enough, and who would leave which node for it."""

    edit: Edit
    node: str
    victims: tuple[str, ...]


def urgency(what_if: WhatIf) -> Urgency | None:
    """Return the least priority with which a pod preempts the victims that are the best ones.

    None when no class that people may make is high enough, or it would preempt them as it is.
    """
    pod = what_if.pod
    value = _highest_needed(what_if)
    nomination = None if value is None else what_if.nomination(_urgent(pod, value))
    if value is None or nomination is None or not nomination.victims:
        return None
    above = max(what_if.placed(key).priority for key in nomination.victims)
    if above < pod.priority and not _is_patient(pod):
        return None
    least = max(above + 1, pod.priority)
    if least < value:
        # Who is less urgent may have to choose others, all of whom are less urgent still.
        nomination = what_if.nomination(_urgent(pod, least))
    if nomination is None:
        return None
    return Urgency(
        _raise(pod, above, least, nomination.victims), nomination.node, nomination.victims
    )


def _highest_needed(what_if: WhatIf) -> int | None:
    """Return a priority above all others, as far as people may have it; None if none is needed."""
    state, pod = what_if.state, what_if.pod
    there = {p.priority for name in state.node_names for p in state.pods_on(name)}
    highest = max((value for value in there if value < HIGHEST_USER_PRIORITY), default=None)
    if highest is None:
        return None
    if highest < pod.priority:
        return pod.priority if _is_patient(pod) else None
    return highest + 1


def _urgent(pod: Pod, value: int) -> Pod:
    return with_spec(pod, priority=value, preemption_policy=PREEMPT, scheduling_gates=())


def _is_patient(pod: Pod) -> bool:
    return pod.spec.preemption_policy != PREEMPT


def _raise(pod: Pod, above: int, value: int, victims: tuple[str, ...]) -> Edit:
    if above < pod.priority:
        name, what = f"preempting-{value}", "let it preempt others"
    else:
        name, what = f"above-{above}", f"give it a priority class above {above}"
    told = " and ".join(victims[:3])
    more = len(victims) - 3
    told = f"{told} and {more} more" if more > 0 else told

    def change(pod: Pod) -> Pod:
        # Who is admitted anew gets both of its class, and may not say otherwise.
        return with_spec(pod, priority_class_name=name, priority=None, preemption_policy=PREEMPT)

    return Edit(
        "raise-priority",
        f"{what}: it would preempt {told}",
        EVICT_POD + CHANGE_FIELD / 2 + len(victims) / 10,
        on_pod=change,
        command=create_priority_class(name, value),
    )
