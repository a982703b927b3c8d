"""PodSecurity: a namespace says by its labels how safe its pods must be.

    Rule 1  `enforce` refuses pods; `warn` tells who writes a pod, or what pods are made from;
            `audit` notes it. A namespace that enforces and does not say what to warn of warns of
            the same.
    Rule 2  A pod is looked at when it is made, and when its images change.
    Rule 3  When a namespace enforces more than before, who does that hears of the pods that would
            not be let in any more.

Matches `k8s.io/pod-security-admission/admission` of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kubeberth.api.pod_security import LEVELS
from kubeberth.api.scheme import NAMESPACES, PODS
from kubeberth.api.validation.field_error import invalid_error
from kubeberth.apiserver.admission.chain import Attributes, Document, Plugin, Reader
from kubeberth.apiserver.admission.pod_security_policy import (
    NOTHING,
    PREFIX,
    Demand,
    listed,
    policy_of,
)
from kubeberth.errors import UsageError

_IGNORED_PARTS = frozenset(
    ("attach", "binding", "bindings", "eviction", "exec", "log", "portforward", "proxy", "status")
)
_TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "podtemplates": ("template",),
    "replicationcontrollers": ("spec", "template"),
    "replicasets.apps": ("spec", "template"),
    "deployments.apps": ("spec", "template"),
    "statefulsets.apps": ("spec", "template"),
    "daemonsets.apps": ("spec", "template"),
    "jobs.batch": ("spec", "template"),
    "cronjobs.batch": ("spec", "jobTemplate", "spec", "template"),
}


class PodSecurity(Plugin):
    """Refuses pods that are not as safe as their namespace demands, and warns of others.

    Parameters
    ----------
    configuration
        The plugin's own: `defaults` for namespaces without labels, and `exemptions`.

    Raises
    ------
    UsageError
        The defaults are none of the levels or versions.
    """

    def __init__(self, reader: Reader, configuration: Mapping[str, Any]) -> None:
        self._reader = reader
        told = {PREFIX + key: value for key, value in (configuration.get("defaults") or {}).items()}
        self._default, errors = policy_of(told, NOTHING)
        if errors:
            raise UsageError(f"PodSecurity: {errors[0]}")
        exempt = configuration.get("exemptions") or {}
        self._namespaces = frozenset(exempt.get("namespaces") or ())
        self._users = frozenset(exempt.get("usernames") or ())
        self._runtime_classes = frozenset(exempt.get("runtimeClasses") or ())

    async def validate(self, attributes: Attributes) -> None:
        """Look at pods, at what they are made from, and at what namespaces demand."""
        if attributes.document is None:
            return
        resource = attributes.resource
        if resource is NAMESPACES:
            self._look_at_namespace(attributes, attributes.document)
        elif resource is PODS:
            self._look_at_pod(attributes, attributes.document)
        elif resource.group_resource in _TEMPLATES and not attributes.subresource:
            template: Any = attributes.document
            for field in _TEMPLATES[resource.group_resource]:
                template = (template or {}).get(field)
            if template:
                self._look_at(attributes, template, enforces=False)

    def _look_at_pod(self, attributes: Attributes, pod: Document) -> None:
        if attributes.subresource in _IGNORED_PARTS:
            return
        old = attributes.old
        if attributes.operation == "CREATE" or old is None or _is_significant(pod, old):
            self._look_at(attributes, pod, enforces=True)

    def _look_at(self, attributes: Attributes, pod: Document, *, enforces: bool) -> None:
        """Refuse, warn and note, as the namespace of a pod or template demands."""
        if attributes.namespace in self._namespaces or attributes.user.name in self._users:
            return
        namespace = self._reader.find(NAMESPACES, "", attributes.namespace)
        labels = ((namespace or {}).get("metadata") or {}).get("labels") or {}
        policy, _ = policy_of(labels, self._default)
        if policy is NOTHING:
            return
        metadata, spec = pod.get("metadata") or {}, pod.get("spec") or {}
        if spec.get("runtimeClassName") in self._runtime_classes:
            return
        if enforces and (why_not := policy.enforce.violation(metadata, spec)):
            raise attributes.forbid(why_not)
        if wrong := policy.audit.findings(metadata, spec):
            text = f'would violate PodSecurity "{policy.audit}": {listed(wrong)}'
            attributes.note(f"{PREFIX}audit-violations", text)
        if wrong := policy.warn.findings(metadata, spec):
            text = f'would violate PodSecurity "{policy.warn}": {listed(wrong)}'
            attributes.warnings.append(text)

    def _look_at_namespace(self, attributes: Attributes, namespace: Document) -> None:
        if attributes.subresource:
            return
        name = namespace["metadata"].get("name", "")
        policy, errors = policy_of(namespace["metadata"].get("labels") or {}, self._default)
        old_labels = ((attributes.old or {}).get("metadata") or {}).get("labels") or {}
        before, known = policy_of(old_labels, self._default)
        if errors and errors != known:
            raise invalid_error("Namespace", name, errors)
        new, old = policy.enforce, before.enforce
        if attributes.old is None or new == old or name in self._namespaces:
            return
        if new.version == old.version and LEVELS.index(new.level) <= LEVELS.index(old.level):
            return
        found = [*self._violating(name, new)]
        if found:
            attributes.warnings.append(
                f'existing pods in namespace "{name}" violate the new PodSecurity enforce level '
                f'"{new}"'
            )
            attributes.warnings.extend(found)

    def _violating(self, namespace: str, demand: Demand) -> Iterator[str]:
        """Yield what pods lack, those that lack the same together."""
        groups: dict[str, list[str]] = {}
        for pod in self._reader.find_all(PODS, namespace):
            if pod["spec"].get("runtimeClassName") in self._runtime_classes:
                continue
            if wrong := demand.findings(pod["metadata"], pod["spec"]):
                reasons = ", ".join(finding.reason for finding in wrong)
                groups.setdefault(reasons, []).append(pod["metadata"]["name"])
        for reasons, (first, *others) in sorted(groups.items(), key=lambda group: group[1]):
            more = f" (and {len(others)} other {'pod' if len(others) == 1 else 'pods'})"
            yield f"{first}{more if others else ''}: {reasons}"


def _is_significant(pod: Document, old: Document) -> bool:
    """Return whether an update of a pod changes what is looked at."""
    told, before = (one["metadata"].get("annotations") for one in (pod, old))
    if pod["spec"] is old["spec"] and told == before:
        return False
    return _looked_at(pod) != _looked_at(old)


def _looked_at(pod: Document) -> tuple[Any, ...]:
    spec = pod["spec"]
    images = [
        [container.get("image") for container in spec.get(field) or ()]
        for field in ("containers", "initContainers")
    ]
    annotations = {
        key: value
        for key, value in (pod["metadata"].get("annotations") or {}).items()
        if "apparmor.security" in key or "seccomp.security" in key
    }
    return images, spec.get("ephemeralContainers") or [], annotations
