"""What simulated nodes are made of: generated ones, and ones copied from manifests.

A NodeSpec is what a machine and its kubelet's flags are to a real node: the kubelet registers a
Node from it and takes its status from it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, ip_address, ip_network
from typing import Any

from kubeberth.api import schema
from kubeberth.api.fields import FieldTypeError, Walk
from kubeberth.api.names import dns1123_subdomain_errors, label_value_errors, qualified_name_errors
from kubeberth.api.node_labels import INSTANCE_TYPE, REGION, ZONE, default_labels
from kubeberth.api.quantity import Quantity, QuantityError, canonical_quantity, parse_quantity
from kubeberth.api.scheme import NODES
from kubeberth.errors import UsageError
from kubeberth.topology.layout import Layout
from kubeberth.topology.machine_manifests import layout_of, with_amounts, with_machines
from kubeberth.topology.names import ALLOCATIONS_ANNOTATION, LAYOUT_ANNOTATION, MACHINE_KIND

DEFAULT_REGION = "local"
DEFAULT_INSTANCE_TYPE = "sim.xlarge"
DEFAULT_CAPACITY: Mapping[str, str] = {
    "cpu": "4",
    "ephemeral-storage": "100Gi",
    "memory": "16Gi",
    "pods": "110",
}
# What a kubelet keeps free by default (hard eviction thresholds).
EVICTION_MEMORY = parse_quantity("100Mi")
EVICTION_STORAGE_PERCENT = 10

POD_NETWORK = IPv4Address("10.244.0.0")
POD_NETWORK_PREFIX = 24
NODE_NETWORK = IPv4Address("192.168.0.0")
# Taints that the cluster derives from a node's state: they are not the node's own.
STATE_TAINTS = "node.kubernetes.io/"
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_KINDS = f"Node, NodeList, List or {MACHINE_KIND}"
_NODE = "io.k8s.api.core.v1.Node"


@dataclass(frozen=True)
class NodeSpec:
    """One simulated node.

    Parameters
    ----------
    capacity, allocatable
        Resource lists; allocatable follows from capacity when left out.
    internal_ip, pod_cidr
        Its address, and the addresses of its pods.
    node_info
        Fields of `status.nodeInfo` that differ from the simulated ones.
    images
        Entries of `status.images`.
    layout
        What its machine has and how that is dealt out; capacity, allocatable and an annotation
        follow from it. None for a machine that nothing is known of.
    """

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Mapping[str, str], ...] = ()
    capacity: Mapping[str, str] = field(default_factory=lambda: DEFAULT_CAPACITY)
    allocatable: Mapping[str, str] = field(default_factory=dict)
    unschedulable: bool = False
    internal_ip: str = ""
    pod_cidr: str = ""
    provider_id: str = ""
    node_info: Mapping[str, Any] = field(default_factory=dict)
    images: tuple[Mapping[str, Any], ...] = ()
    layout: Layout | None = None

    def __post_init__(self) -> None:
        if not self.allocatable:
            object.__setattr__(self, "allocatable", default_allocatable(self.capacity))
        if self.layout is not None:
            _take_from(self, self.layout)

    @property
    def image_names(self) -> tuple[str, ...]:
        """The names of the images that it has."""
        return tuple(name for image in self.images for name in image.get("names") or ())

    def manifest(self) -> dict[str, Any]:
        """Return the Node manifest that `specs_from_manifests` reads as this very spec."""
        metadata = {
            "name": self.name,
            "labels": dict(self.labels),
            "annotations": dict(self.annotations),
        }
        spec = {
            "podCIDR": self.pod_cidr,
            "providerID": self.provider_id,
            "unschedulable": self.unschedulable,
            "taints": [dict(taint) for taint in self.taints],
        }
        addresses = [{"type": "InternalIP", "address": self.internal_ip}]
        status = {
            "capacity": dict(self.capacity),
            "allocatable": dict(self.allocatable),
            "addresses": addresses if self.internal_ip else [],
            "nodeInfo": dict(self.node_info),
            "images": [dict(image) for image in self.images],
        }
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": _without_empty(metadata),
            "spec": _without_empty(spec),
            "status": _without_empty(status),
        }


def _take_from(spec: NodeSpec, layout: Layout) -> None:
    """Set what follows from a node's layout."""
    capacity, allocatable = with_amounts(layout, spec.capacity, spec.allocatable)
    described = json.dumps(layout.document, separators=(",", ":"))
    for name, value in {
        "capacity": capacity,
        "allocatable": allocatable,
        "annotations": {**spec.annotations, LAYOUT_ANNOTATION: described},
    }.items():
        object.__setattr__(spec, name, value)


