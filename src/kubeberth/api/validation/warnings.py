"""What is allowed but hardly meant: texts for the `Warning` headers that kubectl prints.

Matches `pkg/api/pod/warnings.go`, `pkg/api/node/util.go` and `pkg/api/service/warnings.go` of
Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kubeberth.api import names
from kubeberth.api.custom.rules import uncheckable_rules
from kubeberth.api.node_labels import RENAMED
from kubeberth.api.quantity import parse_quantity
from kubeberth.api.scheme import Resource
from kubeberth.api.validation.faultless import Faultless
from kubeberth.api.validation.field_error import shown
from kubeberth.api.validation.metadata import label_value_errors

Document = Mapping[str, Any]

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_NULL_SELECTOR = "a null labelSelector results in matching no pod"
_CRITICAL_POD = "scheduler.alpha.kubernetes.io/critical-pod"
# Resources that are counted in bytes.
_BYTE_RESOURCES = ("memory", "ephemeral-storage")


def warnings_for(resource: Resource, new: Document, old: Document | None = None) -> list[str]:
    """Return what to warn of when an object is created or changed.

    Parameters
    ----------
    old
        The object before the change; None at creation. An unchanged spec gives no warning again.
    """
    find = _FINDERS.get(resource.rules_key)
    if find is None or (old is not None and _same_but_metadata(new, old)):
        return []
    return list(find(new, old is None))


def _same_but_metadata(new: Document, old: Document) -> bool:
    """Return whether a change concerns metadata and status alone."""
    apart = ("metadata", "status")
    return all(new.get(field) == old.get(field) for field in {*new, *old} if field not in apart)


def _of_pod(pod: Document, is_new: bool) -> Iterator[str]:
    if not is_new:
        return  # who changes pods is hardly ever a person
    name = pod["metadata"].get("name", "")
    details = names.dns1123_label_errors(name) if name else []
    if details:
        yield (
            "metadata.name: this is used in the Pod's hostname, which can result in surprising "
            f"behavior; a DNS label is recommended: [{', '.join(details)}]"
        )
    yield from _of_pod_spec(pod.get("spec") or {}, _is_critical(pod["metadata"]), "")


def _of_template(workload: Document, is_new: bool) -> Iterator[str]:
    yield from _of_template_at((workload.get("spec") or {}).get("template"), "spec.template.")


def _of_job(job: Document, is_new: bool) -> Iterator[str]:
    yield from _of_job_name(job, is_new)
    yield from _of_template(job, is_new)


def _of_cron_job(cron_job: Document, is_new: bool) -> Iterator[str]:
    yield from _of_job_name(cron_job, is_new)
    job = ((cron_job.get("spec") or {}).get("jobTemplate") or {}).get("spec") or {}
    yield from _of_template_at(job.get("template"), "spec.jobTemplate.spec.template.")


def _of_job_name(job: Document, is_new: bool) -> Iterator[str]:
    name = job["metadata"].get("name", "")
    if is_new and name and (details := names.dns1123_label_errors(name)):
        yield (
            "metadata.name: this is used in Pod names and hostnames, which can result in "
            f"surprising behavior; a DNS label is recommended: [{', '.join(details)}]"
        )


def _of_template_at(template: Document | None, prefix: str) -> Iterator[str]:
    found = template or {}
    yield from _of_pod_spec(
        found.get("spec") or {}, _is_critical(found.get("metadata") or {}), prefix
    )


def _is_critical(meta: Document) -> bool:
    return _CRITICAL_POD in (meta.get("annotations") or {})


def _of_service(service: Document, is_new: bool) -> Iterator[str]:
    spec = service.get("spec") or {}
    if spec.get("externalName") and spec.get("type") != "ExternalName":
        yield 'spec.externalName is ignored when spec.type is not "ExternalName"'


def _of_runtime_class(runtime_class: Document, is_new: bool) -> Iterator[str]:
    scheduling = runtime_class.get("scheduling") or {}
    for key in sorted(scheduling.get("nodeSelector") or {}):
        if message := _renamed(key):
            yield f"scheduling.nodeSelector: {message}"


def _of_volume(volume: Document, is_new: bool) -> Iterator[str]:
    required = ((volume.get("spec") or {}).get("nodeAffinity") or {}).get("required") or {}
    for index, term in enumerate(required.get("nodeSelectorTerms") or ()):
        yield from _of_node_term(term, f"spec.nodeAffinity.required.nodeSelectorTerms[{index}]")


def _of_storage_class(storage_class: Document, is_new: bool) -> Iterator[str]:
    for index, term in enumerate(storage_class.get("allowedTopologies") or ()):
        for position, requirement in enumerate(term.get("matchLabelExpressions") or ()):
            if message := _renamed(requirement.get("key", "")):
                path = f"allowedTopologies[{index}].matchLabelExpressions[{position}].key"
                yield f"{path}: {message}"


def _of_definition(definition: Document, is_new: bool) -> Iterator[str]:
    """Tell which validation rules are not going to be checked."""
    for index, version in enumerate((definition.get("spec") or {}).get("versions") or ()):
        schema = (version.get("schema") or {}).get("openAPIV3Schema") or {}
        path = f"spec.versions[{index}].schema.openAPIV3Schema"
        for where, why in uncheckable_rules(schema, path):
            yield f"{where}: this rule is not checked: {why}"


_FINDERS: dict[str, Callable[[Document, bool], Iterator[str]]] = {
    "customresourcedefinitions.apiextensions.k8s.io": _of_definition,
    "pods": _of_pod,
    "services": _of_service,
    "deployments.apps": _of_template,
    "replicasets.apps": _of_template,
    "replicationcontrollers": _of_template,
    "persistentvolumes": _of_volume,
    "runtimeclasses.node.k8s.io": _of_runtime_class,
    "storageclasses.storage.k8s.io": _of_storage_class,
    "statefulsets.apps": _of_template,
    "daemonsets.apps": _of_template,
    "jobs.batch": _of_job,
    "cronjobs.batch": _of_cron_job,
}


def _of_spec(spec: Document, is_critical: bool, prefix: str) -> Iterator[str]:
    """Yield what to warn of in a pod spec; `prefix` stands before `spec` and `metadata`."""
    path = f"{prefix}spec"
    for key in sorted(spec.get("nodeSelector") or {}):
        if message := _renamed(key):
            yield f"{path}.nodeSelector[{key}]: {message}"
    affinity = spec.get("affinity") or {}
    yield from _of_node_affinity(
        affinity.get("nodeAffinity") or {}, f"{path}.affinity.nodeAffinity"
    )
    for index, constraint in enumerate(spec.get("topologySpreadConstraints") or ()):
        here = f"{path}.topologySpreadConstraints[{index}]"
        key = constraint.get("topologyKey", "")
        if message := _renamed(key):
            yield f"{here}.topologyKey: {key} is {message}"
        if constraint.get("labelSelector") is None:
            yield f"{here}.labelSelector: {_NULL_SELECTOR}"
    if is_critical:
        yield (
            f"{prefix}metadata.annotations[{_CRITICAL_POD}]: non-functional in v1.16+; use the "
            '"priorityClassName" field instead'
        )
    for index, secret in enumerate(spec.get("imagePullSecrets") or ()):
        if not secret.get("name"):
            yield f'{path}.imagePullSecrets[{index}].name: invalid empty name ""'
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or ()):
            yield from _of_container(container, f"{path}.{field}[{index}]")
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        yield (
            f"{path}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and "
            "will be treated as 1"
        )
    for field in ("podAffinity", "podAntiAffinity"):
        yield from _of_pod_affinity(affinity.get(field) or {}, f"{path}.affinity.{field}")


_of_pod_spec = Faultless(_of_spec)


def _renamed(label: str) -> str:
    """Return what to say of a node label that has a new name."""
    if label not in RENAMED:
        return ""
    version, successor = RENAMED[label]
    return f'deprecated since v{version}; use "{successor}" instead'


def _of_node_affinity(affinity: Document, path: str) -> Iterator[str]:
    required = (affinity.get(_REQUIRED) or {}).get("nodeSelectorTerms") or ()
    for index, term in enumerate(required):
        yield from _of_node_term(term, f"{path}.{_REQUIRED}.nodeSelectorTerms[{index}]")
    for index, preferred in enumerate(affinity.get(_PREFERRED) or ()):
        here = f"{path}.{_PREFERRED}[{index}].preference"
        term = preferred.get("preference") or {}
        yield from _of_node_term(term, here)
        yield from _of_values(term, here)


def _of_node_term(term: Document, path: str) -> Iterator[str]:
    for index, requirement in enumerate(term.get("matchExpressions") or ()):
        key = requirement.get("key", "")
        if message := _renamed(key):
            yield f"{path}.matchExpressions[{index}].key: {key} is {message}"


def _of_values(term: Document, path: str) -> Iterator[str]:
    """Yield the values of a preferred term that no label can have; validation lets them pass."""
    for index, requirement in enumerate(term.get("matchExpressions") or ()):
        for position, value in enumerate(requirement.get("values") or ()):
            if details := label_value_errors(value):
                here = f"{path}.matchExpressions[{index}].values[{position}]"
                yield f"{here}: {value} is invalid, {details[0]}"


def _of_pod_affinity(affinity: Document, path: str) -> Iterator[str]:
    for index, term in enumerate(affinity.get(_REQUIRED) or ()):
        if term.get("labelSelector") is None:
            yield f"{path}.{_REQUIRED}[{index}].labelSelector: {_NULL_SELECTOR}"
    for index, weighted in enumerate(affinity.get(_PREFERRED) or ()):
        if (weighted.get("podAffinityTerm") or {}).get("labelSelector") is None:
            here = f"{path}.{_PREFERRED}[{index}].podAffinityTerm"
            yield f"{here}.labelSelector: {_NULL_SELECTOR}"


def _of_container(container: Document, path: str) -> Iterator[str]:
    resources = container.get("resources") or {}
    for bound in ("limits", "requests"):
        for name in _BYTE_RESOURCES:
            amount = (resources.get(bound) or {}).get(name)
            if amount is not None and parse_quantity(amount).milli() % 1000:
                yield (
                    f"{path}.resources.{bound}[{name}]: fractional byte value {shown(amount)} is "
                    "invalid, must be an integer"
                )
    yield from _of_ports(container.get("ports") or (), f"{path}.ports")
    seen: set[str] = set()
    for index, variable in enumerate(container.get("env") or ()):
        name = variable.get("name", "")
        if name in seen:
            yield (
                f"{path}.env[{index}]: hides previous definition of {shown(name)}, which may be "
                "dropped when using apply"
            )
        seen.add(name)


def _of_ports(ports: Any, path: str) -> Iterator[str]:
    first: dict[tuple[Any, ...], int] = {}
    for index, port in enumerate(ports):
        same = tuple(port.get(f) for f in ("containerPort", "protocol", "hostPort", "hostIP"))
        if same in first:
            yield f"{path}[{index}]: duplicate port definition with {path}[{first[same]}]"
        first.setdefault(same, index)
