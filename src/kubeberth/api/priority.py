"""Priority: what a pod's priority class, or the global default one, makes of its spec.

Matches `plugin/pkg/admission/priority` of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Document = dict[str, Any]

PREEMPT = "PreemptLowerPriority"

# No class that people make is higher.
HIGHEST_USER_PRIORITY = 1_000_000_000
# The classes that every cluster has, and that nobody may remove.
SYSTEM_PRIORITIES = {
    "system-node-critical": 2_000_001_000,
    "system-cluster-critical": 2_000_000_000,
}


def global_default(classes: Iterable[Document]) -> Document | None:
    """Return the class of pods that name none; of several the one of the lowest value."""
    marked = (entry for entry in classes if entry.get("globalDefault"))
    return min(marked, key=lambda entry: entry.get("value", 0), default=None)


def fill_in_priority(spec: Document, priority_class: Document | None) -> str:
    """Set priority and preemption policy of a new pod's spec.

    Parameters
    ----------
    priority_class
        The one that the spec names, or the global default when it names none; None if there is no
        such class.

    Returns
    -------
    str
        Why the pod is refused; empty when it is not.
    """
    name = spec.get("priorityClassName", "")
    if name and priority_class is None:
        return f"no PriorityClass with name {name} was found"
    value, policy = 0, PREEMPT
    if priority_class is not None:
        spec["priorityClassName"] = priority_class["metadata"]["name"]
        value = priority_class.get("value", 0)
        policy = priority_class.get("preemptionPolicy", PREEMPT)
    if spec.get("priority", value) != value:
        return (
            f"the integer value of priority ({spec['priority']}) must not be provided in pod "
            f"spec; priority admission controller computed {value} from the given "
            "PriorityClass name"
        )
    if spec.get("preemptionPolicy", policy) != policy:
        return (
            f"the string value of PreemptionPolicy ({spec['preemptionPolicy']}) must not be "
            f"provided in pod spec; priority admission controller computed {policy} from the "
            "given PriorityClass name"
        )
    spec["priority"], spec["preemptionPolicy"] = value, policy
    return ""
