"""Census: which label classes there are, and which counters count them.

A term that is new is held against every class, a class that is new against every term; from then on
placing a pod touches only the counters that count it.

Labels that differ from pod to pod, such as a StatefulSet's pod names, would make a class of every
pod, so they are left out until a term selects by them. A few are known by name; any other is found
out when it has had too many values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from kubeberth.placement.counted_nodes import CountedNodesBook
from kubeberth.placement.counters import DomainCounter, LabelClass
from kubeberth.placement.label_index import ANYWHERE, LabelIndex
from kubeberth.placement.podterm import PodTerm
from kubeberth.placement.spread_counter import SpreadCounter, SpreadTerm
from kubeberth.placement.vocabulary import LabelColumn

Labels = Mapping[str, str]
ClassKey = tuple[str, tuple[tuple[str, str], ...], bool]
Holding = Literal["anti", "affinity", "preferred"]

PER_POD_LABELS = (
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
    "batch.kubernetes.io/job-completion-index",
    "batch.kubernetes.io/job-name",
    "batch.kubernetes.io/controller-uid",
    "job-name",
    "controller-uid",
)
_MAX_VALUES = 256


@dataclass(frozen=True, slots=True)
class CensusCopy:
    """A copied census, and what became of the counters and classes of the original."""

    census: Census
    counters: Mapping[DomainCounter, DomainCounter]
    spread: Mapping[SpreadCounter, SpreadCounter]
    classes: Mapping[LabelClass, LabelClass]


class Census:
    """The book of classes and counters of one cluster.

    Parameters
    ----------
    column_of
        Gives the column of a node label.
    counted_nodes
        Gives the nodes that take part when pods are counted for spreading.

    Attributes
    ----------
    left_out
        Pod labels by which classes do not differ.
    version
        Grows when a counter joins or leaves a class.
    n_recounts
        Grows when counters change although no pod came or went.
    pulse
        Shared by all counters.
    """

    def __init__(
        self, column_of: Callable[[str], LabelColumn], counted_nodes: CountedNodesBook
    ) -> None:
        self.left_out: set[str] = set(PER_POD_LABELS)
        self.namespaces: dict[str, Labels] = {}
        self.version = 0
        self.n_recounts = 0
        self.pulse = counted_nodes.pulse
        self._column_of = column_of
        self._counted_nodes = counted_nodes
        self._looked_at: set[str] = set()
        self._values: dict[str, set[str]] = {}
        self._classes: dict[ClassKey, LabelClass] = {}
        self._matching: dict[PodTerm, DomainCounter] = {}
        self._held: dict[tuple[Holding, PodTerm], DomainCounter] = {}
        self._spread: dict[SpreadTerm, SpreadCounter] = {}
        # Terms by one label that they demand, classes by all that they have.
        self._matching_by_label: LabelIndex[DomainCounter] = LabelIndex()
        self._held_by_label: LabelIndex[tuple[Holding, DomainCounter]] = LabelIndex()
        self._spread_by_label: LabelIndex[SpreadCounter] = LabelIndex()
        self._classes_by_label: LabelIndex[LabelClass] = LabelIndex()

    # Classes

    def visible(self, labels: Labels) -> Labels:
        """Return a pod's labels without those that are left out."""
        if self.left_out.isdisjoint(labels):
            return labels
        return {key: value for key, value in labels.items() if key not in self.left_out}

    def look_at(self, keys: set[str]) -> set[str]:
        """Note that a term selects by these labels, and return those that had been left out."""
        self._looked_at |= keys
        found = keys & self.left_out
        self.left_out -= found
        return found

    def class_of(
        self, namespace: str, labels: Labels, *, is_terminating: bool = False
    ) -> LabelClass:
        """Return the class of pods with these visible labels, a new one at first sight."""
        key = (namespace, tuple(sorted(labels.items())), is_terminating)
        found = self._classes.get(key)
        if found is None:
            self._note_values(labels)
            found = LabelClass(namespace, dict(labels), is_terminating)
            self._classes[key] = found
            filed_under = (None, *labels.items())
            for place in (namespace, ANYWHERE):
                self._classes_by_label.add(place, filed_under, found)
                for counter in self._matching_by_label.find(place, filed_under):
                    if self._means(counter.term, found):
                        found.counted_by[counter] = None
                for holding, counter in self._held_by_label.find(place, filed_under):
                    if self._means(counter.term, found):
                        _holders(found, holding)[counter] = None
            for spread_counter in self._spread_by_label.find(namespace, filed_under):
                _enlist_for_spread(found, spread_counter)
        return found

    def release_class(self, pods: LabelClass) -> None:
        """Give back a class that `class_of` returned to one user less."""
        pods.n_users -= 1
        if pods.n_users == 0:
            filed_under = (None, *pods.labels.items())
            for place in (pods.namespace, ANYWHERE):
                self._classes_by_label.remove(place, filed_under, pods)
            labels = tuple(sorted(pods.labels.items()))
            del self._classes[pods.namespace, labels, pods.is_terminating]

    def _note_values(self, labels: Labels) -> None:
        for key, value in labels.items():
            values = self._values.setdefault(key, set())
            if len(values) < _MAX_VALUES:
                values.add(value)
            elif key not in self._looked_at:
                self.left_out.add(key)

    # Counters

    def matching(self, term: PodTerm) -> DomainCounter:
        """Return the counter of the pods that an own term means."""
        counter = self._matching.get(term)
        if counter is None:
            counter = DomainCounter(term, self._column_of(term.topology_key), self.pulse)
            self._matching[term] = counter
            for place in term.places:
                self._matching_by_label.add(place, (term.label,), counter)
            for pods in self._classes_like(term):
                if self._means(term, pods):
                    _enlist(pods, counter)
        return counter

    def held(self, holding: Holding, term: PodTerm) -> DomainCounter:
        """Return the counter of the pods that hold a term."""
        counter = self._held.get((holding, term))
        if counter is None:
            counter = DomainCounter(term, self._column_of(term.topology_key), self.pulse)
            self._held[holding, term] = counter
            for place in term.places:
                self._held_by_label.add(place, (term.label,), (holding, counter))
            for pods in self._classes_like(term):
                if self._means(term, pods):
                    _holders(pods, holding)[counter] = None
                    self.version += 1
        return counter

    def release_matching(self, term: PodTerm) -> None:
        """Give back a counter that `matching` returned to one user less."""
        counter = self._matching[term]
        counter.n_users -= 1
        if counter.n_users == 0:
            del self._matching[term]
            for place in term.places:
                self._matching_by_label.remove(place, (term.label,), counter)
            for pods in self._classes_like(term):
                pods.counted_by.pop(counter, None)

    def release_held(self, holding: Holding, term: PodTerm) -> None:
        """Give back a counter that `held` returned to one user less."""
        counter = self._held[holding, term]
        counter.n_users -= 1
        if counter.n_users == 0:
            del self._held[holding, term]
            for place in term.places:
                self._held_by_label.remove(place, (term.label,), (holding, counter))
            for pods in self._classes_like(term):
                if _holders(pods, holding).pop(counter, 0) is None:
                    self.version += 1

    def spread(self, term: SpreadTerm) -> SpreadCounter:
        """Return the counter of the pods that are spread together to one user more."""
        counter = self._spread.get(term)
        if counter is None:
            nodes = self._counted_nodes.lend(term.topology_key, term.inclusion)
            counter = self._spread[term] = SpreadCounter(term, nodes, self.pulse)
            self._spread_by_label.add(term.namespace, (term.label,), counter)
            for pods in self._classes_by_label.find(term.namespace, (term.label,)):
                _enlist_for_spread(pods, counter)
        counter.n_users += 1
        return counter

    def release_spread(self, counter: SpreadCounter) -> None:
        """Give back a counter that `spread` returned."""
        counter.n_users -= 1
        if counter.n_users == 0:
            del self._spread[counter.term]
            self._counted_nodes.release(counter.nodes)
            term = counter.term
            self._spread_by_label.remove(term.namespace, (term.label,), counter)
            for pods in self._classes_by_label.find(term.namespace, (term.label,)):
                pods.spread.pop(counter, None)
                pods.spread_uncounted.pop(counter, None)

    # Namespaces

    def put_namespace(self, name: str, labels: Labels | None) -> bool:
        """Set or, with None, drop a namespace, and return whether any term sees a difference."""
        if self.namespaces.get(name) == labels:
            return False
        if labels is None:
            self.namespaces.pop(name, None)
        else:
            self.namespaces[name] = labels
        changes = [self._recheck(pods) for pods in self._classes.values() if pods.namespace == name]
        if any(changes):
            self.version += 1
            self.n_recounts += 1
            return True
        return False

    def _recheck(self, pods: LabelClass) -> bool:
        """Ask every term with a namespace selector again about one class."""
        changed = False
        for term, counter in self._matching.items():
            if not term.has_namespace_selector:
                continue
            means = self._means(term, pods)
            if means is not (counter in pods.counted_by):
                changed = True
                (_enlist if means else _delist)(pods, counter)
        for (holding, term), counter in self._held.items():
            holders = _holders(pods, holding)
            if term.has_namespace_selector and self._means(term, pods) is not (counter in holders):
                changed = True
                if counter in holders:
                    del holders[counter]
                else:
                    holders[counter] = None
        return changed

    def _classes_like(self, term: PodTerm) -> Iterator[LabelClass]:
        """Yield the classes with the label that a term demands; it may mean no others."""
        for place in term.places:
            yield from self._classes_by_label.find(place, (term.label,))

    def _means(self, term: PodTerm, pods: LabelClass) -> bool:
        return term.includes(pods.namespace, pods.labels, self.namespaces)

    # Copying

    def copy(
        self, column_of: Callable[[str], LabelColumn], counted_nodes: CountedNodesBook
    ) -> CensusCopy:
        """Return a census over copies of the columns that changes on its own from now on."""
        other = Census(column_of, counted_nodes)
        other.left_out = self.left_out.copy()
        other.namespaces = self.namespaces.copy()
        other._looked_at = self._looked_at.copy()
        other._values = {key: values.copy() for key, values in self._values.items()}
        counters = {
            counter: counter.copy(column_of(counter.term.topology_key), other.pulse)
            for counter in (*self._matching.values(), *self._held.values())
        }
        spread = {
            counter: counter.copy(counted_nodes.get(term.topology_key, term.inclusion), other.pulse)
            for term, counter in self._spread.items()
        }

        def copied(found: dict[DomainCounter, None]) -> dict[DomainCounter, None]:
            return {counters[counter]: None for counter in found}

        classes = {
            pods: LabelClass(
                pods.namespace,
                pods.labels,
                pods.is_terminating,
                pods.on_slots.copy(),
                copied(pods.counted_by),
                copied(pods.anti),
                copied(pods.affinity),
                copied(pods.preferred),
                {spread[counter]: None for counter in pods.spread},
                {spread[counter]: None for counter in pods.spread_uncounted},
                pods.n_users,
            )
            for pods in self._classes.values()
        }
        other._classes = {key: classes[pods] for key, pods in self._classes.items()}
        other._matching = {term: counters[counter] for term, counter in self._matching.items()}
        other._held = {key: counters[counter] for key, counter in self._held.items()}
        other._spread = {term: spread[counter] for term, counter in self._spread.items()}
        for term, counter in other._matching.items():
            for place in term.places:
                other._matching_by_label.add(place, (term.label,), counter)
        for (holding, term), counter in other._held.items():
            for place in term.places:
                other._held_by_label.add(place, (term.label,), (holding, counter))
        for spread_term, spread_counter in other._spread.items():
            filed_under = (spread_term.label,)
            other._spread_by_label.add(spread_term.namespace, filed_under, spread_counter)
        for pods in other._classes.values():
            for place in (pods.namespace, ANYWHERE):
                other._classes_by_label.add(place, (None, *pods.labels.items()), pods)
        return CensusCopy(other, counters, spread, classes)


def _holders(pods: LabelClass, holding: Holding) -> dict[DomainCounter, None]:
    match holding:
        case "anti":
            return pods.anti
        case "affinity":
            return pods.affinity
        case "preferred":
            return pods.preferred


def _enlist(pods: LabelClass, counter: DomainCounter) -> None:
    pods.counted_by[counter] = None
    for slot, number in pods.on_slots.items():
        counter.add(slot, number, number)


def _delist(pods: LabelClass, counter: DomainCounter) -> None:
    del pods.counted_by[counter]
    for slot, number in pods.on_slots.items():
        counter.add(slot, -number, -number)


def _enlist_for_spread(pods: LabelClass, counter: SpreadCounter) -> None:
    term = counter.term
    if not term.means(pods.namespace, pods.labels):
        return
    if pods.is_terminating or not term.counts(pods.namespace, pods.labels):
        pods.spread_uncounted[counter] = None
        return
    pods.spread[counter] = None
    for slot, number in pods.on_slots.items():
        counter.add(slot, number)
