"""Pod affinity terms, compiled: which pods a term speaks of, and in which topology they count.

Rule: https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/
Matches kube-scheduler 1.36 (framework/types.go, AffinityTerm).

A term is read in two ways. The terms of the pod being placed are *own* terms: kube-scheduler
resolves their namespace selector to names first, and then also tries it on a namespace without any
labels, so that a purely negative selector covers every namespace. The terms of pods on nodes are
*held* terms: they see the real labels of the placed pod's namespace.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kubeberth.api.core import PodAffinityTerm
from kubeberth.api.selectors import Selector, from_label_selector
from kubeberth.placement.label_index import ANYWHERE, Label

NamespaceLabels = Mapping[str, Mapping[str, str]]

_NO_LABELS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class PodSet:
    """Pods chosen by namespace and labels.

    Parameters
    ----------
    is_own
        Whether it is a term of the pod being placed; see the module's text.
    """

    selector: Selector
    namespaces: frozenset[str]
    namespace_selector: Selector | None
    is_own: bool

    def includes(
        self, namespace: str, labels: Mapping[str, str], namespaces: NamespaceLabels
    ) -> bool:
        """Return whether a pod of that namespace, with these labels, is meant."""
        return self.covers(namespace, namespaces) and self.selector.matches(labels)

    def covers(self, namespace: str, namespaces: NamespaceLabels) -> bool:
        """Return whether pods of that namespace can be meant."""
        if namespace in self.namespaces:
            return True
        if self.namespace_selector is None:
            return False
        labels = namespaces.get(namespace, _NO_LABELS)
        if self.namespace_selector.matches(labels):
            return True
        return self.is_own and self.namespace_selector.matches(_NO_LABELS)


@dataclass(frozen=True, slots=True)
class PodTerm:
    """Pods that are in all of some sets, counted per value of a topology key.

    Several sets stand for a pod's required affinity terms, which one pod must meet together.
    """

    pods: tuple[PodSet, ...]
    topology_key: str

    @property
    def label_keys(self) -> set[str]:
        """The pod labels that the term looks at."""
        return {entry.key for pods in self.pods for entry in pods.selector.requirements}

    @property
    def label(self) -> Label | None:
        """A label that all pods that are meant have, None when no single one is demanded."""
        return next(filter(None, (pods.selector.label for pods in self.pods)), None)

    @property
    def places(self) -> tuple[str, ...]:
        """The only namespaces in which pods can be meant, or `ANYWHERE`."""
        if self.has_namespace_selector or not self.pods:
            return (ANYWHERE,)
        return tuple(self.pods[0].namespaces)

    @property
    def has_namespace_selector(self) -> bool:
        """Whether the labels of namespaces matter."""
        return any(pods.namespace_selector is not None for pods in self.pods)

    def includes(
        self, namespace: str, labels: Mapping[str, str], namespaces: NamespaceLabels
    ) -> bool:
        """Return whether a pod of that namespace, with these labels, is meant."""
        return all(pods.includes(namespace, labels, namespaces) for pods in self.pods)


def to_pod_set(term: PodAffinityTerm, owner_namespace: str, *, is_own: bool) -> PodSet:
    """Return the pods that a term speaks of."""
    namespaces, selector = frozenset(term.namespaces), term.namespace_selector
    if not namespaces and selector is None:
        namespaces = frozenset((owner_namespace,))
    return PodSet(
        from_label_selector(term.label_selector),
        namespaces,
        None if selector is None else from_label_selector(selector),
        is_own,
    )


def to_pod_term(term: PodAffinityTerm, owner_namespace: str, *, is_own: bool) -> PodTerm:
    """Return the compiled term."""
    return PodTerm((to_pod_set(term, owner_namespace, is_own=is_own),), term.topology_key)
