"""Tables: what `kubectl get` prints, computed here; pure.

Matches `pkg/printers/internalversion` of Kubernetes 1.36. A new kind is a new entry in `_PRINTERS`;
one without an entry prints its name and the time it was created.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kubeberth.api.scheme import Resource
from kubeberth.api.times import seconds_of
from kubeberth.apiserver import pod_row
from kubeberth.apiserver.cells import (
    NONE,
    UNKNOWN,
    age_of,
    age_text,
    joined,
    selector_text,
)
from kubeberth.apiserver.columns import (
    access,
    admission,
    custom,
    devices,
    network,
    policy,
    storage,
    workloads,
)
from kubeberth.apiserver.columns.printer import (
    AGE,
    CONTAINERS,
    IMAGES,
    NAME,
    SELECTOR,
    Column,
    Printer,
    name_and_age,
    name_of,
    template_cells,
)
from kubeberth.apiserver.strategy import TEMPLATE_GENERATION

Document = Mapping[str, Any]
_ROLE_PREFIX = "node-role.kubernetes.io/"
_ROLE_LABEL = "kubernetes.io/role"


def to_table(
    resource: Resource,
    items: Iterable[Document],
    include_object: str = "Metadata",
    now: float = 0.0,
    *,
    version: str = "v1",
    printer: Printer | None = None,
) -> dict[str, Any]:
    """Return a `Table` of objects.

    Parameters
    ----------
    include_object
        What goes with every row: `Metadata` (also when empty), `Object` or `None`.
    now
        The wall clock, for ages.
    version
        Of meta.k8s.io, as the client asked for it.
    printer
        For objects that are not the resource's own: the scale of a workload.
    """
    printer = printer or _printer_of(resource)
    return {
        "kind": "Table",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": {},
        "columnDefinitions": [column.definition() for column in printer.columns],
        "rows": [
            _row(printer, resource, document, include_object, now, version) for document in items
        ],
    }


def _printer_of(resource: Resource) -> Printer:
    if resource.custom is not None:
        return custom.printer_of(resource.custom.columns)
    return _PRINTERS.get(resource.rules_key, _GENERIC)


def _row(
    printer: Printer,
    resource: Resource,
    document: Document,
    include_object: str,
    now: float,
    version: str,
) -> dict[str, Any]:
    row: dict[str, Any] = {"cells": printer.cells(document, now)}
    if conditions := printer.conditions(document):
        row["conditions"] = conditions
    match include_object:
        case "None":
            row["object"] = None
        case "Object":
            row["object"] = {
                "kind": resource.kind,
                "apiVersion": resource.api_version,
                **document,
            }
        case _:
            row["object"] = {
                "kind": "PartialObjectMetadata",
                "apiVersion": f"meta.k8s.io/{version}",
                "metadata": _shown_metadata(document),
            }
    return row


def _shown_metadata(document: Document) -> Mapping[str, Any]:
    """Return the metadata that go with a row: without what daemon sets count in an annotation."""
    metadata: dict[str, Any] = document.get("metadata") or {}
    if TEMPLATE_GENERATION not in (metadata.get("annotations") or {}):
        return metadata
    kept = {k: v for k, v in metadata["annotations"].items() if k != TEMPLATE_GENERATION}
    shown = {k: v for k, v in metadata.items() if k != "annotations"}
    return {**shown, "annotations": kept} if kept else shown


def _node_cells(node: Document, now: float) -> list[Any]:
    info = (node.get("status") or {}).get("nodeInfo") or {}
    kernel = info.get("kernelVersion") or UNKNOWN
    if kernel != UNKNOWN and info.get("architecture"):
        kernel = f"{kernel} ({info['architecture']})"
    return [
        name_of(node),
        _node_status(node),
        _node_roles(node),
        age_of(node, now),
        info.get("kubeletVersion", ""),
        _node_address(node, "InternalIP"),
        _node_address(node, "ExternalIP"),
        info.get("osImage") or UNKNOWN,
        kernel,
        info.get("containerRuntimeVersion") or UNKNOWN,
    ]


def _node_status(node: Document) -> str:
    text = "Unknown"
    for condition in (node.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Ready":
            text = "Ready" if condition.get("status") == "True" else "NotReady"
    is_cordoned = (node.get("spec") or {}).get("unschedulable")
    return f"{text},SchedulingDisabled" if is_cordoned else text


def _node_roles(node: Document) -> str:
    roles = set()
    for key, value in (node["metadata"].get("labels") or {}).items():
        if key.startswith(_ROLE_PREFIX):
            roles.add(key.removeprefix(_ROLE_PREFIX))
        elif key == _ROLE_LABEL:
            roles.add(value)
    return ",".join(sorted(roles - {""})) or NONE


def _node_address(node: Document, kind: str) -> str:
    for address in (node.get("status") or {}).get("addresses") or ():
        if address.get("type") == kind:
            found: str = address.get("address", "")
            return found
    return NONE


def _namespace_cells(namespace: Document, now: float) -> list[Any]:
    phase = (namespace.get("status") or {}).get("phase", "")
    return [name_of(namespace), phase, age_of(namespace, now)]


def _deployment_cells(deployment: Document, now: float) -> list[Any]:
    spec, status = deployment.get("spec") or {}, deployment.get("status") or {}
    return [
        name_of(deployment),
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        age_of(deployment, now),
        *template_cells(spec.get("template")),
        selector_text(spec.get("selector")),
    ]


def _service_cells(service: Document, now: float) -> list[Any]:
    spec = service.get("spec") or {}
    return [
        name_of(service),
        spec.get("type", ""),
        next(iter(spec.get("clusterIPs") or ()), "") or spec.get("clusterIP") or NONE,
        _service_external(service, spec),
        ",".join(map(_port_text, spec.get("ports") or ())) or NONE,
        age_of(service, now),
        joined(spec.get("selector")),
    ]


def _service_external(service: Document, spec: Document) -> str:
    kind, external = spec.get("type"), ",".join(spec.get("externalIPs") or ())
    if kind == "ExternalName":
        name: str = spec.get("externalName", "")
        return name
    if kind != "LoadBalancer":
        return external or NONE
    balancer = (service.get("status") or {}).get("loadBalancer") or {}
    addresses = [i.get("ip") or i.get("hostname", "") for i in balancer.get("ingress") or ()]
    return ",".join([address for address in (*addresses, external) if address]) or "<pending>"


def _port_text(port: Document) -> str:
    text = f"{port.get('port', 0)}"
    if port.get("nodePort"):
        text += f":{port['nodePort']}"
    return f"{text}/{port.get('protocol', 'TCP')}"


def _config_map_cells(config_map: Document, now: float) -> list[Any]:
    n_keys = sum(len(config_map.get(field) or ()) for field in ("data", "binaryData"))
    return [name_of(config_map), n_keys, age_of(config_map, now)]


def _secret_cells(secret: Document, now: float) -> list[Any]:
    n_keys = len(secret.get("data") or ())
    return [name_of(secret), secret.get("type", ""), n_keys, age_of(secret, now)]


def _lease_cells(lease: Document, now: float) -> list[Any]:
    holder = (lease.get("spec") or {}).get("holderIdentity", "")
    return [name_of(lease), holder, age_of(lease, now)]


def _priority_class_cells(priority_class: Document, now: float) -> list[Any]:
    return [
        name_of(priority_class),
        priority_class.get("value", 0),
        priority_class.get("globalDefault", False),
        age_of(priority_class, now),
        priority_class.get("preemptionPolicy", ""),
    ]


def _event_cells(event: Document, now: float) -> list[Any]:
    about = event.get("involvedObject") or event.get("regarding") or {}
    series = event.get("series") or {}
    first = _first_of(event, "firstTimestamp", "deprecatedFirstTimestamp", "eventTime")
    last = series.get("lastObservedTime") or _first_of(
        event, "lastTimestamp", "deprecatedLastTimestamp"
    )
    count = series.get("count") or _first_of(event, "count", "deprecatedCount") or 1
    return [
        _time_text(last or first, now),
        event.get("type", ""),
        event.get("reason", ""),
        _object_text(about),
        about.get("fieldPath", ""),
        _event_source(event),
        (event.get("message") or event.get("note") or "").strip(),
        _time_text(first, now),
        count,
        name_of(event),
    ]


def _first_of(document: Document, *fields: str) -> Any:
    """Return the first field that says something."""
    return next((document[field] for field in fields if document.get(field)), None)


def _time_text(time: str | None, now: float) -> str:
    return age_text(now - seconds_of(time)) if time else UNKNOWN


def _object_text(about: Document) -> str:
    kind, name = about.get("kind", "").lower(), about.get("name", "")
    return f"{kind}/{name}" if name else kind


def _event_source(event: Document) -> str:
    source = event.get("source") or event.get("deprecatedSource") or {}
    if source.get("component"):
        parts = (source["component"], source.get("host"))
    else:
        controller = _first_of(event, "reportingComponent", "reportingController")
        parts = (controller, event.get("reportingInstance"))
    return ", ".join(part for part in parts if part)


def _generic_cells(document: Document, now: float) -> list[Any]:
    return [name_of(document), document["metadata"].get("creationTimestamp")]


_GENERIC = Printer(
    (NAME, Column("Created At", "when the object was created", type="date")), _generic_cells
)
_EVENT = Printer(
    (
        Column("Last Seen", "time since it last happened"),
        Column("Type", "Normal or Warning"),
        Column("Reason", "why it happened, in a word"),
        Column("Object", "what it is about"),
        Column("Subobject", "which part of the object", wide=True),
        Column("Source", "who reports it", wide=True),
        Column("Message", "what happened"),
        Column("First Seen", "time since it first happened", wide=True),
        Column("Count", "how often it happened", wide=True),
        Column("Name", "the object's name", wide=True, is_name=True),
    ),
    _event_cells,
)
_PRINTERS: dict[str, Printer] = {
    "pods": Printer(
        (
            NAME,
            Column("Ready", "ready containers of all containers"),
            Column("Status", "what the pod is doing"),
            Column("Restarts", "restarts of its containers, and when the last was"),
            AGE,
            Column("IP", "the pod's address", wide=True),
            Column("Node", "the node it is bound to", wide=True),
            Column("Nominated Node", "the node that preemption makes room on", wide=True),
            Column("Readiness Gates", "fulfilled readiness gates of all", wide=True),
        ),
        pod_row.pod_cells,
        pod_row.pod_conditions,
    ),
    "nodes": Printer(
        (
            NAME,
            Column("Status", "whether the node is ready, and open for pods"),
            Column("Roles", "roles by the node's labels"),
            AGE,
            Column("Version", "version of its kubelet"),
            Column("Internal-IP", "address within the cluster", wide=True),
            Column("External-IP", "address from outside", wide=True),
            Column("OS-Image", "operating system", wide=True),
            Column("Kernel-Version", "kernel and architecture", wide=True),
            Column("Container-Runtime", "container runtime and version", wide=True),
        ),
        _node_cells,
    ),
    "namespaces": Printer((NAME, Column("Status", "Active or Terminating"), AGE), _namespace_cells),
    "services": Printer(
        (
            NAME,
            Column("Type", "how the service is reached"),
            Column("Cluster-IP", "address within the cluster"),
            Column("External-IP", "address from outside"),
            Column("Port(s)", "its ports, with their node ports"),
            AGE,
            SELECTOR,
        ),
        _service_cells,
    ),
    "configmaps": Printer((NAME, Column("Data", "number of entries"), AGE), _config_map_cells),
    "secrets": Printer(
        (
            NAME,
            Column("Type", "what kind of secret it is"),
            Column("Data", "number of entries"),
            AGE,
        ),
        _secret_cells,
    ),
    "serviceaccounts": Printer((NAME, AGE), name_and_age),
    "events": _EVENT,
    "events.events.k8s.io": _EVENT,
    "leases.coordination.k8s.io": Printer(
        (NAME, Column("Holder", "who holds the lease"), AGE), _lease_cells
    ),
    "deployments.apps": Printer(
        (
            NAME,
            Column("Ready", "ready pods of those wanted"),
            Column("Up-to-date", "pods of the current template"),
            Column("Available", "pods that have been ready long enough"),
            AGE,
            CONTAINERS,
            IMAGES,
            SELECTOR,
        ),
        _deployment_cells,
    ),
    "priorityclasses.scheduling.k8s.io": Printer(
        (
            NAME,
            Column("Value", "the priority of its pods", type="integer"),
            Column("Global-Default", "whether pods without a class get it", type="boolean"),
            AGE,
            Column("PreemptionPolicy", "whether its pods may preempt others"),
        ),
        _priority_class_cells,
    ),
    **access.PRINTERS,
    **network.PRINTERS,
    **policy.PRINTERS,
    **admission.PRINTERS,
    **devices.PRINTERS,
    **storage.PRINTERS,
    **workloads.PRINTERS,
}
