"""Defaults: what a document says when it says nothing; one function per kind, in place.

Matches `pkg/apis/{group}/{version}/defaults.go` of Kubernetes 1.36. Documents come in canonical
form (`codec.decode`). What the server decides for itself when it creates an object (uid, status,
addresses of services) is not a default and does not happen here.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

from kubeberth.api.container_requests import summed_requests
from kubeberth.api.custom import structural
from kubeberth.api.scheme import Resource

Document = dict[str, Any]

_FILE_MODE = 0o644
_DEFAULT_SECONDS = {
    "timeoutSeconds": 1,
    "periodSeconds": 10,
    "successThreshold": 1,
    "failureThreshold": 3,
}
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")
# Volume sources that hold files, whose mode then has a default.
_FILE_SOURCES = ("secret", "configMap", "downwardAPI", "projected")
_SESSION_TIMEOUT_SECONDS = 10800
_BALANCED_TYPES = ("NodePort", "LoadBalancer")


def apply_defaults(resource: Resource, document: Document) -> None:
    """Set the defaults of a document, in place. Setting them again changes nothing."""
    if resource.custom is not None:
        structural.set_defaults(document, resource.custom.schema)
    elif set_defaults := _BY_RESOURCE.get(resource.group_resource):
        set_defaults(document)


def default_pod(pod: Document) -> None:
    """Set the defaults of a pod: those of its spec, and those that templates do not get."""
    spec = pod.setdefault("spec", {})
    default_pod_spec(spec)
    spec.setdefault("enableServiceLinks", True)
    if spec["terminationGracePeriodSeconds"] < 0:
        spec["terminationGracePeriodSeconds"] = 1
    for container in _containers(spec, "initContainers", "containers"):
        _default_requests(container.setdefault("resources", {}))
        if spec.get("hostNetwork"):
            _default_host_ports(container)
    if resources := spec.get("resources"):
        _default_pod_level_requests(resources, spec)
    _default_pod_addresses(pod.get("status") or {})


def _default_pod_addresses(status: Document) -> None:
    """Keep the two spellings of a pod's first address in step; the old one rules."""
    addresses = status.get("podIPs") or []
    address = status.get("podIP", "")
    if address and (not addresses or addresses[0].get("ip") != address):
        status["podIPs"] = [{"ip": address}]
    elif addresses:
        status["podIP"] = addresses[0].get("ip", "")


def default_pod_spec(spec: Document) -> None:
    """Set the defaults that the specs of pods and of templates share."""
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("securityContext", {})
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("schedulerName", "default-scheduler")
    # Two spellings of one field; the old one is kept in step.
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    if spec.get("hostNetwork"):
        for container in _containers(spec, "initContainers", "containers"):
            _default_host_ports(container)
    for container in _containers(spec, *_CONTAINER_LISTS):
        _default_container(container)
    for volume in spec.get("volumes") or ():
        _default_volume(volume)


def _containers(spec: Document, *fields: str) -> Iterator[Document]:
    for field in fields:
        yield from spec.get(field) or ()


def _default_container(container: Document) -> None:
    if "imagePullPolicy" not in container:
        container["imagePullPolicy"] = _pull_policy(container.get("image", ""))
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    for port in container.get("ports") or ():
        port.setdefault("protocol", "TCP")
    for variable in container.get("env") or ():
        if reference := (variable.get("valueFrom") or {}).get("fieldRef"):
            reference.setdefault("apiVersion", "v1")
    for field in _PROBES:
        if (probe := container.get(field)) is not None:
            _default_probe(probe)
    for hook in (container.get("lifecycle") or {}).values():
        if isinstance(hook, dict):
            _default_http(hook)


def _pull_policy(image: str) -> str:
    """Return Always for an image that may be another one tomorrow: tagged latest, or not at all."""
    if "@" in image:
        return "IfNotPresent"
    tag = image.rpartition("/")[2].partition(":")[2]
    return "Always" if tag in ("", "latest") else "IfNotPresent"


def _default_probe(probe: Document) -> None:
    for field, seconds in _DEFAULT_SECONDS.items():
        probe.setdefault(field, seconds)
    _default_http(probe)
    if (grpc := probe.get("grpc")) is not None:
        grpc.setdefault("service", "")


