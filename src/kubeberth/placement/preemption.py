"""Preemption: which pods of lower priority have to go so that a pod fits somewhere.

Asked when a pod fits nowhere. The answer names a node and its victims; nothing is done about it.
Matches kube-scheduler 1.36 (plugins/defaultpreemption, framework/preemption).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from kubeberth.placement.dryrun import dry_run
from kubeberth.placement.node_filter import NodeFilter
from kubeberth.placement.profile import Profile
from kubeberth.placement.request import PodRequest
from kubeberth.placement.state import ClusterState
from kubeberth.placement.verdicts import Verdicts
from kubeberth.placement.victims import Candidate, least_harm

PREEMPTION = "DefaultPreemption"
NO_VICTIMS = "No preemption victims found for incoming pod"
NO_HELP = "Preemption is not helpful for scheduling"


@dataclass(frozen=True, slots=True)
class VictimSearch:
    """What looking for victims came to.

    Parameters
    ----------
    not_eligible
        Why the pod may not preempt anybody; empty when it may.
    candidates
        The nodes that can be made free.
    obstacles
        Why other nodes cannot, and how many.
    """

    not_eligible: str = ""
    candidates: tuple[Candidate, ...] = ()
    obstacles: Counter[str] = field(default_factory=Counter)

    @property
    def best(self) -> list[Candidate]:
        """The candidates that give up least."""
        return least_harm(self.candidates)


def find_victims(
    state: ClusterState, request: PodRequest, profile: Profile, verdicts: Verdicts, key: str
) -> VictimSearch:
    """Return which nodes can be made free for a pod, and whom each would give up.

    Parameters
    ----------
    verdicts
        What the hard rules say about all nodes; none passes.
    key
        Of the pod.
    """
    if verdicts.refused is not None or PREEMPTION not in profile.post_filters:
        return VictimSearch()
    if request.preemption_policy == "Never":
        return VictimSearch("not eligible due to preemptionPolicy=Never.")
    if _waits_already(state, request, profile, verdicts, key):
        return VictimSearch("not eligible due to a terminating pod on the nominated node.")
    obstacles: Counter[str] = Counter()
    slots: list[int] = []
    for rejection, refused in verdicts.groups(state, request, profile):
        if rejection.resolvable:
            slots += refused.tolist()
        else:
            obstacles[NO_HELP] += len(refused)
    node_filter = NodeFilter(state, profile, request, key)
    candidates: list[Candidate] = []
    wanted = profile.preemption.size(len(slots))
    for slot in slots:
        lower = [p for p in state.pods_on(state.node(slot).name) if p.priority < request.priority]
        if not lower:
            obstacles[NO_VICTIMS] += 1
            continue
        found = dry_run(state, node_filter, lower, slot)
        if isinstance(found, Candidate):
            candidates.append(found)
            if len(candidates) >= wanted and not all(c.n_violations for c in candidates):
                break
        else:
            index, code = found
            obstacles.update(profile.filters[index].rejection(state, request, code).reasons)
    return VictimSearch("", tuple(candidates), obstacles)


def _waits_already(
    state: ClusterState, request: PodRequest, profile: Profile, verdicts: Verdicts, key: str
) -> bool:
    """Return whether victims of an earlier search are on their way out for the pod."""
    nominated = state.nominations.pods.get(key)
    slot = None if nominated is None else state.slot_of(nominated.node_name)
    if nominated is None or slot is None:
        return False
    rejection = verdicts.rejection_of(slot, state, request, profile)
    if rejection is not None and not rejection.resolvable:
        return False
    return any(
        placed.makes_way and placed.priority < request.priority
        for placed in state.pods_on(nominated.node_name)
    )
