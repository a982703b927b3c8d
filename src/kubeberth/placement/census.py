"""Census: which label classes there are, and which counters count them.

A term that is new is held against every class, a class that is new against every term; from then on
placing a pod touches only the counters that count it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from kubeberth.api.core import Pod
from kubeberth.placement.counters import DomainCounter, LabelClass
from kubeberth.placement.podterm import PodTerm
from kubeberth.placement.vocabulary import LabelColumn

ClassKey = tuple[str, tuple[tuple[str, str], ...]]
Holding = Literal["anti", "affinity", "preferred"]


class Census:
    """The book of classes and counters of one cluster.

    Parameters
    ----------
    column_of
        Gives the column of a node label.

    Attributes
    ----------
    keys
        Pod labels that some term looks at; classes differ in these only.
    """

    def __init__(self, column_of: Callable[[str], LabelColumn]) -> None:
        self.keys: set[str] = set()
        self.namespaces: dict[str, Mapping[str, str]] = {}
        self._column_of = column_of
        self._classes: dict[ClassKey, LabelClass] = {}
        self._matching: dict[PodTerm, DomainCounter] = {}
        self._held: dict[tuple[Holding, PodTerm], DomainCounter] = {}

    def key_of(self, pod: Pod) -> ClassKey:
        """Return what a pod shares with all pods that no term can tell from it."""
        labels = pod.metadata.labels
        seen = tuple(sorted((key, labels[key]) for key in self.keys if key in labels))
        return pod.metadata.namespace, seen

    def class_of(self, key: ClassKey) -> LabelClass:
        """Return the class of that key, introduced to every counter at first sight."""
        found = self._classes.get(key)
        if found is None:
            found = self._classes[key] = LabelClass(key[0], dict(key[1]))
            for term, counter in self._matching.items():
                if self._means(term, found):
                    found.counted_by[counter] = None
            for (holding, term), counter in self._held.items():
                if self._means(term, found):
                    _holders(found, holding)[counter] = None
        return found

    def matching(self, term: PodTerm) -> DomainCounter:
        """Return the counter of the pods that an own term means."""
        counter = self._matching.get(term)
        if counter is None:
            counter = DomainCounter(term, self._column_of(term.topology_key))
            self._matching[term] = counter
            for pods in self._classes.values():
                if self._means(term, pods):
                    _enlist(pods, counter)
        return counter

    def held(self, holding: Holding, term: PodTerm) -> DomainCounter:
        """Return the counter of the pods that hold a term."""
        counter = self._held.get((holding, term))
        if counter is None:
            counter = DomainCounter(term, self._column_of(term.topology_key))
            self._held[holding, term] = counter
            for pods in self._classes.values():
                if self._means(term, pods):
                    _holders(pods, holding)[counter] = None
        return counter

    def release_matching(self, term: PodTerm) -> None:
        """Give back a counter that `matching` returned to one user less."""
        counter = self._matching[term]
        counter.n_users -= 1
        if counter.n_users == 0:
            del self._matching[term]
            for pods in self._classes.values():
                pods.counted_by.pop(counter, None)

    def release_held(self, holding: Holding, term: PodTerm) -> None:
        """Give back a counter that `held` returned to one user less."""
        counter = self._held[holding, term]
        counter.n_users -= 1
        if counter.n_users == 0:
            del self._held[holding, term]
            for pods in self._classes.values():
                _holders(pods, holding).pop(counter, None)

    def release_class(self, pods: LabelClass) -> None:
        """Give back a class that `class_of` returned to one user less."""
        pods.n_users -= 1
        if pods.n_users == 0:
            del self._classes[pods.namespace, tuple(sorted(pods.labels.items()))]

    def put_namespace(self, name: str, labels: Mapping[str, str] | None) -> bool:
        """Set or, with None, drop a namespace, and return whether any term sees a difference."""
        if self.namespaces.get(name) == labels:
            return False
        if labels is None:
            self.namespaces.pop(name, None)
        else:
            self.namespaces[name] = labels
        changes = [self._recheck(pods) for pods in self._classes.values() if pods.namespace == name]
        return any(changes)

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

    def _means(self, term: PodTerm, pods: LabelClass) -> bool:
        return term.includes(pods.namespace, pods.labels, self.namespaces)


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