def _without_empty(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value}


def default_allocatable(capacity: Mapping[str, str]) -> dict[str, str]:
    """Return what a kubelet without reservations offers of a capacity.

    Memory and storage lose the hard eviction threshold, memory also what is set aside as huge
    pages; nothing goes below zero.
    """
    allocatable = dict(capacity)
    if "memory" in capacity:
        pages = (parse_quantity(v).nanos for k, v in capacity.items() if k.startswith("hugepages-"))
        memory = parse_quantity(capacity["memory"])
        left = max(0, memory.nanos - EVICTION_MEMORY.nanos - sum(pages))
        allocatable["memory"] = str(Quantity(left, memory.format))
    if "ephemeral-storage" in capacity:
        storage = parse_quantity(capacity["ephemeral-storage"])
        reserved = storage.units() * EVICTION_STORAGE_PERCENT // 100
        allocatable["ephemeral-storage"] = str(storage.units() - reserved)
    return allocatable


def node_specs(
    count: int,
    zones: int = 1,
    *,
    capacity: Mapping[str, str] | None = None,
    region: str = DEFAULT_REGION,
    instance_type: str = DEFAULT_INSTANCE_TYPE,
) -> list[NodeSpec]:
    """Return `count` alike nodes, node-1 and so on, dealt out to zones one after the other."""
    return [
        NodeSpec(
            name=f"node-{number}",
            labels={
                **default_labels(f"node-{number}"),
                INSTANCE_TYPE: instance_type,
                REGION: region,
                ZONE: f"zone-{zone_letters((number - 1) % max(zones, 1))}",
            },
            capacity=capacity or DEFAULT_CAPACITY,
            internal_ip=node_ip(number),
            pod_cidr=pod_cidr(number),
        )
        for number in range(1, count + 1)
    ]


