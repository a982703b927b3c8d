"""Subject: an object of a manifest, and Workload: the pods that it makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from kubeberth.api.schema import has_kind
from kubeberth.api.scheme import BY_KIND, PODS
from kubeberth.library.stored import SYSTEM_CLASSES, Stored, to_stored, with_some_name
from kubeberth.lint.field import Field, Path

Document = Mapping[str, Any]

_TEMPLATE: Path = ("spec", "template")
_JOB_TEMPLATE: Path = ("spec", "jobTemplate", "spec", "template")
# What controllers label their pods with, whatever the template says.
_OWN_LABELS = {
    "Deployment": ("pod-template-hash",),
    "StatefulSet": (
        "controller-revision-hash",
        "statefulset.kubernetes.io/pod-name",
        "apps.kubernetes.io/pod-index",
    ),
    "DaemonSet": ("controller-revision-hash", "pod-template-generation"),
    "Job": ("batch.kubernetes.io/job-name", "batch.kubernetes.io/controller-uid", "job-name"),
    "CronJob": ("batch.kubernetes.io/job-name", "batch.kubernetes.io/controller-uid", "job-name"),
}


@dataclass(frozen=True, eq=False)
class Subject:
    """An object, and where it was written.

    Parameters
    ----------
    file, document_line
        The text, and the line in which the document begins that the object is in.
    prefix
        Where in the document it is: `("items", 2)` of a list.
    default_namespace
        Where it goes if it names no namespace.
    """

    root: Field
    file: str = ""
    document_line: int = 1
    prefix: Path = ()
    default_namespace: str = "default"

    @cached_property
    def kind(self) -> str:
        """Its kind."""
        return self.root.at("kind").text

    @property
    def api_version(self) -> str:
        """Its group and version."""
        return self.root.at("apiVersion").text

    @property
    def name(self) -> str:
        """Its name, or how it begins."""
        metadata = self.root.at("metadata")
        return metadata.at("name").text or metadata.at("generateName").text

    @cached_property
    def namespace(self) -> str:
        """Its namespace, or where it goes if it says none."""
        return self.root.at("metadata", "namespace").text or self.default_namespace

    @property
    def is_controlled(self) -> bool:
        """Whether a controller has made it, so that it cannot be changed for long."""
        owners = self.root.each("metadata", "ownerReferences")
        return any(owner.at("controller").value is True for owner in owners)

    @property
    def shown(self) -> str:
        """As messages name it."""
        return f"{self.kind} {self.name}".rstrip()

    @cached_property
    def stored(self) -> Stored | None:
        """What an API server would store, or why not; None of kinds that are not built in."""
        resource = BY_KIND.get((self.api_version, self.kind))
        if resource is None or not has_kind(self.api_version, self.kind):
            return None
        classes = SYSTEM_CLASSES
        if resource is PODS:
            # Whether there is such a class is another rule's business.
            name = self.root.at("spec", "priorityClassName").text
            known = {str(entry["metadata"]["name"]) for entry in SYSTEM_CLASSES}
            if name and name not in known:
                classes = (*SYSTEM_CLASSES, {"metadata": {"name": name}, "value": 0})
        return to_stored(resource, with_some_name(self.root.value), classes)

    @cached_property
    def workload(self) -> Workload | None:
        """The pods that it makes; None when it makes none."""
        template = _template(self)
        if not isinstance(template.at("spec").value, Mapping):
            return None
        return Workload(self, template)


def _template(subject: Subject) -> Field:
    if subject.kind == "Pod":
        return subject.root
    if subject.kind == "PodTemplate":
        return subject.root.at("template")
    path = _JOB_TEMPLATE if subject.kind == "CronJob" else _TEMPLATE
    return subject.root.at(*map(str, path))


@dataclass(frozen=True, slots=True)
class Workload:
    """Pods that are alike, and the object that makes them: itself, if it is a pod."""

    subject: Subject
    template: Field

    @property
    def kind(self) -> str:
        """The object's kind."""
        return self.subject.kind

    @property
    def namespace(self) -> str:
        """Where the pods are."""
        return self.subject.namespace

    @property
    def spec(self) -> Field:
        """The pods' spec."""
        return self.template.at("spec")

    @property
    def labels(self) -> dict[str, str]:
        """The pods' labels, as the template says."""
        return self.template.at("metadata", "labels").texts

    @property
    def added_labels(self) -> tuple[str, ...]:
        """Labels that the controller gives its pods besides."""
        return _OWN_LABELS.get(self.kind, ())

    @property
    def is_template(self) -> bool:
        """Whether pods are made from it, rather than it being one."""
        return self.kind != "Pod"

    @property
    def is_daemon_set(self) -> bool:
        """Whether there is a pod on every node that fits."""
        return self.kind == "DaemonSet"

    @property
    def replicas(self) -> int | None:
        """How many pods there are at a time; None when that depends on the nodes."""
        if self.is_daemon_set:
            return None
        if self.kind in ("Job", "CronJob"):
            return self._parallelism()
        wanted = self.subject.root.at("spec", "replicas").number
        return 1 if wanted is None or not self.is_template else wanted

    @property
    def replicas_field(self) -> Field:
        """Where the number stands."""
        if self.kind in ("Job", "CronJob"):
            return Field(None, (*self.template.path[:-1], "parallelism"))
        return self.subject.root.at("spec", "replicas")

    def _parallelism(self) -> int:
        spec = self.subject.root.at(*map(str, self.template.path[:-1]))
        parallelism = spec.at("parallelism").number
        completions = spec.at("completions").number
        if parallelism is None:
            return 1
        return parallelism if completions is None else min(parallelism, completions)