def _default_http(holder: Document) -> None:
    if (action := holder.get("httpGet")) is not None:
        action.setdefault("path", "/")
        action.setdefault("scheme", "HTTP")


def _default_requests(resources: Document) -> None:
    """Ask for as much as the limit allows where nothing is asked for."""
    if limits := resources.get("limits"):
        resources["requests"] = {**limits, **(resources.get("requests") or {})}


def _default_host_ports(container: Document) -> None:
    for port in container.get("ports") or ():
        port.setdefault("hostPort", port.get("containerPort", 0))


def _default_pod_level_requests(resources: Document, spec: Document) -> None:
    """Fill in pod-level requests: what the containers ask for together, else the limit."""
    limits = resources.get("limits")
    if not limits:
        return
    requests = dict(resources.get("requests") or {})
    for name, total in summed_requests(spec).items():
        if name in ("cpu", "memory") or name.startswith("hugepages-"):
            requests.setdefault(name, str(total))
    for name, limit in limits.items():
        requests.setdefault(name, limit)
    resources["requests"] = requests


def _default_volume(volume: Document) -> None:
    if not any(isinstance(source, dict) for source in volume.values()):
        volume["emptyDir"] = {}
    for kind in _FILE_SOURCES:
        if (source := volume.get(kind)) is not None:
            source.setdefault("defaultMode", _FILE_MODE)
    if (host_path := volume.get("hostPath")) is not None:
        host_path.setdefault("type", "")
    if (image := volume.get("image")) is not None:
        image.setdefault("pullPolicy", _pull_policy(image.get("reference", "")))
    for item in (volume.get("downwardAPI") or {}).get("items") or ():
        _default_field_reference(item)
    for source in (volume.get("projected") or {}).get("sources") or ():
        if (token := source.get("serviceAccountToken")) is not None:
            token.setdefault("expirationSeconds", 3600)
        for item in (source.get("downwardAPI") or {}).get("items") or ():
            _default_field_reference(item)
    if (ephemeral := volume.get("ephemeral")) is not None:
        template = ephemeral.get("volumeClaimTemplate") or {}
        template.get("spec", {}).setdefault("volumeMode", "Filesystem")


def _default_field_reference(item: Document) -> None:
    if reference := item.get("fieldRef"):
        reference.setdefault("apiVersion", "v1")


def default_template(template: Document) -> None:
    """Set the defaults of a pod template."""
    default_pod_spec(template.setdefault("spec", {}))


def default_deployment(deployment: Document) -> None:
    """Set the defaults of a deployment."""
    spec = deployment.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    strategy = spec.setdefault("strategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    default_template(spec.setdefault("template", {}))


def default_replica_set(replica_set: Document) -> None:
    """Set the defaults of a replica set."""
    spec = replica_set.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    default_template(spec.setdefault("template", {}))


def default_service(service: Document) -> None:
    """Set the defaults of a service."""
    spec = service.setdefault("spec", {})
    kind = spec.setdefault("type", "ClusterIP")
    affinity = spec.setdefault("sessionAffinity", "None")
    if affinity == "ClientIP":
        config = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
        config.setdefault("timeoutSeconds", _SESSION_TIMEOUT_SECONDS)
    for port in spec.get("ports") or ():
        port.setdefault("protocol", "TCP")
        if port.get("targetPort") in (None, 0, ""):
            port["targetPort"] = port.get("port", 0)
    if kind != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if kind in _BALANCED_TYPES:
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if kind == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)


def default_namespace(namespace: Document) -> None:
    """Set the defaults of a namespace: the label that selects it by its name."""
    meta = namespace.setdefault("metadata", {})
    if name := meta.get("name"):
        meta["labels"] = {**(meta.get("labels") or {}), "kubernetes.io/metadata.name": name}
    namespace.setdefault("status", {}).setdefault("phase", "Active")