def zone_letters(index: int) -> str:
    """Return the name of the index-th zone: a, b, ..., z, aa, ab, ..."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(ord("a") + rest) + letters
    return letters


def node_ip(number: int) -> str:
    """Return the address of the number-th node, counting from 1; none ends in .0 or .255."""
    block, rest = divmod(number - 1, 254)
    return str(NODE_NETWORK + 256 * block + rest + 1)


def pod_cidr(number: int) -> str:
    """Return the range of the pods of the number-th node: 10.244.1.0/24, 10.244.2.0/24, ..."""
    start = POD_NETWORK + number * 2 ** (32 - POD_NETWORK_PREFIX)
    return f"{start}/{POD_NETWORK_PREFIX}"


def next_number(cidrs: Iterable[str]) -> int:
    """Return the number after those of the nodes whose pods have these addresses."""
    size = 2 ** (32 - POD_NETWORK_PREFIX)
    starts = (int(ip_network(cidr).network_address) for cidr in cidrs if cidr)
    numbers = ((start - int(POD_NETWORK)) // size for start in starts)
    return max((number for number in numbers if 0 < number < 2**16), default=0) + 1


def specs_from_manifests(
    documents: Iterable[Mapping[str, Any]], *, first: int = 1, may_be_none: bool = False
) -> list[NodeSpec]:
    """Return the nodes that manifests describe: Nodes, NodeLists, Lists of Nodes, and Machines.

    What only one cluster's server knows (uid, resourceVersion, conditions, taints that mirror a
    node's state) is left behind.

    Parameters
    ----------
    first
        Number of the first node: addresses that are not said follow from it.
    may_be_none
        Whether there may be no node among them.

    Raises
    ------
    UsageError
        A document that is no node, or a field that no node can have.
    """
    specs: dict[str, NodeSpec] = {}
    for index, document in enumerate(with_machines(_documents(documents))):
        spec = _spec_from(document, first + index, f"node {index + 1}")
        if spec.name in specs:
            raise UsageError(f'node "{spec.name}" is described twice')
        specs[spec.name] = spec
    if not specs and not may_be_none:
        raise UsageError("the manifests describe no Node")
    return list(specs.values())


def _documents(documents: Iterable[Any]) -> Iterator[Mapping[str, Any]]:
    for index, document in enumerate(documents, start=1):
        yield from _nodes_of(document, f"document {index}")


def _nodes_of(document: Any, where: str) -> Iterator[Mapping[str, Any]]:
    if document is None:
        return
    kind = document.get("kind") if isinstance(document, Mapping) else None
    if not isinstance(kind, str) or not kind:
        raise UsageError(f"{where} must be an object with a kind: {_KINDS}")
    if kind in ("Node", MACHINE_KIND):
        yield document
    elif kind in ("NodeList", "List"):
        for index, item in enumerate(_field(document, "items", list, f"{where}: {kind}")):
            is_bare = kind == "NodeList" and isinstance(item, Mapping)
            yield from _nodes_of(
                {"kind": "Node", **item} if is_bare else item, f"{where}: items[{index}]"
            )
    else:
        raise UsageError(f"{where}: a {kind} is not a node: only {_KINDS} can be read")


def _spec_from(document: Mapping[str, Any], number: int, which: str) -> NodeSpec:
    """Return the node of a manifest.

    Parameters
    ----------
    number
        Its addresses follow from it, when they are not said.
    which
        Of those in the file, for errors while it has no name.
    """
    metadata = _field(document, "metadata", dict, which)
    name = _name(metadata, which)
    where = f'node "{name}"'
    spec = _field(document, "spec", dict, where)
    status = _field(document, "status", dict, where)
    labels = _labels(metadata, where)
    capacity = _resources(status, "capacity", where) or _resources(status, "allocatable", where)
    annotations = _texts(metadata, "annotations", where)
    for key in annotations:
        for error in qualified_name_errors(key.lower()):
            raise UsageError(f"{where}: annotations: {key}: {error}")
    annotations.pop(ALLOCATIONS_ANNOTATION, None)  # the pods of another cluster have them
    layout = layout_of(annotations, capacity, where)
    taints = _taints(spec, where)
    known_status = _checked(document, where).get("status") or {}
    return NodeSpec(
        name=name,
        labels={**default_labels(name), **labels},
        annotations=annotations,
        taints=taints,
        capacity={**DEFAULT_CAPACITY, **capacity},
        allocatable=_resources(status, "allocatable", where),
        unschedulable=bool(spec.get("unschedulable")),
        internal_ip=_internal_ip(status, where) or node_ip(number),
        pod_cidr=_pod_cidr(spec, where) or pod_cidr(number),
        provider_id=str(spec.get("providerID") or ""),
        node_info=_field(status, "nodeInfo", dict, where),
        images=tuple(known_status.get("images") or ()),
        layout=layout,
    )


def _checked(document: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return a Node whose fields are all those of a Node, and of their types.

    An API server that has taken it already may have known more.
    """
    walk = Walk()
    try:
        known = walk.object({"apiVersion": NODES.api_version, **document}, schema.definition(_NODE))
    except FieldTypeError as error:
        raise UsageError(f"{where}: {error.field}: {error}") from None
    if known.get("apiVersion") != NODES.api_version:
        raise UsageError(f"{where}: apiVersion must be {NODES.api_version}")
    if walk.unknown and not known["metadata"].get("resourceVersion"):
        raise UsageError(f"{where}: {walk.unknown[0]}: unknown field")
    return known


