"""Anonymous: a snapshot without the names that people gave, in which every decision stays the same.

Rule 1: equal names become equal names, different ones different ones, wherever they stand.
Rule 2: new names sort as the old ones did: what goes by the order of names goes as before.
Rule 3: names that are made of others stay so: pods of their set and ordinal, claims of template,
        set and ordinal.
Rule 4: what Kubernetes itself has named keeps its name: well-known label keys, the values of those
        that say what a machine is, system priority classes, resources, drivers, schedulers.
Rule 5: numbers that a node term compares stay numbers.
Rule 6: of admission policies, just what they are asked about stays: expressions and parameters may
        name anything. They are not asked any more, see `policies.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from kubeberth.api.node_labels import HOSTNAME, REGION, ZONE
from kubeberth.api.storage import BETA_CLASS, SELECTED_NODE
from kubeberth.controllers.workloads.stateful_pods import template_name
from kubeberth.planner.kinds import TYPES, WRITTEN
from kubeberth.planner.params import BINDINGS
from kubeberth.planner.uncalled import CALLED

Document = dict[str, Any]

_KNOWN_DOMAINS = ("kubernetes.io", "k8s.io", "kubeberth.io")
# Labels whose values are drawn, or say what a machine is: nobody is known by them.
_KEPT_VALUES = frozenset(
    (
        *("kubernetes.io/arch", "kubernetes.io/os", "beta.kubernetes.io/arch"),
        *("beta.kubernetes.io/os", "pod-template-hash"),
        *("pod-template-generation", "apps.kubernetes.io/pod-index"),
        *("batch.kubernetes.io/job-completion-index", "batch.kubernetes.io/controller-uid"),
        "controller-uid",
    )
)
_KEPT_KEYS = _KEPT_VALUES | {"job-name", "controller-revision-hash"}
# Labels whose values are names of objects, and of which kind.
_NAMING = {
    HOSTNAME: "Node",
    "kubernetes.io/metadata.name": "Namespace",
    "batch.kubernetes.io/job-name": "Job",
    "job-name": "Job",
    "statefulset.kubernetes.io/pod-name": "Pod",
    "controller-revision-hash": "ControllerRevision",
}
_PLACES = {
    ZONE: "zone",
    "failure-domain.beta.kubernetes.io/zone": "zone",
    REGION: "region",
    "failure-domain.beta.kubernetes.io/region": "region",
}
_STEMS = {
    "Node": "node",
    "Namespace": "namespace",
    "Deployment": "deploy",
    "ReplicaSet": "rs",
    "StatefulSet": "set",
    "DaemonSet": "daemon",
    "ReplicationController": "rc",
    "PersistentVolume": "volume",
    "PersistentVolumeClaim": "claim",
    "StorageClass": "class",
    "PriorityClass": "priority",
    "PodDisruptionBudget": "budget",
    "ValidatingAdmissionPolicy": "policy",
    "MutatingAdmissionPolicy": "policy",
}
# Fields that hold the name of an object of some kind.
_REFERENCES = {
    "nodeName": "Node",
    "nominatedNodeName": "Node",
    "namespace": "Namespace",
    "priorityClassName": "PriorityClass",
    "runtimeClassName": "RuntimeClass",
    "storageClassName": "StorageClass",
    "volumeName": "PersistentVolume",
    "persistentVolumeName": "PersistentVolume",
    "claimName": "PersistentVolumeClaim",
    "currentRevision": "ControllerRevision",
    "updateRevision": "ControllerRevision",
    "serviceName": "Service",
    "policyName": "ValidatingAdmissionPolicy",
    "hostname": "Pod",
    "subdomain": "Service",
}
# Kinds whose names are those of others, or are known to all.
_SAME_NAME = {"CSINode": "Node"}
_KEPT_KINDS = frozenset(("CSIDriver",))
_KEPT_NAMES = frozenset(
    ("", "default", "kube-system", "kube-public", "kube-node-lease", "kubernetes")
)
_LABELS = frozenset(("labels", "matchLabels", "nodeSelector"))
_HANDLES = frozenset(
    ("handler", "volumeHandle", "pdName", "volumeID", "diskName", "diskURI", "volumePath")
)
# Of which resources webhooks and policies are asked.
_ASKED_ABOUT = {
    "apiGroups": frozenset(("*", *(resource.group for resource in WRITTEN))),
    "resources": frozenset(("*", "*/*", *(resource.plural for resource in WRITTEN))),
}
# In the names of what quotas count: of which storage class, and of which resource.
_OF_CLASS = ".storageclass.storage.k8s.io/"
_COUNT = "count/"
_COUNTED = frozenset(
    f"{_COUNT}{resource.group_resource}" for resource in TYPES if resource not in CALLED
)
_KINDS = frozenset((resource.api_version, resource.kind) for resource in TYPES)
_POLICIES = frozenset(resource.kind for resource in BINDINGS)
_BINDINGS = frozenset(resource.kind for resource in BINDINGS.values())
_COMPARED = frozenset(("Gt", "Lt"))
_ZONES = "__"
_INTEGER = re.compile(r"[-+]?\d+")
_ORDINAL = re.compile(r"(.+)-(\d+)")


def anonymised(documents: Sequence[Document]) -> list[Document]:
    """Return objects without the names that people gave to them and to what is in them."""
    return _Renamer([_with_known_policy(d) for d in documents if _kind_of(d) in _KINDS]).renamed()


def _kind_of(document: Document) -> tuple[str, str]:
    return document["apiVersion"], document["kind"]


def _with_known_policy(document: Document) -> Document:
    """Return an object; of a policy, what it is asked about, of a binding, what it binds."""
    if document["kind"] in _POLICIES:
        constraints = (document.get("spec") or {}).get("matchConstraints") or {}
        rules = [
            {field: rule[field] for field in _ASKED_ABOUT if field in rule}
            for rule in constraints.get("resourceRules") or ()
        ]
        return {**document, "spec": {"matchConstraints": {"resourceRules": rules}}}
    if document["kind"] in _BINDINGS:
        return {
            **document,
            "spec": {"policyName": (document.get("spec") or {}).get("policyName", "")},
        }
    return document


def _compared_keys(value: Any) -> Iterator[str]:
    """Yield the keys of labels and taints of which some rule compares the numbers."""
    if isinstance(value, Mapping):
        if value.get("operator") in _COMPARED and isinstance(value.get("key"), str):
            yield value["key"]
        for part in value.values():
            yield from _compared_keys(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _compared_keys(part)


class _Names:
    """Gives new names to some texts, in the same order."""

    def __init__(self, stem: str, texts: Iterable[str]) -> None:
        ordered = sorted(set(texts))
        width = len(str(len(ordered)))
        self._new = {
            text: f"{stem}-{number:0{width}}" for number, text in enumerate(ordered, start=1)
        }

    def __call__(self, text: str) -> str:
        return self._new[text]


class _Renamer:
    """Knows all names of some objects, then renames what is in them.

    It goes over everything twice by the same rules: first to collect, then to rename.
    """

    def __init__(self, documents: Sequence[Document]) -> None:
        self._documents = documents
        self._sets = {
            (d["metadata"].get("namespace", ""), d["metadata"]["name"])
            for d in documents
            if d["kind"] == "StatefulSet"
        }
        self._revised = {
            d["metadata"]["name"]: d["kind"]
            for d in documents
            if d["kind"] in ("StatefulSet", "DaemonSet")
        }
        self._templates = {
            template_name(claim)
            for d in documents
            if d["kind"] == "StatefulSet"
            for claim in (d.get("spec") or {}).get("volumeClaimTemplates") or ()
        }
        # Claims that are made for one pod: their names are made of its name and the volume's.
        self._ephemeral = {
            f"{d['metadata'].get('name')}-{volume['name']}": (d["metadata"], volume["name"])
            for d in documents
            if d["kind"] == "Pod"
            for volume in (d.get("spec") or {}).get("volumes") or ()
            if "ephemeral" in volume
        }
        self._compared = frozenset(_compared_keys(documents))
        self._met: dict[str, set[str]] = {}
        self._translate: Callable[[str, str], str] = self._meet
        for document in documents:
            self._object(document)
        names = {stem: _Names(stem, texts) for stem, texts in self._met.items()}
        self._translate = lambda stem, text: names[stem](text)

    def renamed(self) -> list[Document]:
        """Return the objects under their new names."""
        return [self._object(document) for document in self._documents]

    def _meet(self, stem: str, text: str) -> str:
        self._met.setdefault(stem, set()).add(text)
        return text

    # Names

    def _name(self, kind: str, name: str, namespace: str = "") -> str:
        """Return the new name of an object."""
        kind = _SAME_NAME.get(kind, kind)
        if name in _KEPT_NAMES or kind in _KEPT_KINDS or name.startswith("system-"):
            return name
        if kind == "Pod":
            return self._pod(name, namespace)
        if kind == "PersistentVolumeClaim":
            return self._claim(name)
        if kind == "ControllerRevision":
            return self._revision(name)
        return self._translate(_STEMS.get(kind, kind.lower()), name)

    def _pod(self, name: str, namespace: str) -> str:
        match = _ORDINAL.fullmatch(name)
        if match is not None and any(name_ == match[1] for _, name_ in self._sets):
            return f"{self._name('StatefulSet', match[1])}-{match[2]}"
        return self._translate("pod", name)

    def _revision(self, name: str) -> str:
        """Return the new name of a revision; it is made of its owner's and a hash, or of a hash."""
        owner, _, hash_ = name.rpartition("-")
        kind = self._revised.get(owner)
        return f"{self._name(kind, owner)}-{hash_}" if kind else name

    def _claim(self, name: str) -> str:
        """Return the new name of a claim; that of a set's is made of template, set and ordinal."""
        if name in self._ephemeral:
            meta, volume = self._ephemeral[name]
            made = self._pod(meta["name"], meta.get("namespace", ""))
            return f"{made}-{self._translate('data', volume)}"
        match = _ORDINAL.fullmatch(name)
        if match is not None:
            for template in sorted(self._templates, key=len, reverse=True):
                owner = match[1].removeprefix(f"{template}-")
                if owner != match[1] and any(name_ == owner for _, name_ in self._sets):
                    made = self._name("StatefulSet", owner)
                    return f"{self._translate('data', template)}-{made}-{match[2]}"
        return self._translate("claim", name)

    def _key(self, key: str) -> str:
        """Return the new key of a label or taint."""
        domain = key.rpartition("/")[0]
        is_known = domain in _KNOWN_DOMAINS or domain.endswith(
            tuple(f".{known}" for known in _KNOWN_DOMAINS)
        )
        return key if is_known or key in _KEPT_KEYS or not key else self._translate("label", key)

    def _value(self, key: str, value: str) -> str:
        """Return the new value of a label or taint."""
        if not value or key in _KEPT_VALUES or self._is_number(key, value):
            return value
        if key in _NAMING:
            return self._name(_NAMING[key], value)
        # A volume may name several zones at once.
        stem = _PLACES.get(key, "value")
        return _ZONES.join(self._translate(stem, part) for part in value.split(_ZONES))

    def _is_number(self, key: str, value: str) -> bool:
        return key in self._compared and _INTEGER.fullmatch(value) is not None

    def _image(self, image: str) -> str:
        """Return the new name of an image; its tag, or that it has none, says how it is pulled."""
        name, at, digest = image.partition("@")
        slash = name.rfind("/")
        repository, colon, tag = name[slash + 1 :].partition(":")
        return f"{self._translate('image', name[: slash + 1] + repository)}{colon}{tag}{at}{digest}"

    # Objects

    def _object(self, document: Document) -> Document:
        kind, meta = document["kind"], document["metadata"]
        rest = {
            key: self._field(key, value)
            for key, value in document.items()
            if key not in ("apiVersion", "kind", "metadata")
        }
        if kind == "Service" and (selector := (document.get("spec") or {}).get("selector")):
            rest["spec"]["selector"] = self._labels(selector)
        if kind == "ReplicationController" and "selector" in document.get("spec", {}):
            rest["spec"]["selector"] = self._labels(document["spec"]["selector"])
        head = {"apiVersion": document["apiVersion"], "kind": kind}
        return {**head, "metadata": self._metadata(kind, meta), **rest}

    def _metadata(self, kind: str, meta: Mapping[str, Any]) -> Document:
        named = {**meta}
        namespace = meta.get("namespace", "")
        owners = [dict(owner) for owner in meta.get("ownerReferences") or ()]
        for owner in owners:
            owner["name"] = self._name(owner["kind"], owner["name"])
        if namespace:
            named["namespace"] = self._name("Namespace", namespace)
        if "name" in meta:
            named["name"] = self._name(kind, meta["name"], namespace)
        if "generateName" in meta:
            controller = next((owner for owner in owners if owner.get("controller")), None)
            named["generateName"] = f"{controller['name']}-" if controller else "pod-"
        if owners:
            named["ownerReferences"] = owners
        if "labels" in meta:
            named["labels"] = self._labels(meta["labels"])
        annotations = dict(meta.get("annotations") or {})
        for key, named_kind in ((SELECTED_NODE, "Node"), (BETA_CLASS, "StorageClass")):
            if key in annotations:
                annotations[key] = self._name(named_kind, annotations[key])
                named["annotations"] = annotations
        return named

    def _labels(self, labels: Mapping[str, str]) -> dict[str, str]:
        return {self._key(key): self._value(key, value) for key, value in labels.items()}

    def _field(self, name: str, value: Any) -> Any:
        """Return the new value of a field anywhere below an object."""
        match value:
            case str():
                return self._text(name, value)
            case list() if name == "matchFields":
                return [{**each, "values": self._names("Node", each)} for each in value]
            case list() if name in ("matchExpressions", "matchLabelExpressions"):
                return [self._requirement(each) for each in value]
            case list() if name in ("matchLabelKeys", "mismatchLabelKeys"):
                return [self._key(key) for key in value]
            case list() if name == "namespaces":
                return [self._name("Namespace", each) for each in value]
            case list() if name in _ASKED_ABOUT:
                # Of what no plan writes, its kind may be the name that somebody gave it.
                return [each for each in value if each in _ASKED_ABOUT[name]]
            case list() if name == "names":
                return [self._image(each) for each in value]
            case list() if name in ("taints", "tolerations"):
                return [self._taint(each) for each in value]
            case list() if name in ("containers", "initContainers", "volumes"):
                return [self._named(name, each) for each in value]
            case list() if name in ("containerStatuses", "initContainerStatuses"):
                return [self._named("containers", each) for each in value]
            case list():
                return [self._field("", each) for each in value]
            case dict() if name in _LABELS:
                return self._labels(value)
            case dict() if name in ("hard", "used"):
                return self._counted(value)
            case dict() if name == "claimRef":
                return self._claim_reference(value)
            case dict():
                return {key: self._below(key, part) for key, part in value.items()}
            case _:
                return value

    def _below(self, key: str, value: Any) -> Any:
        if key == "metadata" and isinstance(value, dict):
            # Of a template: its name, if it has one, is that of a claim.
            named = self._metadata("Template", {k: v for k, v in value.items() if k != "name"})
            if "name" in value:
                named["name"] = self._translate("data", value["name"])
            return named
        return self._field(key, value)

    def _text(self, name: str, value: str) -> str:
        if name == "topologyKey":
            return self._key(value)
        if name in ("image", "reference"):
            return self._image(value)
        if name in _HANDLES:
            return self._translate("handle", value)
        if name in _REFERENCES:
            return self._name(_REFERENCES[name], value)
        return value

    def _names(self, kind: str, requirement: Mapping[str, Any]) -> list[str]:
        return [self._name(kind, value) for value in requirement.get("values") or ()]

    def _counted(self, amounts: Mapping[str, Any]) -> Document:
        """Return amounts of a quota; those of the user's own kinds count for no plan."""
        return {
            self._counted_name(name): amount
            for name, amount in amounts.items()
            if not name.startswith(_COUNT) or name in _COUNTED
        }

    def _counted_name(self, name: str) -> str:
        storage_class, of_class, what = name.partition(_OF_CLASS)
        if not of_class:
            return name
        return f"{self._name('StorageClass', storage_class)}{of_class}{what}"

    def _requirement(self, requirement: Mapping[str, Any]) -> Document:
        if "scopeName" in requirement:  # the only scope with values is that of priority classes
            values = [self._name("PriorityClass", each) for each in requirement.get("values") or ()]
            return {**requirement, "values": values} if "values" in requirement else {**requirement}
        key = requirement["key"]
        values = [self._value(key, value) for value in requirement.get("values") or ()]
        changed = {**requirement, "key": self._key(key)}
        return {**changed, "values": values} if "values" in requirement else changed

    def _taint(self, taint: Mapping[str, Any]) -> Document:
        changed = dict(taint)
        if "key" in taint:
            changed["key"] = self._key(taint["key"])
        if "value" in taint:
            changed["value"] = self._value(taint.get("key", ""), taint["value"])
        return changed

    def _named(self, field: str, part: Mapping[str, Any]) -> Any:
        """Return a container or a volume; the volume of a claim template has its name."""
        name = part.get("name", "")
        stem = "data" if field == "volumes" else "container"
        rest = {key: self._below(key, value) for key, value in part.items() if key != "name"}
        return {"name": self._translate(stem, name), **rest} if name else rest

    def _claim_reference(self, reference: Mapping[str, Any]) -> Document:
        changed = dict(reference)
        if "namespace" in reference:
            changed["namespace"] = self._name("Namespace", reference["namespace"])
        if "name" in reference:
            changed["name"] = self._claim(reference["name"])
        return changed
