"""Searches: what has been worked out about where pods go, by template.

Templates that every rule of the profile judges alike share a ranking: the same Deployment in a
hundred namespaces is followed once, not a hundred times. What they must have in common is what the
rules go by (`plugin.Impartial`). Terms come and go with other templates, so it is looked at again
whenever the version of the census has changed.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from weakref import WeakValueDictionary

from kubeberth.placement.entries import EntriesBook
from kubeberth.placement.memo import Memo
from kubeberth.placement.plugin import ReservePlugin
from kubeberth.placement.profile import Profile, concerns, criteria
from kubeberth.placement.ranked_rules import RankedRules
from kubeberth.placement.ranking import Ranking
from kubeberth.placement.request import PodRequest
from kubeberth.placement.rows import Rows
from kubeberth.placement.rule_kinds import RuleKinds
from kubeberth.placement.search import Search
from kubeberth.placement.state import ClusterState
from kubeberth.placement.ties import Order, TieBreak
from kubeberth.placement.verdicts import narrow

# A ranking takes some 32 bytes per node: a third of a gigabyte in all.
_MAX_RANKED_NODES = 10_000_000
_MAX_TEMPLATES = 4096


@dataclass(slots=True, eq=False)
class _Template:
    """What is known of one template.

    Parameters
    ----------
    profile
        The rules that concern it.
    fixed
        What rules go by that do not read the cluster.
    ranking
        The one that it uses, which lives as long as any template does.
    crowded
        The criteria by which nodes were too different for a ranking; None when it cannot have any.
    """

    profile: Profile
    fixed: Hashable
    is_rankable: bool
    ranking: Ranking | None = None
    crowded: Hashable = None


class Searches:
    """The searches of one engine.

    Attributes
    ----------
    by_template
        Works out what it does not hold yet.
    reserving
        The rules that promise something to pods of a template, where there are any.
    """

    def __init__(self, state: ClusterState, profile: Profile, ties: TieBreak) -> None:
        self._state, self._profile, self._ties = state, profile, ties
        self._kinds = RuleKinds(profile)
        self._entries = EntriesBook(state, Order(ties))
        self.by_template: Memo[PodRequest, Search] = Memo(self._find)
        self.reserving: dict[PodRequest, tuple[ReservePlugin, ...]] = {}
        # The one that was last found longest ago comes first.
        self._templates: dict[PodRequest, _Template] = {}
        self._rankings: WeakValueDictionary[Hashable, Ranking] = WeakValueDictionary()

    def look_again(self) -> None:
        """Note that terms have come or gone: templates may have something else in common."""
        self.by_template.clear()

    def give_up_ranking(self, request: PodRequest) -> Search:
        """Return a search without groups, for a template whose nodes differ too much."""
        template = self._templates[request]
        template.crowded, template.ranking = self._key(template, request), None
        # Others may have used the same ranking.
        self._rankings.pop(template.crowded, None)
        self.by_template.clear()
        return self.by_template[request]

    def _find(self, request: PodRequest) -> Search:
        template = self._templates.pop(request, None) or self._meet(request)
        self._templates[request] = template
        self._make_room()
        key = self._key(template, request) if template.is_rankable else None
        if key == template.crowded:
            return Rows(self._state, template.profile, request, self._ties)
        ranking = self._rankings.get(key)
        if ranking is None:
            rules = RankedRules(self._state, template.profile, self._kinds, request)
            ranking = self._rankings[key] = Ranking(self._state, rules, self._entries)
        ranking.speak_for(request)
        template.ranking = ranking
        return ranking

    def _meet(self, request: PodRequest) -> _Template:
        """Look at a template for the first time.

        Raises
        ------
        RefusedError
            When a rule refuses its pods as a whole; then nothing is kept.
        """
        state, kinds = self._state, self._kinds
        profile = self._profile.concerning(request)
        if profile.reserves:
            self.reserving[request] = profile.reserves
        names, _ = narrow(state, request, profile)
        is_rankable = names is None and not any(concerns(r, request) for r in kinds.unrankable)
        fixed = tuple([criteria(rule, state, request) for rule in kinds.others])
        return _Template(profile, (request.priority, fixed), is_rankable)

    def _key(self, template: _Template, request: PodRequest) -> Hashable:
        """Return all by which a template is judged."""
        rules = self._kinds.domain_rules.values()
        return template.fixed, tuple([rule.criteria(self._state, request) for rule in rules])

    def _make_room(self) -> None:
        """Forget the templates that were last found longest ago, when there are too many."""
        templates = self._templates
        most = _MAX_RANKED_NODES // (self._state.n_slots + 1)
        while len(templates) > 1 and (
            len(self._rankings) > most or len(templates) > _MAX_TEMPLATES
        ):
            oldest = next(iter(templates))
            del templates[oldest]
            self.by_template.pop(oldest, None)
            self.reserving.pop(oldest, None)
