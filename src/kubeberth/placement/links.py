"""Links: what ties a template to one cluster state, which is its label class and its counters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from kubeberth.api.selectors import NOTHING, Selector
from kubeberth.placement.census import Census, CensusCopy, Holding, Labels
from kubeberth.placement.counters import DomainCounter, LabelClass
from kubeberth.placement.podterm import PodTerm
from kubeberth.placement.request import PodRequest, PodRules
from kubeberth.placement.spread_counter import SpreadCounter, SpreadTerm


@dataclass(slots=True, eq=False)
class Links:
    """One template's standing in one state.

    Parameters
    ----------
    own_counters
        Counter of each own term; filled when a pod of the template is first to be placed.
    counts_own_terms
        Whether that has happened.
    held
        Counters that a placed pod adds to, with the amount.
    spread
        Counters for the template's topology spread constraints; filled when a rule first asks.
    default_selector
        What its default constraints select by, as of version `selectors_version` of its namespace.
    n_placed
        How many of its pods are on nodes, real or remembered.
    """

    label_class: LabelClass
    held: tuple[tuple[DomainCounter, int], ...]
    own_counters: dict[PodTerm, DomainCounter] = field(default_factory=dict)
    n_placed: int = 0
    counts_own_terms: bool = False
    spread: dict[SpreadTerm, SpreadCounter] = field(default_factory=dict)
    default_selector: Selector = NOTHING
    selectors_version: int = -1

    def adds_to(self, counter: DomainCounter | SpreadCounter) -> bool:
        """Return whether a placed pod is counted, or holds a term that is."""
        pods = self.label_class
        return (
            counter in pods.counted_by
            or counter in pods.spread
            or any(held is counter for held, _ in self.held)
        )

    def copy(self, copied: CensusCopy) -> Links:
        """Return the same links into a copied census."""
        return Links(
            copied.classes[self.label_class],
            tuple((copied.counters[counter], amount) for counter, amount in self.held),
            {term: copied.counters[counter] for term, counter in self.own_counters.items()},
            self.n_placed,
            self.counts_own_terms,
            {term: copied.spread[counter] for term, counter in self.spread.items()},
            self.default_selector,
            self.selectors_version,
        )


def link(census: Census, request: PodRequest, labels: Labels) -> Links:
    """Enter a template in the census."""
    held = []
    for holding, term, amount in _holdings(request.pod_rules):
        counter = census.held(holding, term)
        counter.n_users += 1
        held.append((counter, amount))
    label_class = census.class_of(request.namespace, labels, is_terminating=request.is_terminating)
    label_class.n_users += 1
    return Links(label_class, tuple(held))


def link_own_terms(census: Census, request: PodRequest, links: Links) -> None:
    """Have the pods counted that a template's own terms mean, from now on."""
    links.counts_own_terms = True
    for term in request.pod_rules.own_terms:
        if term not in links.own_counters:
            counter = links.own_counters[term] = census.matching(term)
            counter.n_users += 1


def link_spread(census: Census, links: Links, term: SpreadTerm) -> SpreadCounter:
    """Return the counter of a term, for a template's constraints, from now on."""
    counter = links.spread.get(term)
    if counter is None:
        counter = links.spread[term] = census.spread(term)
    return counter


def unlink_spread(census: Census, links: Links) -> None:
    """Give back all counters for a template's constraints; those that are asked for come anew."""
    for counter in links.spread.values():
        census.release_spread(counter)
    links.spread.clear()


def unlink(census: Census, request: PodRequest, links: Links) -> None:
    """Take a template without pods out of the census."""
    for term in links.own_counters:
        census.release_matching(term)
    for holding, term, _ in _holdings(request.pod_rules):
        census.release_held(holding, term)
    unlink_spread(census, links)
    census.release_class(links.label_class)


def _holdings(rules: PodRules) -> Iterator[tuple[Holding, PodTerm, int]]:
    for term in rules.held_anti:
        yield "anti", term, 1
    for term in rules.held_affinity:
        yield "affinity", term, 1
    for weight, term in rules.held_preferred:
        yield "preferred", term, weight
