"""Cluster: nodes and pods in memory; place pods, ask why, try things on a fork.

Input: objects as in manifests. What an API server would do to them is done (`stored`), what it
would refuse is refused, and then nothing has changed. Decisions are the scheduler's own: the same
engine, the same rules.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import msgspec

from kubeberth.api.core import Node, Pod
from kubeberth.api.machines import cordoned, made_like
from kubeberth.api.scheme import NODES, PODS, PRIORITY_CLASSES
from kubeberth.api.storage import CSINode
from kubeberth.errors import InvalidObjectError, NoSuchObjectError
from kubeberth.library.documents import to_document
from kubeberth.library.intake import Accepted, accept, find_resource
from kubeberth.library.keys import Key
from kubeberth.library.kinds import RESOURCES, TYPES
from kubeberth.library.machines import equipped, is_machine
from kubeberth.library.manifests import Source, read_manifests
from kubeberth.library.pods import belongs_to_node, bound_to, in_queue_order, recreated, to_pod
from kubeberth.library.profiles import Configuration, configured_profiles
from kubeberth.library.stored import SYSTEM_CLASSES
from kubeberth.placement import observed
from kubeberth.placement.decision import Decision, Failure
from kubeberth.placement.delta import (
    NamespacePut,
    NodePut,
    Nominated,
    NominationCleared,
    PodPut,
    PodRemoved,
    StoragePut,
)
from kubeberth.placement.engine import Engine
from kubeberth.placement.explain import explain
from kubeberth.placement.explanation import Explanation
from kubeberth.placement.plugin import Rejection
from kubeberth.placement.profile import Profile, default_profile
from kubeberth.placement.state import ClusterState
from kubeberth.placement.ties import FirstAdded, Shuffled
from kubeberth.placement.why import Why
from kubeberth.placement.why_now import why_now
from kubeberth.planner.plan import Plan

Document = dict[str, Any]

PodLike = str | object
"""A pod of the cluster by `namespace/name` (`name` in the default namespace), or a pod itself."""

_RANKS = {kind: rank for rank, kind in enumerate(RESOURCES)}


class Cluster:
    """A cluster in memory.

    Parameters
    ----------
    objects
        Of any kind that placing pods depends on, in any order: mappings as in YAML, structs of
        `kubeberth.api`, models of the official `kubernetes` client.
    profile, config
        By which rules pods are placed: one profile, or a `KubeSchedulerConfiguration`. By default
        kube-scheduler's own. A pod is placed by the profile that its `schedulerName` names.
    seed
        Of equally good nodes, the one added first is taken; with a seed, one that looks random and
        is the same for the same seed.

    Attributes
    ----------
    skipped
        How many objects of which other kinds were passed over in manifests.

    Raises
    ------
    InvalidObjectError
        When an API server would refuse one of the objects.
    """

    def __init__(
        self,
        objects: Iterable[object] = (),
        *,
        profile: Profile | None = None,
        config: Configuration | None = None,
        seed: int | None = None,
    ) -> None:
        if profile is not None and config is not None:
            raise TypeError("a cluster is given a profile or a config, not both")
        found = (profile or default_profile(),) if config is None else configured_profiles(config)
        self._profiles = {entry.name: entry for entry in found}
        self._ties = FirstAdded() if seed is None else Shuffled(seed)
        self._classes = {entry["metadata"]["name"]: entry for entry in SYSTEM_CLASSES}
        self._names: set[tuple[str, str]] = set()
        self._pods: dict[str, Pod] = {}
        self._pending: dict[str, Pod] = {}
        self.skipped: Counter[str] = Counter()
        # What a plan reads and the engine does not, or not as a document: by kind and key.
        self._documents: dict[tuple[str, str], Document] = {}
        self._aside: list[Document] = []
        self._follow(ClusterState())
        self._put_all((document, "") for document in map(to_document, objects))

    @classmethod
    def from_manifests(
        cls,
        *sources: Source,
        profile: Profile | None = None,
        config: Configuration | None = None,
        seed: int | None = None,
    ) -> Cluster:
        """Return the cluster in files, folders or streams of YAML or JSON.

        Objects of kinds that placing pods does not depend on are passed over and counted in
        `skipped`. Machines are for the Nodes that they name; what has none gets one.

        Raises
        ------
        ManifestError, OSError
            When a file cannot be read, or describes a machine that cannot be.
        InvalidObjectError
            When an API server would refuse one of the objects; it names file and line.
        """
        cluster = cls(profile=profile, config=config, seed=seed)
        wanted = []
        for manifest in read_manifests(*sources):
            document = manifest.document
            kind, api_version = document.get("kind"), document.get("apiVersion")
            is_known = is_machine(document) or find_resource(document) is not None
            if kind and api_version and not is_known:
                cluster.skipped[f"{api_version} {kind}"] += 1
                cluster._aside.append(document)
            else:
                wanted.append((document, manifest.source))
        cluster._put_all(equipped(wanted))
        return cluster

    @classmethod
    def load(
        cls,
        *sources: Source,
        profile: Profile | None = None,
        config: Configuration | None = None,
        seed: int | None = None,
    ) -> Cluster:
        """Return the cluster in a snapshot, or in any manifests, to plan in.

        Raises
        ------
        ManifestError, OSError, InvalidObjectError
            As `from_manifests`.
        """
        return cls.from_manifests(*sources, profile=profile, config=config, seed=seed)

    def __repr__(self) -> str:
        n_pending = len(self._pending)
        return (
            f"<Cluster: {self._state.n_nodes} nodes, {len(self._pods) - n_pending} pods placed, "
            f"{n_pending} pending>"
        )

    # Looking

    @property
    def nodes(self) -> list[Node]:
        """The nodes, in the order in which they were added."""
        return [self._node(name) for name in self._state.node_names]

    @property
    def pods(self) -> list[Pod]:
        """The pods that have not ended; `spec.node_name` says where each one is."""
        return [self._as_it_is(key) for key in self._pods]

    @property
    def pending(self) -> list[Pod]:
        """The pods without a node, in the order in which a scheduler tries them."""
        return in_queue_order(self._pending.values())

    def pods_on(self, node: str | Node) -> list[Pod]:
        """Return the pods on a node."""
        name = self._node(node).name
        return [self._as_it_is(placed.key) for placed in self._state.pods_on(name)]

    def node_of(self, pod: PodLike) -> str | None:
        """Return the name of a pod's node, None while it is pending."""
        return self._state.node_of(self._known(pod))

    # Changing

    def put(self, item: object) -> None:
        """Add an object, or take in that it has changed.

        A pod with a `nodeName` is on its node, one without is pending, and one that has ended
        counts nothing.

        Raises
        ------
        InvalidObjectError
            When an API server would refuse it; then nothing has changed.
        """
        self._take_in(self._accept(to_document(item)))

    def remove(self, item: object) -> None:
        """Take an object out, given itself or as `kind/name` or `kind/namespace/name`.

        Raises
        ------
        NoSuchObjectError
            When there is none.
        """
        found = Key.of(item)
        if found.kind == PODS.kind:
            self._forget(self._known(found.key))
            return
        if (found.kind, found.key) not in self._names:
            raise NoSuchObjectError(found.kind, found.key)
        self._names.discard((found.kind, found.key))
        self._documents.pop((found.kind, found.key), None)
        if found.kind == PRIORITY_CLASSES.kind:
            del self._classes[found.name]
        else:
            self._state.apply(observed.removed(TYPES[found.kind], found.key))

    def evict(self, pod: PodLike) -> Pod:
        """Take a pod off its node; it is pending again, as its controller would make it anew."""
        key = self._known(pod)
        again = recreated(self._pods[key])
        self._state.apply(PodRemoved(key))
        self._pods[key] = self._pending[key] = again
        return again

    def cordon(self, node: str | Node) -> None:
        """Let no more pods onto a node."""
        self._state.apply(NodePut(cordoned(self._node(node))))

    def uncordon(self, node: str | Node) -> None:
        """Let pods onto a node again."""
        self._state.apply(NodePut(cordoned(self._node(node), is_cordoned=False)))

    def drain(self, node: str | Node) -> list[Pod]:
        """Cordon a node and evict its pods, but for those of DaemonSets and the kubelet's own.

        Disruption budgets are not asked.

        Returns
        -------
        list of Pod
            The pods that are pending now.
        """
        self.cordon(node)
        return [self.evict(pod) for pod in self.pods_on(node) if not belongs_to_node(pod)]

    def add_node(self, *, like: str | Node, name: str = "", count: int = 1) -> list[Node]:
        """Add nodes of the same make as another one: labels, taints, resources, volume limits.

        Parameters
        ----------
        name
            Of the new node; of several, what their names begin with. By default the model's.
        """
        model = self._node(like) if isinstance(like, str) else like
        csi_node = self._state.storage.csi_nodes.get(model.name)
        added = []
        for new_name in self._free_names(name or model.name, count, is_given=bool(name)):
            node = made_like(model, new_name)
            self.put(node)
            if csi_node is not None:
                meta = msgspec.structs.replace(csi_node.metadata, name=new_name)
                self._state.apply(StoragePut(CSINode(metadata=meta, spec=csi_node.spec)))
                self._names.add(("CSINode", new_name))
            added.append(self._node(new_name))
        return added

    # Deciding

    def decide(self, pod: PodLike) -> Decision:
        """Return where a pod would go, or why it would go nowhere; nothing is changed.

        Of a pod that is placed already: where it would go if it came anew.
        """
        cluster, asked = self._ask(pod)
        return cluster._decide(asked)

    def explain(self, pod: PodLike) -> Explanation:
        """Return the whole story of a decision: every node, every rule. `str()` makes a table."""
        cluster, asked = self._ask(pod)
        rejection = cluster._gate(asked)
        if rejection is not None:
            failure = _gated(rejection)
            return Explanation(cluster._state.n_nodes, refused=rejection, failure=failure)
        return explain(cluster._state, asked, cluster._profile_of(asked))

    def why(self, pod: PodLike, *, remedies: bool = True) -> Why:
        """Return what keeps a pod off each node, in terms to act upon; or the best nodes for it.

        Of a pod that is placed already: how it would be placed if it came anew.

        Parameters
        ----------
        remedies
            Whether to look for the smallest changes that would help a pod without a node.
        """
        asked = self._pod(pod)
        profile = self._profiles.get(asked.spec.scheduler_name)
        return why_now(self._state, asked, profile, with_remedies=remedies)

    def place(self, pod: PodLike) -> Decision:
        """Decide where a pod goes and put it there; if it fits nowhere, it is pending.

        A pod that the cluster does not know is added.
        """
        wanted = self._pod(pod)
        key = wanted.metadata.key
        if wanted.spec.node_name:
            why = f'a pod to be placed has no node yet, this one is on "{wanted.spec.node_name}"'
            raise _refusal(wanted, "spec.nodeName", why)
        if self._pending.get(key) is not wanted:
            self._put_pod(wanted)
        return self._place(wanted)

    def place_all(self, pods: Iterable[PodLike] | None = None) -> Iterator[Decision]:
        """Place pods one after the other, yielding each decision as it is made.

        Parameters
        ----------
        pods
            By default the pending ones that a profile answers for, by priority, then by age.
        """
        if pods is None:
            ours = [pod for pod in self.pending if pod.spec.scheduler_name in self._profiles]
            # Whoever takes the decisions may change the cluster in between.
            pods = (pod for pod in ours if self._pending.get(pod.metadata.key) is pod)
        for pod in pods:
            yield self.place(pod)

    def preempt(self, decision: Decision) -> list[Pod]:
        """Evict the victims that a decision names, and hold their room for its pod.

        Returns
        -------
        list of Pod
            The victims, pending now.

        Raises
        ------
        ValueError
            When the decision names no node that can be made free.
        """
        nomination = decision.nomination
        if nomination is None:
            raise ValueError(f"no node can be made free for {decision.pod_key}")
        pod = self._pods[self._known(decision.pod_key)]
        keys = [self._known(key) for key in nomination.victims]
        victims = [self.evict(key) for key in keys]
        for other in list(self._state.nominations.on(nomination.node)):
            if other.priority < pod.priority:
                self._state.apply(NominationCleared(other.key))
        self._state.apply(Nominated(pod, nomination.node))
        return victims

    # Trying

    def fork(self) -> Cluster:
        """Return a copy to try things on; what is done to one does not touch the other.

        Also good for a block: `with cluster.fork() as trial:`.
        """
        other = Cluster.__new__(Cluster)
        other._profiles, other._ties = self._profiles, self._ties
        other._classes = self._classes.copy()
        other._names = self._names.copy()
        other._pods = self._pods.copy()
        other._pending = self._pending.copy()
        other.skipped = self.skipped.copy()
        other._documents = self._documents.copy()
        other._aside = self._aside.copy()
        other._follow(self._state.fork())
        return other

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave a block; a fork just goes out of use."""

    def plan(
        self,
        *manifests: Source,
        namespace: str = "default",
        scale: Mapping[str, int] | None = None,
        add_nodes: Mapping[str, int] | None = None,
        drain: Iterable[str] = (),
        without: Iterable[str] = (),
    ) -> Plan:
        """Return where the pods of manifests would land; the cluster stays as it is.

        Controllers act, too: those of the objects that the cluster was loaded from.

        Parameters
        ----------
        namespace
            Of what names none.
        scale
            Sizes of workloads, by `name`, `kind/name` or `kind/namespace/name`.
        add_nodes
            How many nodes of the same make as a node, by its name.
        drain, without
            Nodes to be drained, and zones to be lost, when everything has found its place.

        Raises
        ------
        ManifestError, OSError
            When a manifest cannot be read.
        RefusedError
            When an API server would refuse one.
        UsageError
            When a question asks for what the cluster does not have.
        """
        # A plan is made of whole components, which this package knows nothing of until it is asked.
        from kubeberth.planner.planning import plan_in
        from kubeberth.planner.questions import NewNodes, Questions
        from kubeberth.planner.world import Rules

        questions = Questions(
            tuple((scale or {}).items()),
            tuple(NewNodes(count, like) for like, count in (add_nodes or {}).items()),
            tuple(drain),
            tuple(without),
        )
        rules = Rules(self._profiles, self._ties)
        return plan_in(self._to_documents(), manifests, questions, rules, namespace)

    # Within

    def _to_documents(self) -> list[Document]:
        """Return all objects as they are now."""
        nodes, pods = map(to_document, self.nodes), map(to_document, self.pods)
        return [*nodes, *self._documents.values(), *self._aside, *pods]

    def _follow(self, state: ClusterState) -> None:
        self._state = state
        self._engines = {
            name: Engine(state, profile, self._ties) for name, profile in self._profiles.items()
        }

    def _put_all(self, items: Iterable[tuple[Document, str]]) -> None:
        """Take in documents, each with where it came from, in the order of their kinds."""
        met: set[tuple[str, str]] = set()
        for document, source in sorted(items, key=lambda item: _rank(item[0])):
            try:
                accepted = self._accept(document)
                identity = (accepted.kind, accepted.key)
                if identity in met:
                    raise accepted.refuse("metadata.name", f'Duplicate value: "{accepted.name}"')
                self._take_in(accepted)
            except InvalidObjectError as error:
                raise (error.at(source) if source else error) from None
            met.add(identity)

    def _accept(self, document: Document) -> Accepted:
        return accept(document, self._classes.values())

    def _take_in(self, accepted: Accepted) -> None:
        if accepted.kind == PODS.kind:
            self._put_pod(accepted.to(to_pod))
            return
        if accepted.kind != NODES.kind:
            self._documents[accepted.kind, accepted.key] = accepted.document
        if accepted.kind == PRIORITY_CLASSES.kind:
            self._classes[accepted.name] = accepted.document
        else:
            item = accepted.to(partial(msgspec.convert, type=TYPES[accepted.kind]))
            self._state.apply(observed.put(item))
        self._names.add((accepted.kind, accepted.key))

    def _put_pod(self, pod: Pod) -> None:
        key = pod.metadata.key
        if pod.is_terminal:
            if key in self._pods:
                self._forget(key)
            return
        if pod.spec.node_name:
            self._state.apply(PodPut(pod, pod.spec.node_name))
            self._pending.pop(key, None)
        else:
            self._state.request(pod)  # says what is wrong with it before anything changes
            self._state.apply(PodRemoved(key))
            self._pending[key] = pod
            if pod.status.nominated_node_name:
                self._state.apply(Nominated(pod, pod.status.nominated_node_name))
        self._pods[key] = pod
        self._know_namespace(pod.metadata.namespace)

    def _know_namespace(self, name: str) -> None:
        """Have a namespace that nobody described: wherever there is a pod, there is one."""
        if name not in self._state.namespaces:
            self._state.apply(NamespacePut(name, {"kubernetes.io/metadata.name": name}))

    def _forget(self, key: str) -> None:
        self._state.apply(PodRemoved(key))
        self._clear_nomination(key)
        del self._pods[key]
        self._pending.pop(key, None)

    def _clear_nomination(self, key: str) -> None:
        if key in self._state.nominations.pods:
            self._state.apply(NominationCleared(key))

    def _pod(self, item: PodLike) -> Pod:
        """Return a pod of the cluster, or the pod that an object is."""
        if isinstance(item, str):
            return self._as_it_is(self._known(item))
        if isinstance(item, Pod):
            key = item.metadata.key
            known = self._pending.get(key)
            if known is item or (key in self._pods and self._as_it_is(key) == item):
                return item
        accepted = self._accept(to_document(item))
        if accepted.kind != PODS.kind:
            raise accepted.refuse("kind", "must be Pod")
        return accepted.to(to_pod)

    def _known(self, item: PodLike) -> str:
        """Return the key of a pod of the cluster."""
        key = item if isinstance(item, str) else Key.of(item).key
        if "/" not in key:
            key = f"default/{key}"
        if key not in self._pods:
            raise NoSuchObjectError("Pod", key)
        return key

    def _as_it_is(self, key: str) -> Pod:
        return bound_to(self._pods[key], self._state.node_of(key) or "")

    def _node(self, node: str | Node) -> Node:
        name = node if isinstance(node, str) else node.name
        slot = self._state.slot_of(name)
        if slot is None:
            raise NoSuchObjectError("Node", name)
        return self._state.node(slot)

    def _free_names(self, stem: str, count: int, *, is_given: bool) -> list[str]:
        """Return names of new nodes: the stem itself when one is wanted and it is free."""
        if count == 1 and is_given and self._state.slot_of(stem) is None:
            return [stem]
        candidates = (f"{stem}-{number}" for number in itertools.count(1))
        free = (name for name in candidates if self._state.slot_of(name) is None)
        return list(itertools.islice(free, count))

    def _ask(self, item: PodLike) -> tuple[Cluster, Pod]:
        """Return a pod without a node, and a cluster to ask about it."""
        pod = self._pod(item)
        if not pod.spec.node_name:
            return self, pod
        cluster = self.fork()
        key = pod.metadata.key
        return (cluster, cluster.evict(key)) if key in self._pods else (self, recreated(pod))

    def _profile_of(self, pod: Pod) -> Profile:
        profile = self._profiles.get(pod.spec.scheduler_name)
        if profile is None:
            names = ", ".join(f'"{name}"' for name in self._profiles)
            why = f'Unsupported value: "{pod.spec.scheduler_name}": supported values: {names}'
            raise _refusal(pod, "spec.schedulerName", why)
        return profile

    def _gate(self, pod: Pod) -> Rejection | None:
        """Return why a pod is not even tried, or None."""
        rejections = (rule.pre_enqueue(pod) for rule in self._profile_of(pod).pre_enqueue)
        return next((rejection for rejection in rejections if rejection is not None), None)

    def _decide(self, pod: Pod) -> Decision:
        rejection = self._gate(pod)
        if rejection is not None:
            n_nodes = self._state.n_nodes
            return Decision(pod.metadata.key, None, n_nodes, failure=_gated(rejection))
        return self._engines[pod.spec.scheduler_name].place(pod)

    def _place(self, pod: Pod) -> Decision:
        if self._gate(pod) is not None:
            return self._decide(pod)
        decision = next(self._engines[pod.spec.scheduler_name].place_all((pod,)))
        if decision.node is not None:
            del self._pending[decision.pod_key]
        elif decision.failure is not None and not decision.failure.keeps_nomination:
            self._clear_nomination(decision.pod_key)
        return decision


def _rank(document: Document) -> int:
    """Return the place of a document's kind; what is of no kind comes first, to be refused."""
    return _RANKS.get(str(document.get("kind")), -1)


def _refusal(pod: Pod, field: str, why: str) -> InvalidObjectError:
    meta = pod.metadata
    return InvalidObjectError(PODS.kind, meta.namespace, meta.name, [(field, why)])


def _gated(rejection: Rejection) -> Failure:
    return Failure(", ".join(rejection.reasons), frozenset((rejection.plugin,)))
