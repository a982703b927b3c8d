"""Objects: the API server of a plan. Takes objects in as one would, and tells of each change.

Rule 1: what an API server would refuse is refused here, with the same words.
Rule 2: followers hear of each change at once, in order, as (resource, old, new).
Rule 3: a pod on a node that is told to go stays until `finish_deletions`, when its grace period is
        over, and for ever where no kubelet tells that it has ended; anything else goes at once,
        unless a finalizer holds it that a controller here takes away.
Rule 4: names and UIDs are drawn from a seeded source: the same input gives the same names.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import count
from typing import Any

import msgspec
from msgspec.structs import replace

from kubeberth.api import schema, validation
from kubeberth.api.batch import JOB_TRACKING
from kubeberth.api.core import Pod, PodStatus
from kubeberth.api.default_class import fill_in_class
from kubeberth.api.defaults import apply_defaults
from kubeberth.api.disruption_target import (
    evicted,
    evicted_by_taint,
    node_gone,
    preempted_by,
    preempted_by_kubelet,
)
from kubeberth.api.meta import Condition
from kubeberth.api.scheme import (
    NAMESPACES,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PODS,
    PRIORITY_CLASSES,
    STORAGE_CLASSES,
    Resource,
)
from kubeberth.api.workloads import seconds_of
from kubeberth.apiserver.patch.merge import apply_merge_patch
from kubeberth.apiserver.patch.strategic import StrategicPatchError, apply_strategic_patch
from kubeberth.apiserver.strategy import generated_name, prepare_create, prepare_update
from kubeberth.clock import rfc3339
from kubeberth.errors import AlreadyExistsError, ConflictError, InvalidObjectError, NotFoundError
from kubeberth.library.stored import SYSTEM_CLASSES, Stored, to_stored
from kubeberth.planner.absence import absence
from kubeberth.planner.admission import Admission
from kubeberth.planner.kinds import MERGED, TYPES
from kubeberth.planner.last_applied import last_applied, patch_between
from kubeberth.planner.params import BINDINGS
from kubeberth.planner.plan import Uncalled
from kubeberth.planner.snapshot import as_json, is_reduced, reduced
from kubeberth.planner.unjudged import GOING

Document = dict[str, Any]

# Of every object: nothing here depends on it, but a server demands one of whoever updates.
_REVISION = "1"
# Who has set which field: nothing here depends on it, and a server's own parts have it in a form
# that is none of JSON.
_OWNERS = "managedFields"
# What they say is carried out, so it must at least have their shape.
_RUN = frozenset((*BINDINGS, *BINDINGS.values()))
# Of a pod that does not say how long it may take to end.
GRACE_S = 30

Follower = Callable[[Resource, Any, Any], None]
"""Told of a change: the resource, the object before and after; None where there was or is none."""


@dataclass(slots=True)
class _Entry:
    """An object; its document is made when it is needed if the object came without one."""

    item: Any
    document: Document | None = None

    def to_document(self) -> Document:
        if self.document is None:
            self.document = as_json(self.item)
        return self.document


class Objects:
    """Every object of a cluster.

    Attributes
    ----------
    now
        Seconds since 1970; moved on by whoever runs the cluster.
    warnings
        Grows by what whoever sends objects is warned of.
    """

    def __init__(self, now: float) -> None:
        self.now = now
        self.warnings: list[str] = []
        self._entries: dict[Resource, dict[str, _Entry]] = {resource: {} for resource in TYPES}
        self._classes = {entry["metadata"]["name"]: entry for entry in SYSTEM_CLASSES}
        self._followers: dict[Resource, list[Follower]] = {resource: [] for resource in TYPES}
        # Pods that were told to go, and when they will have gone.
        self._going: dict[str, float] = {}
        self._numbers = count(1)
        self._chance = random.Random(1)
        self._admission = Admission(self)

    def follow(self, follower: Follower, resources: Iterable[Resource]) -> None:
        """Have somebody told of every change of some resources from now on."""
        for resource in resources:
            self._followers[resource].append(follower)

    def know_params(self, document: Document) -> None:
        """Take in an object that admission policies have as parameters."""
        self._admission.know_params(document)

    # Looking

    def unanswered_policies(self) -> Iterator[Uncalled]:
        """Yield the admission policies in force that are not asked, or not about everything."""
        return self._admission.unanswered_policies()

    @property
    def time(self) -> datetime:
        """What time it is."""
        return datetime.fromtimestamp(self.now, UTC)

    def get(self, resource: Resource, key: str) -> Any | None:
        """Return an object, or None."""
        entry = self._entries[resource].get(key)
        return None if entry is None else entry.item

    def has_kubelet(self, node_name: str) -> bool:
        """Return whether somebody runs the pods of a node, and tells when they have ended."""
        return not absence(self.get(NODES, node_name), node_name)

    def all(self, resource: Resource) -> Iterator[Any]:
        """Yield all objects of a kind, in the order in which they came."""
        return (entry.item for entry in list(self._entries[resource].values()))

    def find(self, resource: Resource, namespace: str, name: str) -> Document | None:
        """Return an object as JSON, or None."""
        entry = self._entries[resource].get(f"{namespace}/{name}" if namespace else name)
        return None if entry is None else entry.to_document()

    def find_all(self, resource: Resource, namespace: str = "") -> Iterator[Document]:
        """Yield the objects of a kind as JSON."""
        for entry in list(self._entries[resource].values()):
            if namespace in ("", entry.item.metadata.namespace):
                yield entry.to_document()

    def document(self, resource: Resource, key: str) -> Document:
        """Return an object as JSON."""
        return self._find(resource, key).to_document()

    # Taking in

    def put(self, resource: Resource, document: Document) -> None:
        """Take an object in as it is, known or not: it comes from an API server.

        Raises
        ------
        InvalidObjectError
            A field is missing that its kind cannot do without.
        """
        if resource is PRIORITY_CLASSES:
            self._classes[document["metadata"]["name"]] = document
        self._put(resource, _Entry(_decode(resource, document), document))

    def load(self, resource: Resource, sent: Mapping[str, Any]) -> None:
        """Take in an object of the cluster: one that an API server has admitted as it is.

        Raises
        ------
        InvalidObjectError
            None has admitted it, and none would.
        """
        meta = sent.get("metadata") or {}
        if isinstance(meta, dict) and meta.get("resourceVersion") and meta.get("uid"):
            sent = {**sent, "metadata": _without(meta, _OWNERS)}
            if resource in _RUN:
                sent = _accepted(to_stored(resource, sent))
            # What controllers make of a template has its defaults: to be equal, it has them, too.
            lacks = is_reduced(sent) and resource is not PODS
            self.put(resource, _with_defaults(resource, sent) if lacks else dict(sent))
            return
        # A job selects its pods by its UID.
        named = {"metadata": {"uid": self._new_uid(), **meta}} if isinstance(meta, dict) else {}
        accepted = _accepted(to_stored(resource, {**sent, **named}, self._classes.values()))
        accepted["metadata"].setdefault("resourceVersion", _REVISION)
        self.put(resource, accepted)

    def create(
        self,
        resource: Resource,
        sent: Mapping[str, Any],
        check_pod: Callable[[Pod], None] = lambda _: None,
    ) -> str:
        """Take in a new object as an API server would, and return its key.

        Parameters
        ----------
        check_pod
            Called before a pod is taken in; raises if it is to be of no use.

        Raises
        ------
        InvalidObjectError
            It is refused.
        AlreadyExistsError
            The name is taken.
        """
        document = self._admitted(resource, sent)
        meta = document["metadata"]
        key = _key_of(resource, meta)
        if key in self._entries[resource]:
            raise AlreadyExistsError(f'{resource.group_resource} "{meta["name"]}" already exists')
        if resource is PODS:
            pod = _decode(PODS, document)
            check_pod(pod)
            self._put(PODS, _Entry(pod, document))
        else:
            self.put(resource, document)
        return key

    def create_pods(
        self, bodies: Iterable[Mapping[str, Any]], check_pod: Callable[[Pod], None]
    ) -> None:
        """Take in many new pods; those that are made of one body are judged once.

        Parameters
        ----------
        check_pod
            Called before each is taken in; raises if it is to be of no use.

        Raises
        ------
        InvalidObjectError
            One is refused; those before it stay.
        """
        judged: Mapping[str, Any] | None = None
        pod = Pod()
        for body in bodies:
            namespace = body["metadata"].get("namespace", "")
            if body is not judged or self._admission.counts(namespace):
                pod, judged = _decode(PODS, self._admitted(PODS, body)), body
                check_pod(pod)
                self._put(PODS, _Entry(pod))
            else:
                check_pod(pod)
                self._put_another(pod)

    def create_again(self, pods: Iterable[Pod]) -> None:
        """Take in pods that were admitted before; those without a name get one."""
        for pod in pods:
            self._put_another(pod)

    def _put_another(self, pod: Pod) -> None:
        """Take in a pod like one that was admitted before."""
        meta = pod.metadata
        name = meta.name
        if meta.generate_name:
            name = self._new_name(PODS, meta.namespace, {"generateName": meta.generate_name})
        new = replace(meta, name=name, uid=self._new_uid(), creation_timestamp=self._stamp())
        self._put(PODS, _Entry(replace(pod, metadata=new)))

    def apply(self, resource: Resource, sent: Document) -> str | None:
        """Take in an object, new or changed, and return its key; None when it stays as it is.

        What the version that kubectl applied last has said, and this one does not, goes. Where
        nobody knows what that was, this one is the whole object; but for its size, and but for
        kinds of which the cluster says most: what it does not say of these stays as it is.

        Raises
        ------
        InvalidObjectError
            It is refused.
        """
        key = _key_of(resource, {"namespace": "default", **(sent.get("metadata") or {})})
        entry = self._entries[resource].get(key)
        if entry is None:
            return self.create(resource, sent)
        old, spec = entry.to_document(), sent.get("spec")
        if resource in MERGED:
            _accepted(to_stored(resource, dict(sent), self._classes.values()))  # it may be merged
        if (last := last_applied(old)) is not None or resource in MERGED:
            sent = _merged(resource, old, sent, last or {})
        elif isinstance(spec, dict) and "replicas" not in spec:
            replicas = old.get("spec", {}).get("replicas")
            sent = sent if replicas is None else {**sent, "spec": {**spec, "replicas": replicas}}
        new = _comparable(resource, self._admitted(resource, sent, old), old)
        if resource in MERGED and new == old:
            return None
        self.put(resource, new)
        return key

    def _admitted(
        self, resource: Resource, sent: Mapping[str, Any], old: Document | None = None
    ) -> Document:
        document = {**sent, "apiVersion": resource.api_version, "kind": resource.kind}
        meta = document.get("metadata")
        if isinstance(meta, dict):
            document["metadata"] = _without(meta, "resourceVersion", _OWNERS)
        prepare = self._prepare if old is None else partial(self._prepare_update, old)
        classes, is_new = self._classes.values(), old is None
        stored = to_stored(resource, document, classes, prepare, is_new=is_new)
        admitted = _accepted(stored)
        if old is not None:
            _check_update(resource, admitted, old)
        self.warnings += self._admission.validate(resource, admitted, old)
        return admitted

    def _prepare(self, resource: Resource, document: Document) -> None:
        if resource is PERSISTENT_VOLUME_CLAIMS:
            classes = self._entries[STORAGE_CLASSES].values()
            fill_in_class(document, (entry.to_document() for entry in classes))
        self._admission.admit(resource, document, None)
        meta = document["metadata"]
        prepare_create(resource, document, uid=self._new_uid(), now=self._stamp())
        meta["resourceVersion"] = _REVISION
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = self._new_name(resource, meta.get("namespace", ""), meta)

    def _prepare_update(self, old: Document, resource: Resource, document: Document) -> None:
        self._admission.admit(resource, document, old)
        prepare_update(resource, "", document, old, now=self._stamp())

    # Changing

    def patch(
        self,
        resource: Resource,
        key: str,
        patch: Mapping[str, Any],
        *,
        sub: str = "",
        strategic: bool = False,
    ) -> None:
        """Merge a patch into an object.

        Raises
        ------
        NotFoundError
            There is none.
        ConflictError
            Another one has the name by now.
        ForbiddenError
            A policy refuses it.
        InvalidObjectError
            A policy has made something of it that may not become of it.
        """
        old = self._find(resource, key).to_document()
        meta = dict(patch.get("metadata") or {})
        meta.pop("resourceVersion", None)  # nobody writes in between
        uid = meta.pop("uid", None)
        if uid is not None and uid != old["metadata"].get("uid"):
            raise ConflictError(f"{resource.kind} {key} is another one by now")
        wanted = {**patch, "metadata": meta}
        if strategic:
            definition = schema.definition_of(resource.api_version, resource.kind)
            new = apply_strategic_patch(old, wanted, definition)
        else:
            new = apply_merge_patch(old, wanted)
        new["metadata"] = dict(new["metadata"])
        prepare_update(resource, sub, new, old, now=self._stamp())
        if new == old:
            return
        if not sub and self._admission.ask_policies(resource, new, old):
            # What a policy has looked at has its defaults; a pod made here came without them.
            _check_update(resource, *(_with_defaults(resource, each) for each in (new, old)))
        self.put(resource, new)
        if resource is PODS and self._is_released(self.get(PODS, key)):
            self._remove(PODS, key)

    def delete(self, resource: Resource, key: str, uid: str = "") -> None:
        """Ask an object to go.

        Raises
        ------
        NotFoundError
            There is none.
        ConflictError
            Another one has the name by now.
        """
        item = self._find(resource, key).item
        if uid and item.metadata.uid != uid:
            raise ConflictError(f"{resource.kind} {key} is another one by now")
        self._admission.unjudged.note(GOING, "DELETE", resource)
        self._end(resource, key, item)

    def evict(self, key: str) -> None:
        """Ask a pod to go, as who drains its node does: the budgets have been asked.

        Raises
        ------
        NotFoundError
            There is none.
        """
        self._admission.unjudged.note(GOING, "CREATE", PODS, "eviction")
        self._disrupt(key, evicted(self._stamp()))

    def evict_by_taint(self, key: str) -> None:
        """Ask a pod to go that does not tolerate a taint of its node.

        Raises
        ------
        NotFoundError
            There is none.
        """
        self._admission.unjudged.note(GOING, "DELETE", PODS)
        self._disrupt(key, evicted_by_taint(self._stamp()))

    def preempt(self, key: str, scheduler_name: str) -> None:
        """Ask a pod to go, as a scheduler does for the sake of another one.

        Raises
        ------
        NotFoundError
            There is none.
        """
        self._admission.unjudged.note(GOING, "DELETE", PODS)
        self._disrupt(key, preempted_by(scheduler_name, self._stamp()))

    def preempt_on_node(self, key: str) -> None:
        """Ask a pod to go, as its kubelet does for the sake of a critical one.

        Raises
        ------
        NotFoundError
            There is none.
        """
        self._disrupt(key, preempted_by_kubelet(self._stamp()))

    def fail(self, key: str, reason: str, message: str) -> None:
        """Have a pod end that its node does not take.

        Raises
        ------
        NotFoundError
            There is none.
        """
        pod: Pod = self._find(PODS, key).item
        status = replace(pod.status, phase="Failed", reason=reason, message=message)
        self._put(PODS, _Entry(replace(pod, status=status)))

    def lose(self, key: str) -> None:
        """Let a pod be gone whose node is: it has failed, and only its Job may hold it.

        Raises
        ------
        NotFoundError
            There is none.
        """
        pod: Pod = self._find(PODS, key).item
        if pod.is_terminal:
            self._remove(PODS, key)
            return
        meta = pod.metadata
        if not pod.is_terminating:
            meta = replace(meta, deletion_timestamp=self._stamp())
        self._ended(key, replace(_disrupted(pod, node_gone(self._stamp())), metadata=meta))

    def _disrupt(self, key: str, why: Condition) -> None:
        self._end(PODS, key, _disrupted(self._find(PODS, key).item, why))

    def _end(self, resource: Resource, key: str, item: Any) -> None:
        if resource is not PODS or not item.spec.node_name:
            self._remove(resource, key)
        elif not item.is_terminating:
            asked_s = item.spec.termination_grace_period_seconds
            grace_s = GRACE_S if asked_s is None else asked_s
            ends_at = self.now + grace_s
            if self.has_kubelet(item.spec.node_name):
                self._going[key] = ends_at
            meta = replace(
                item.metadata,
                deletion_timestamp=rfc3339(ends_at),
                deletion_grace_period_seconds=grace_s,
            )
            self._put(PODS, _Entry(replace(item, metadata=meta)))

    def await_end(self, key: str) -> None:
        """Have a pod end that was told to go before anything was planned."""
        pod: Pod = self._find(PODS, key).item
        self._going[key] = seconds_of(pod.metadata.deletion_timestamp)

    def remove(self, resource: Resource, key: str) -> None:
        """Take an object out at once, whatever holds it: it is not deleted, it is lost."""
        if key in self._entries[resource]:
            self._remove(resource, key)

    def bind(self, key: str, node_name: str) -> None:
        """Put a pod on a node and have it run, and ready, there."""
        entry, stamp = self._find(PODS, key), self._stamp()
        pod: Pod = entry.item
        conditions = tuple(
            Condition(type=name, status="True", last_transition_time=stamp)
            for name in ("PodScheduled", "Ready")
        )
        status = PodStatus(phase="Running", conditions=conditions, start_time=stamp)
        spec = replace(pod.spec, node_name=node_name)
        document = entry.document
        if document is not None:
            # What was sent of it is more than a struct has; a manifest may be compared with it.
            there = {**document["spec"], "nodeName": node_name}
            document = {**document, "spec": there, "status": as_json(status)}
        self._put(PODS, _Entry(replace(pod, spec=spec, status=status), document))

    def deletions_end_at(self) -> float | None:
        """Return when the next pod ends that was told to go; None when there is none."""
        return min(self._going.values(), default=None)

    def finish_deletions(self) -> bool:
        """Let the pods end whose time is over; return whether there were any."""
        gone = [key for key, ends_at in self._going.items() if ends_at <= self.now]
        for key in gone:
            del self._going[key]
            self._ended(key, self._find(PODS, key).item)
        return bool(gone)

    def _ended(self, key: str, pod: Pod) -> None:
        """Take out a pod that was told to go and has ended, unless its Job has to count it."""
        self._going.pop(key, None)
        if JOB_TRACKING not in pod.metadata.finalizers:
            self._remove(PODS, key)
            return
        meta = replace(pod.metadata, deletion_grace_period_seconds=0)
        status = replace(pod.status, phase="Failed")
        self._put(PODS, _Entry(replace(pod, metadata=meta, status=status)))

    @staticmethod
    def _is_released(pod: Pod | None) -> bool:
        """Return whether a pod that has ended is held by nobody any more."""
        if pod is None or not (pod.is_terminating and pod.is_terminal):
            return False
        return JOB_TRACKING not in pod.metadata.finalizers

    # Within

    def know_namespace(self, name: str) -> None:
        """Have a namespace that nobody described."""
        if name not in self._entries[NAMESPACES]:
            self.load(NAMESPACES, {"metadata": {"name": name}})

    def _find(self, resource: Resource, key: str) -> _Entry:
        entry = self._entries[resource].get(key)
        if entry is None:
            name = key.rpartition("/")[2]
            raise NotFoundError(f'{resource.group_resource} "{name}" not found')
        return entry

    def _put(self, resource: Resource, entry: _Entry) -> None:
        entries, key = self._entries[resource], entry.item.metadata.key
        known = entries.get(key)
        entries[key] = entry
        self._tell(resource, None if known is None else known.item, entry.item)

    def _remove(self, resource: Resource, key: str) -> None:
        item = self._entries[resource].pop(key).item
        if resource is PODS:
            self._going.pop(key, None)
        elif resource is PRIORITY_CLASSES:
            self._classes.pop(key, None)
        self._tell(resource, item, None)

    def _tell(self, resource: Resource, old: Any, new: Any) -> None:
        for follower in self._followers[resource]:
            follower(resource, old, new)

    def _new_name(self, resource: Resource, namespace: str, meta: Mapping[str, Any]) -> str:
        entries, prefix = self._entries[resource], meta.get("generateName") or ""
        while True:
            name = generated_name(prefix, self._chance)
            if (f"{namespace}/{name}" if namespace else name) not in entries:
                return name

    def _new_uid(self) -> str:
        return f"planned-{next(self._numbers)}"

    def _stamp(self) -> str:
        return rfc3339(self.now)


def _without(meta: Mapping[str, Any], *fields: str) -> Document:
    return {field: value for field, value in meta.items() if field not in fields}


def _accepted(stored: Stored) -> Document:
    """Return an object as it is stored, unless there is a fault in it."""
    faults = [*((path, "unknown field") for path in stored.unknown_fields), *stored.faults]
    if faults:
        raise _refusal(stored.document, faults)
    return stored.document


def _check_update(resource: Resource, new: Document, old: Document) -> None:
    """Refuse a change that an API server would."""
    pair = _comparable(resource, new, old), old
    if resource is PODS and is_reduced(old):
        pair = _filled_in(pair[0]), _filled_in(pair[1])
    faults = validation.validate_update(resource, *pair)
    if faults:
        raise _refusal(new, [(fault.field, fault.body) for fault in faults])


def _merged(resource: Resource, old: Document, sent: Document, last: Document) -> Document:
    """Return an object as it is when a manifest is merged into it, after another one was."""
    definition = schema.definition_of(resource.api_version, resource.kind)
    try:
        new: Document = apply_strategic_patch(
            old, patch_between(last, sent, definition), definition
        )
    except StrategicPatchError as error:
        raise _refusal(sent, [("", str(error))]) from error
    return new


def _comparable(resource: Resource, new: Document, old: Document) -> Document:
    """Return an object as far as it can be compared with what is known of it so far."""
    if not is_reduced(old):
        return new
    known = reduced(resource, new)
    if resource is not PODS:
        return _with_defaults(resource, known)
    # They are taken in without defaults (see `load`), which count as a change of the spec.
    if known["spec"] == old["spec"] and "generation" in old["metadata"]:
        known["metadata"]["generation"] = old["metadata"]["generation"]
    return known


def _with_defaults(resource: Resource, document: Mapping[str, Any]) -> Document:
    """Return a copy of an object with the defaults of what it leaves out."""
    whole: Document = msgspec.json.decode(msgspec.json.encode(document))
    apply_defaults(resource, whole)
    return whole


def _filled_in(pod: Document) -> Document:
    """Return a copy of a pod of a snapshot with what one has to have, to be judged."""
    whole: Document = msgspec.json.decode(msgspec.json.encode(pod))
    for field in ("containers", "initContainers"):
        for container in whole["spec"].get(field) or ():
            # By default it depends on the image, which may change; and then it stays.
            container["imagePullPolicy"] = "IfNotPresent"
    return _with_defaults(PODS, whole)


def _decode(resource: Resource, document: Document) -> Any:
    try:
        return msgspec.convert(document, TYPES[resource])
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$.")
        raise _refusal(document, [(where.rstrip("`"), what)]) from error


def _disrupted(pod: Pod, why: Condition) -> Pod:
    """Return a pod that is told why it has to go."""
    others = (each for each in pod.status.conditions if each.type != why.type)
    return replace(pod, status=replace(pod.status, conditions=(*others, why)))


def _key_of(resource: Resource, meta: Mapping[str, Any]) -> str:
    name = str(meta.get("name") or "")
    return f"{meta.get('namespace')}/{name}" if resource.namespaced else name


def _refusal(document: Document, faults: list[tuple[str, str]]) -> InvalidObjectError:
    meta = document.get("metadata") or {}
    name = meta.get("name") or meta.get("generateName") or ""
    namespace = str(meta.get("namespace") or "")
    return InvalidObjectError(str(document.get("kind")), namespace, str(name), faults)
