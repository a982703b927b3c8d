"""What pods ask of other pods: terms of pod affinity and anti-affinity, and spread constraints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kubeberth.lint.field import Field
from kubeberth.lint.label_selector import LabelSelector, label_selector

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


@dataclass(frozen=True, slots=True)
class PodTerm:
    """A term of pod affinity or anti-affinity.

    Parameters
    ----------
    own_namespace
        That of the pods that ask.
    """

    field: Field
    is_anti: bool
    is_required: bool
    own_namespace: str

    @property
    def word(self) -> str:
        """As messages name it."""
        asked = "required" if self.is_required else "preferred"
        return f"{asked} pod {'anti-affinity' if self.is_anti else 'affinity'}"

    @property
    def must_be_met(self) -> bool:
        """Whether no pod is placed if the term is never met."""
        return self.is_required and not self.is_anti

    @property
    def topology_key(self) -> Field:
        """The label of nodes that tells places apart."""
        return self.field.at("topologyKey")

    @property
    def selector(self) -> LabelSelector:
        """The other pods."""
        return label_selector(self.field.at("labelSelector"))

    @property
    def namespaces(self) -> frozenset[str]:
        """The names of the namespaces that are named."""
        return self.field.at("namespaces").values

    @property
    def namespace_selector(self) -> LabelSelector:
        """The namespaces that are selected besides."""
        return label_selector(self.field.at("namespaceSelector"))

    @property
    def narrowed_by(self) -> frozenset[str]:
        """Labels that only pods that are like the one that asks, or unlike it, have so."""
        return self.field.at("matchLabelKeys").values | self.field.at("mismatchLabelKeys").values

    def covers(self, namespace: str, namespace_labels: Mapping[str, str] | None = None) -> bool:
        """Return whether pods in a namespace are meant.

        Parameters
        ----------
        namespace_labels
            None when they are not known: then a selector that asks for any may mean it.
        """
        selector = self.namespace_selector
        if namespace in self.namespaces:
            return True
        if selector.is_absent:
            return not self.namespaces and namespace == self.own_namespace
        known = {"kubernetes.io/metadata.name": namespace, **(namespace_labels or {})}
        return namespace_labels is None or selector.matches(known)


def pod_terms(spec: Field, namespace: str) -> list[PodTerm]:
    """Return the terms of a pod's spec, required ones first."""
    return sorted(_terms(spec, namespace), key=lambda term: not term.is_required)


def _terms(spec: Field, namespace: str) -> Iterator[PodTerm]:
    for kind, is_anti in (("podAffinity", False), ("podAntiAffinity", True)):
        affinity = spec.at("affinity", kind)
        for term in affinity.each(_REQUIRED):
            yield PodTerm(term, is_anti, True, namespace)
        for weighted in affinity.each(_PREFERRED):
            yield PodTerm(weighted.at("podAffinityTerm"), is_anti, False, namespace)


@dataclass(frozen=True, slots=True)
class SpreadConstraint:
    """A topology spread constraint."""

    field: Field

    @property
    def topology_key(self) -> Field:
        """The label of nodes that tells places apart."""
        return self.field.at("topologyKey")

    @property
    def selector(self) -> LabelSelector:
        """The pods that are counted."""
        return label_selector(self.field.at("labelSelector"))

    @property
    def is_hard(self) -> bool:
        """Whether pods wait rather than be spread unevenly."""
        return self.field.at("whenUnsatisfiable").text != "ScheduleAnyway"

    @property
    def max_skew(self) -> int:
        """By how many pods places may differ."""
        return self.field.at("maxSkew").number or 1

    @property
    def match_label_keys(self) -> Field:
        """Labels that must be as those of the pod to be placed."""
        return self.field.at("matchLabelKeys")


def spread_constraints(spec: Field) -> list[SpreadConstraint]:
    """Return the constraints of a pod's spec."""
    return [SpreadConstraint(entry) for entry in spec.each("topologySpreadConstraints")]
