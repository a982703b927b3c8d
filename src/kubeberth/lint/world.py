"""World: what is around an object: the other manifests, and a cluster if one is known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from kubeberth.api.core import Node, Taint
from kubeberth.api.node_labels import default_labels
from kubeberth.api.requests import to_amounts
from kubeberth.api.well_known import is_of_state
from kubeberth.errors import InvalidObjectError
from kubeberth.lint.field import Field
from kubeberth.lint.pod_terms import PodTerm
from kubeberth.lint.requirements import NODE_NAME, Term, alternatives
from kubeberth.lint.subject import Document, Subject, Workload
from kubeberth.lint.tolerations import tolerations, untolerated

# What makes pods that are objects of their own in a cluster, too: there the pods count.
_MAKERS = ("DaemonSet", "Deployment", "Job", "ReplicaSet", "ReplicationController", "StatefulSet")


@dataclass(frozen=True, slots=True)
class KnownNode:
    """A node, as far as rules ask.

    Parameters
    ----------
    labels
        With those that every kubelet gives its node; the name is among them as `metadata.name`,
        where `matchFields` looks for it.
    taints
        Those that keep pods away and are not of the node's state, which passes.
    all_taints
        The others, too.
    allocatable
        Base units; empty when the node does not tell.
    """

    name: str
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    all_taints: tuple[Taint, ...]
    allocatable: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PodGroup:
    """Pods that are alike: those of a workload, or one of the cluster."""

    namespace: str
    labels: Mapping[str, str]
    shown: str


class World:
    """What is around an object.

    Parameters
    ----------
    subjects
        All objects of the manifests.
    cluster
        Objects of the cluster; None when none is known, and rules that need one are silent.
    allowed_labels
        Labels that may keep pods apart though nodes can set them; `PREFIX*` is all that begin so.
    """

    def __init__(
        self,
        subjects: Iterable[Subject] = (),
        cluster: Iterable[Document] | None = None,
        allowed_labels: Iterable[str] = (),
    ) -> None:
        self.subjects = tuple(subjects)
        self._allowed = tuple(allowed_labels)
        self._cluster = None if cluster is None else tuple(cluster)
        self.nodes = None if self._cluster is None else tuple(map(_known, self._of("Node")))

    @cached_property
    def workloads(self) -> tuple[Workload, ...]:
        """What makes pods in the manifests."""
        return tuple(w for subject in self.subjects if (w := subject.workload) is not None)

    @cached_property
    def pod_groups(self) -> tuple[PodGroup, ...]:
        """All pods: those that the manifests will make, and those of the cluster."""
        found = [PodGroup(w.namespace, w.labels, w.subject.shown) for w in self.workloads]
        for kind in ("Pod", *_MAKERS):
            for document in self._of(kind):
                workload = _subject(document).workload
                if workload is not None:
                    shown = workload.subject.shown
                    found.append(PodGroup(workload.namespace, workload.labels, shown))
        return tuple(found)

    @cached_property
    def namespaces(self) -> dict[str, Mapping[str, str] | None]:
        """Labels of every namespace that anything is in; None where they are not known."""
        found: dict[str, Mapping[str, str] | None] = {
            group.namespace: None for group in self.pod_groups
        }
        for subject in self.all_of("Namespace"):
            found[subject.name] = subject.root.at("metadata", "labels").texts
        return found

    def all_of(self, kind: str) -> Iterator[Subject]:
        """Yield every object of a kind, in manifests and cluster."""
        yield from (subject for subject in self.subjects if subject.kind == kind)
        yield from map(_subject, self._of(kind))

    def names_of(self, kind: str, namespace: str | None = None) -> set[str]:
        """Return the names of all objects of a kind; of one namespace if it is given."""
        return {
            subject.name for subject in self.all_of(kind) if namespace in (None, subject.namespace)
        }

    def meant_by(self, term: PodTerm) -> Iterator[PodGroup]:
        """Yield the pods that a term is about."""
        for group in self.pod_groups:
            is_there = term.covers(group.namespace, self.namespaces.get(group.namespace))
            if is_there and term.selector.matches(group.labels):
                yield group

    def candidates(self, terms: list[Term]) -> tuple[KnownNode, ...]:
        """Return the nodes that meet one of several terms; all nodes if there are no terms."""
        nodes = self.nodes or ()
        if not terms:
            return nodes
        return tuple(node for node in nodes if any(term.matches(node.labels) for term in terms))

    def eligible(self, workload: Workload) -> tuple[KnownNode, ...]:
        """Return the nodes that pods may be on by labels and taints, however full they are."""
        tolerated = tolerations(workload.spec)
        return tuple(
            node
            for node in self.candidates(alternatives(workload.spec))
            if not untolerated(node.taints, tolerated)
        )

    def scalers_of(self, workload: Workload) -> Iterator[Subject]:
        """Yield the autoscalers that change how many pods there are."""
        mine = (workload.kind, workload.subject.name, workload.namespace)
        for scaler in self.all_of("HorizontalPodAutoscaler"):
            target = scaler.root.at("spec", "scaleTargetRef")
            if (target.at("kind").text, target.at("name").text, scaler.namespace) == mine:
                yield scaler

    def cluster_tells_of(self, kind: str) -> bool:
        """Return whether objects of a kind are known of the cluster, so that others are missing."""
        return next(self._of(kind), None) is not None

    def is_allowed(self, label: str) -> bool:
        """Return whether nobody minds that nodes can set a label."""
        return any(
            label == known or (known.endswith("*") and label.startswith(known[:-1]))
            for known in self._allowed
        )

    @cached_property
    def taints(self) -> frozenset[Taint]:
        """Every taint of a node that keeps pods away, or would rather do so."""
        return frozenset(taint for node in self.nodes or () for taint in node.all_taints)

    @cached_property
    def label_keys(self) -> frozenset[str]:
        """Every label that a node has."""
        return frozenset(key for node in self.nodes or () for key in node.labels) - {NODE_NAME}

    def label_values(self, key: str) -> set[str]:
        """Return the values that nodes have of a label."""
        return {node.labels[key] for node in self.nodes or () if key in node.labels}

    def _of(self, kind: str) -> Iterator[Document]:
        return (document for document in self._cluster or () if document.get("kind") == kind)


def _subject(document: Document) -> Subject:
    return Subject(Field(document))


def _known(document: Document) -> KnownNode:
    """Return a node as rules see it.

    Raises
    ------
    InvalidObjectError
        It is malformed.
    """
    metadata: Any = document.get("metadata")
    name = str(metadata.get("name", "")) if isinstance(metadata, Mapping) else ""
    try:
        node = msgspec.convert(document, Node, strict=False)
        allocatable = to_amounts(node.status.allocatable or node.status.capacity)
    except (msgspec.ValidationError, ValueError) as error:
        raise InvalidObjectError("Node", "", name, [("", str(error))]) from error
    labels = {**default_labels(name), **node.metadata.labels, NODE_NAME: name}
    taints = tuple(
        taint
        for taint in node.spec.taints
        if taint.effect != "PreferNoSchedule" and not is_of_state(taint.key)
    )
    return KnownNode(name, labels, taints, node.spec.taints, allocatable)
