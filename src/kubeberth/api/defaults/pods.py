"""Defaults of pods and of pod templates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kubeberth.api.container_requests import summed_requests

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
