"""Links: what ties a template to one cluster state, which is its label class and its counters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from kubeberth.placement.census import Census, CensusCopy, Holding, Labels
from kubeberth.placement.counters import DomainCounter, LabelClass
from kubeberth.placement.podterm import PodTerm
from kubeberth.placement.request import PodRequest, PodRules


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
    n_placed
        How many of its pods are on nodes, real or remembered.
    """

    label_class: LabelClass
    held: tuple[tuple[DomainCounter, int], ...]
    own_counters: dict[PodTerm, DomainCounter] = field(default_factory=dict)
    n_placed: int = 0
    counts_own_terms: bool = False

    def copy(self, copied: CensusCopy) -> Links:
        """Return the same links into a copied census."""
        return Links(
            copied.classes[self.label_class],
            tuple((copied.counters[counter], amount) for counter, amount in self.held),
            {term: copied.counters[counter] for term, counter in self.own_counters.items()},
            self.n_placed,
            self.counts_own_terms,
        )


def link(census: Census, request: PodRequest, labels: Labels) -> Links:
    """Enter a template in the census."""
    held = []
    for holding, term, amount in _holdings(request.pod_rules):
        counter = census.held(holding, term)
        counter.n_users += 1
        held.append((counter, amount))
    label_class = census.class_of(request.namespace, labels)
    label_class.n_users += 1
    return Links(label_class, tuple(held))


def link_own_terms(census: Census, request: PodRequest, links: Links) -> None:
    """Have the pods counted that a template's own terms mean, from now on."""
    links.counts_own_terms = True
    for term in request.pod_rules.own_terms:
        if term not in links.own_counters:
            counter = links.own_counters[term] = census.matching(term)
            counter.n_users += 1


def unlink(census: Census, request: PodRequest, links: Links) -> None:
    """Take a template without pods out of the census."""
    for term in links.own_counters:
        census.release_matching(term)
    for holding, term, _ in _holdings(request.pod_rules):
        census.release_held(holding, term)
    census.release_class(links.label_class)


def _holdings(rules: PodRules) -> Iterator[tuple[Holding, PodTerm, int]]:
    for term in rules.held_anti:
        yield "anti", term, 1
    for term in rules.held_affinity:
        yield "affinity", term, 1
    for weight, term in rules.held_preferred:
        yield "preferred", term, weight