def _field(parent: Mapping[str, Any], name: str, kind: type[Any], where: str) -> Any:
    """Return a field of a type; an absent one is empty."""
    value = parent.get(name)
    if value is None:
        return kind()
    if not isinstance(value, kind):
        wanted = "a list" if kind is list else "an object"
        raise UsageError(f"{where}: {name} must be {wanted}")
    return value


def _name(metadata: Mapping[str, Any], which: str) -> str:
    name = metadata.get("name")
    if not isinstance(name, str) or not name:
        raise UsageError(f"{which} has no metadata.name")
    for error in dns1123_subdomain_errors(name):
        raise UsageError(f'node "{name}": metadata.name: {error}')
    return name


def _texts(parent: Mapping[str, Any], name: str, where: str) -> dict[str, str]:
    texts: dict[str, str] = _field(parent, name, dict, where)
    for key, value in texts.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise UsageError(
                f"{where}: {name}: {key}: {value!r} must be a string (put it in quotes)"
            )
    return dict(texts)


def _labels(metadata: Mapping[str, Any], where: str) -> dict[str, str]:
    labels = _texts(metadata, "labels", where)
    for key, value in labels.items():
        for error in (*qualified_name_errors(key), *label_value_errors(value)):
            raise UsageError(f"{where}: labels: {key}={value}: {error}")
    return labels


def _resources(status: Mapping[str, Any], name: str, where: str) -> dict[str, str]:
    resources = _field(status, name, dict, where)
    amounts = {}
    for key, value in resources.items():
        try:
            amounts[key] = canonical_quantity(value)
        except (QuantityError, TypeError):
            raise UsageError(f"{where}: status.{name}.{key}: {value!r} is no quantity") from None
        if parse_quantity(value).nanos < 0:
            raise UsageError(f"{where}: status.{name}.{key}: {value} is below zero")
    return amounts


def _taints(spec: Mapping[str, Any], where: str) -> tuple[Mapping[str, str], ...]:
    taints = []
    for taint in _field(spec, "taints", list, where):
        key = taint.get("key") if isinstance(taint, Mapping) else None
        if not isinstance(key, str) or not key:
            raise UsageError(f"{where}: spec.taints: {taint!r} has no key")
        if taint.get("effect") not in EFFECTS:
            known = ", ".join(EFFECTS)
            raise UsageError(f"{where}: spec.taints: effect of {key} must be one of {known}")
        for error in (
            *qualified_name_errors(key),
            *label_value_errors(str(taint.get("value") or "")),
        ):
            raise UsageError(f"{where}: spec.taints: {key}: {error}")
        if not key.startswith(STATE_TAINTS):
            taints.append({k: taint[k] for k in ("key", "value", "effect") if taint.get(k)})
    return tuple(taints)


def _internal_ip(status: Mapping[str, Any], where: str) -> str:
    for address in _field(status, "addresses", list, where):
        if isinstance(address, Mapping) and address.get("type") == "InternalIP":
            return _address(address.get("address"), where)
    return ""


def _address(text: object, where: str) -> str:
    try:
        return str(ip_address(text)) if isinstance(text, str) and text else ""
    except ValueError:
        raise UsageError(f"{where}: status.addresses: {text!r} is no address") from None


def _pod_cidr(spec: Mapping[str, Any], where: str) -> str:
    text = spec.get("podCIDR") or ""
    try:
        network = ip_network(text) if text else None
    except ValueError:
        raise UsageError(f"{where}: spec.podCIDR: {text!r} is no address range") from None
    return str(network) if isinstance(network, IPv4Network) else ""