def default_node(node: Document) -> None:
    """Set the defaults of a node: it can give away all it has."""
    spec = node.setdefault("spec", {})
    spec.pop("configSource", None)  # of a kubelet feature that is gone
    ranges = spec.get("podCIDRs") or []
    # Two spellings of the first range; the old one rules.
    if (cidr := spec.get("podCIDR", "")) and cidr not in ranges[:1]:
        spec["podCIDRs"] = [cidr]
    elif ranges:
        spec["podCIDR"] = ranges[0]
    status = node.setdefault("status", {})
    if "capacity" in status and "allocatable" not in status:
        status["allocatable"] = dict(status["capacity"])


def default_secret(secret: Document) -> None:
    """Set the defaults of a secret, and store what was given as text."""
    secret.setdefault("type", "Opaque")
    if texts := secret.pop("stringData", None):
        data = secret.setdefault("data", {})
        data |= {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}


def default_priority_class(priority_class: Document) -> None:
    """Set the defaults of a priority class."""
    priority_class.setdefault("preemptionPolicy", "PreemptLowerPriority")


def default_stateful_set(stateful_set: Document) -> None:
    """Set the defaults of a stateful set."""
    spec = stateful_set.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    spec.setdefault("podManagementPolicy", "OrderedReady")
    spec.setdefault("revisionHistoryLimit", 10)
    strategy = spec.setdefault("updateStrategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        strategy.setdefault("rollingUpdate", {}).setdefault("partition", 0)
    retention = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
    for moment in ("whenDeleted", "whenScaled"):
        retention.setdefault(moment, "Retain")
    default_template(spec.setdefault("template", {}))


def default_replication_controller(controller: Document) -> None:
    """Set the defaults of a replication controller: it selects the pods that it makes."""
    spec = controller.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    template = spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels")
    if labels:
        meta = controller.setdefault("metadata", {})
        spec["selector"] = spec.get("selector") or dict(labels)
        meta["labels"] = meta.get("labels") or dict(labels)
    if template:
        default_template(template)


def default_volume_claim(claim: Document) -> None:
    """Set the defaults of a claim."""
    claim.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
    claim.setdefault("status", {}).setdefault("phase", "Pending")


def default_persistent_volume(volume: Document) -> None:
    """Set the defaults of a volume."""
    spec = volume.setdefault("spec", {})
    spec.setdefault("volumeMode", "Filesystem")
    spec.setdefault("persistentVolumeReclaimPolicy", "Retain")
    volume.setdefault("status", {}).setdefault("phase", "Pending")


def default_storage_class(storage_class: Document) -> None:
    """Set the defaults of a storage class."""
    storage_class.setdefault("reclaimPolicy", "Delete")
    storage_class.setdefault("volumeBindingMode", "Immediate")


def default_lease(lease: Document) -> None:
    """Leave out what only coordinated leader election has, whose feature gate is off."""
    for field in ("strategy", "preferredHolder"):
        lease.get("spec", {}).pop(field, None)


def default_custom_resource_definition(definition: Document) -> None:
    """Set the names that follow from the kind, and that versions are not converted."""
    spec = definition.setdefault("spec", {})
    names = spec.setdefault("names", {})
    kind = names.get("kind") or ""
    if not names.get("singular"):
        names["singular"] = kind.lower()
    if not names.get("listKind") and kind:
        names["listKind"] = f"{kind}List"
    conversion = spec.setdefault("conversion", {"strategy": "None"})
    service = ((conversion.get("webhook") or {}).get("clientConfig") or {}).get("service")
    if service is not None:
        service.setdefault("port", 443)


_BY_RESOURCE: dict[str, Callable[[Document], None]] = {
    "customresourcedefinitions.apiextensions.k8s.io": default_custom_resource_definition,
    "pods": default_pod,
    "nodes": default_node,
    "replicationcontrollers": default_replication_controller,
    "persistentvolumeclaims": default_volume_claim,
    "persistentvolumes": default_persistent_volume,
    "storageclasses.storage.k8s.io": default_storage_class,
    "namespaces": default_namespace,
    "services": default_service,
    "secrets": default_secret,
    "deployments.apps": default_deployment,
    "replicasets.apps": default_replica_set,
    "statefulsets.apps": default_stateful_set,
    "leases.coordination.k8s.io": default_lease,
    "priorityclasses.scheduling.k8s.io": default_priority_class,
}
