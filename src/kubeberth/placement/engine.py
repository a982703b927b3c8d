"""Engine: where a pod goes, by one profile over one cluster state.

Pure: the state is read, a Decision comes back, and whoever asked carries it out. All nodes are
looked at, none are sampled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
import numpy as np

from kubeberth.api.core import Pod
from kubeberth.placement.decision import Decision, Failure
from kubeberth.placement.explain import NO_NODES, explain_failure, to_nomination
from kubeberth.placement.node_filter import NodeFilter
from kubeberth.placement.plugin import PlacementError
from kubeberth.placement.preemption import Preemption
from kubeberth.placement.profile import Profile, default_profile
from kubeberth.placement.ranking import TooManyGroupsError
from kubeberth.placement.request import PodRequest
from kubeberth.placement.reservation import Reservation
from kubeberth.placement.searches import Searches
from kubeberth.placement.state import ClusterState
from kubeberth.placement.ties import FirstAdded, TieBreak
from kubeberth.placement.verdicts import RefusedError, judge, narrow


class Engine:
    """Places pods by one profile; keeps per template what it has worked out so far.

    Parameters
    ----------
    state
        The cluster; whoever owns it may change it between two decisions.
    ties
        Chooses among equally good nodes.
    """

    def __init__(
        self, state: ClusterState, profile: Profile | None = None, ties: TieBreak | None = None
    ) -> None:
        self.state = state
        self.profile = profile or default_profile()
        self._ties = ties or FirstAdded()
        self._nodes, self._nominated = state.nodes, state.nominations.pods
        self._preemption = Preemption(state, self.profile)
        self._census, self._seen_census = state.census, -1
        self._searches = Searches(state, self.profile, self._ties)
        self._search_of, self._reserving = self._searches.by_template, self._searches.reserving

    def place(self, pod: Pod) -> Decision:
        """Return where the pod goes, or why it goes nowhere; nothing is changed."""
        return self._decide(pod.metadata.key, self.state.request(pod))[0]

    def place_all(self, pods: Iterable[Pod]) -> Iterator[Decision]:
        """Yield a decision for each pod; a placed one is assumed before the next is looked at."""
        state = self.state
        for pod in pods:
            meta = pod.metadata
            key, request = meta.key, state.request(pod)
            decision, slot = self._decide(key, request)
            if slot is not None:
                state.assume(key, meta.labels, request, slot, decision.reservations)
            yield decision

    def place_alike(self, request: PodRequest, keys: Iterable[str]) -> Iterator[Decision]:
        """Yield a decision for each of some pods of one template, as `place` would one by one.

        Whoever takes a decision carries it out before the next one is asked for, and changes
        nothing else meanwhile. So what one pod is told when no node takes it, and none can be made
        free, holds for those after it, without another look at every node.

        Parameters
        ----------
        keys
            `namespace/name` of each.
        """
        failed: Decision | None = None
        for key in keys:
            if failed is not None and not self._nominated:
                yield msgspec.structs.replace(failed, pod_key=key)
                continue
            decision, _ = self._decide(key, request)
            is_final = decision.failure is not None and decision.nomination is None
            # Somebody's nomination may end with the attempt, which leaves room to others.
            failed = decision if is_final and not self._nominated else None
            yield decision

    def _decide(self, key: str, request: PodRequest) -> tuple[Decision, int | None]:
        nodes = self._nodes
        n_nodes = len(nodes.slot_of)
        if self._nominated and (slot := self._own_nomination(key, request)) is not None:
            promised = self.reserve(request, slot)
            name = nodes.name_of[slot]
            return Decision(key, name, n_nodes, 1, reservations=promised), slot
        if self._census.version != self._seen_census:
            self._seen_census = self._census.version
            self._searches.look_again()
        try:
            choice = self._search_of[request].best()
        except TooManyGroupsError:
            choice = self._searches.give_up_ranking(request).best()
        except RefusedError:
            choice = None
        except PlacementError as error:
            return Decision(key, None, n_nodes, 0, None, Failure(str(error), is_error=True)), None
        if choice is None:
            return self._fail(key, request), None
        slot, score, n_feasible = choice
        name = nodes.name_of[slot]
        if self._reserving and request in self._reserving:
            promised = self.reserve(request, slot)
            chosen = Decision(key, name, n_nodes, n_feasible, score, reservations=promised)
            return chosen, slot
        return Decision(key, name, n_nodes, n_feasible, score), slot

    def reserve(self, request: PodRequest, slot: int) -> tuple[Reservation, ...]:
        """Return what a pod of a template is to be promised on a node that it passes."""
        rules = self._reserving.get(request)
        if rules is None:
            rules = self.profile.concerning(request).reserves
        return tuple(p for rule in rules for p in rule.reserve(self.state, request, slot))

    def _own_nomination(self, key: str, request: PodRequest) -> int | None:
        """Return the node to which a pod is nominated, if there is one and it fits."""
        state = self.state
        nominated = state.nominations.pods.get(key)
        slot = None if nominated is None else state.slot_of(nominated.node_name)
        if slot is None or _is_refused(state, request, self.profile):
            return None
        refusal = NodeFilter(state, self.profile, request, key).refusal(slot)
        return slot if refusal is None else None

    def _fail(self, key: str, request: PodRequest) -> Decision:
        """Return why a pod goes nowhere, and what would have to go for it."""
        state, profile = self.state, self.profile
        if not state.n_nodes:
            return Decision(key, None, 0, failure=Failure(NO_NODES))
        verdicts = judge(state, request, profile, key)
        search = self._preemption.search(request, verdicts, key)
        failure = explain_failure(state, request, profile, verdicts, search)
        nomination = None
        if search.is_successful:
            best = search.best
            slots = np.array([option.slot for option in best], dtype=np.intp)
            chosen = best[int(np.argmin(self._ties.ranks(slots)))]
            nomination = to_nomination(state, chosen.candidate())
        return Decision(key, None, state.n_nodes, failure=failure, nomination=nomination)


def _is_refused(state: ClusterState, request: PodRequest, profile: Profile) -> bool:
    """Return whether a rule refuses a pod as a whole."""
    try:
        narrow(state, request, profile)
    except RefusedError:
        return True
    return False
