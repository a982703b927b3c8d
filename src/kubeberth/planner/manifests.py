"""Manifests as people have them: which objects they hold, and where each field stands.

Sources are files, folders, patterns such as `deploy/*.yaml`, and streams.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from kubeberth.api.scheme import BY_KIND, Resource
from kubeberth.errors import InvalidObjectError, ManifestError
from kubeberth.library.field_lines import FieldLines, field_path
from kubeberth.library.machines import is_machine
from kubeberth.library.manifests import MAX_BYTES, Source, expanded, read_texts
from kubeberth.library.parsing import Manifest, objects_of
from kubeberth.library.stored import to_stored, with_some_name
from kubeberth.planner.kinds import TYPES

# What must be there before the objects that need it.
_FIRST = (
    "Namespace",
    "RuntimeClass",
    "LimitRange",
    "ResourceQuota",
    "PriorityClass",
    "StorageClass",
    "PersistentVolume",
    "CSINode",
    "Node",
)


# Groups whose every kind is known here; others with such a name are of somebody's own resources, as
# those of the Gateway API are.
_BUILT_IN_GROUPS = frozenset(resource.group for resource in BY_KIND.values())

# Charts have objects that are made only then; of these, installing and upgrading makes some.
_HOOK = "helm.sh/hook"
_MADE_BY_HELM = frozenset(
    ("pre-install", "post-install", "pre-upgrade", "post-upgrade", "crd-install")
)

MAX_SHOWN_FAULTS = 10


@dataclass(frozen=True, slots=True)
class Wanted:
    """An object that is to be in the cluster."""

    resource: Resource
    document: dict[str, Any]
    manifest: Manifest
    text: str | bytes
    file: str

    def blame(self, error: InvalidObjectError) -> InvalidObjectError:
        """Return an error of this object, with the line of the field that is at fault."""
        return error.at(self._place(error.field, FieldLines(self.text)))

    def blame_each(self, error: InvalidObjectError) -> Iterator[InvalidObjectError]:
        """Yield an error for each of the first faults of this object; the last counts the rest."""
        lines, identity = FieldLines(self.text), (error.kind, error.namespace, error.name)
        for index, fault in enumerate(error.faults[:MAX_SHOWN_FAULTS], start=1):
            faults = error.faults[index - 1 :] if index == MAX_SHOWN_FAULTS else (fault,)
            yield InvalidObjectError(*identity, faults, self._place(fault[0], lines))

    def _place(self, field: str, lines: FieldLines) -> str:
        path = (*self.manifest.path, *field_path(field))
        return f"{self.file}:{lines.line(self.manifest.line, path)}"


@dataclass(frozen=True, slots=True)
class Reading:
    """What some sources hold.

    Parameters
    ----------
    wanted
        In the order in which they are best taken in.
    passed_over
        How many objects of which kinds no pod is placed by.
    left_out
        Objects of a chart that are not made when it is installed, and when they are.
    """

    wanted: tuple[Wanted, ...] = ()
    passed_over: Counter[str] = field(default_factory=Counter)
    left_out: tuple[str, ...] = ()


def read(sources: Sequence[Source], namespace: str = "default") -> Reading:
    """Read manifests; an object without a namespace goes into the given one.

    Raises
    ------
    ManifestError, OSError
        When something cannot be read, is no manifest, or is too large.
    InvalidObjectError
        An object that is passed over would be refused.
    """
    wanted: list[Wanted] = []
    passed_over: Counter[str] = Counter()
    left_out: list[str] = []
    for file, text in _texts(sources):
        for manifest in objects_of(text, file):
            resource = _resource_of(manifest)
            if resource is None:
                document = manifest.document
                passed_over[f"{document['apiVersion']} {document['kind']}"] += 1
                continue
            document = _placed_in(manifest.document, namespace if resource.namespaced else "")
            found = Wanted(resource, document, manifest, text, file)
            is_shapeless = not isinstance(document.get("metadata"), dict | None)
            if hooks := _other_hooks(document):
                _check(found)
                name = document["metadata"].get("name", "")
                left_out.append(f"{resource.kind}/{name} ({', '.join(hooks)})")
            elif resource in TYPES and not is_shapeless:
                wanted.append(found)
            else:
                _check(found)
                passed_over[f"{resource.api_version} {resource.kind}"] += 1
    return Reading(tuple(sorted(wanted, key=_rank)), passed_over, tuple(left_out))


def _texts(sources: Iterable[Source]) -> Iterator[tuple[str, str | bytes]]:
    for source in sources:
        for single in expanded(source):
            yield from read_texts(single, MAX_BYTES)


def _resource_of(manifest: Manifest) -> Resource | None:
    """Return the resource of an object, None when it is one of the user's own."""
    document, where = manifest.document, manifest.source
    kind, api_version = document.get("kind"), document.get("apiVersion")
    for name, value in (("apiVersion", api_version), ("kind", kind)):
        if not isinstance(value, str) or not value:
            raise ManifestError(
                f"{where}: an object must have apiVersion and kind ({name} not set)"
            )
    resource = BY_KIND.get((str(api_version), str(kind)))
    if resource is not None and resource.stored_as is None:
        return resource
    group = str(api_version).rpartition("/")[0]
    if is_machine(document):
        raise ManifestError(
            f"{where}: a {kind} says what the nodes of a cluster are made of: "
            "it goes to --cluster, with them"
        )
    if "." not in group or group in _BUILT_IN_GROUPS or resource is not None:
        raise ManifestError(f'{where}: no matches for kind "{kind}" in version "{api_version}"')
    return None


def _other_hooks(document: dict[str, Any]) -> list[str]:
    """Return when Helm makes an object, if that is only when it does not install or upgrade."""
    meta = document.get("metadata")
    annotations = meta.get("annotations") if isinstance(meta, dict) else None
    said = annotations.get(_HOOK) if isinstance(annotations, dict) else None
    hooks = [part.strip() for part in said.split(",")] if isinstance(said, str) else []
    return hooks if _MADE_BY_HELM.isdisjoint(hooks) else []


def _placed_in(document: dict[str, Any], namespace: str) -> dict[str, Any]:
    meta = document.get("metadata")
    if not namespace or not isinstance(meta, dict | None) or (meta or {}).get("namespace"):
        return document
    return {**document, "metadata": {**(meta or {}), "namespace": namespace}}


def _check(wanted: Wanted) -> None:
    """Refuse what an API server would, though no pod is placed by it."""
    meta = wanted.document.get("metadata")
    given = meta if isinstance(meta, dict) else {}
    stored = to_stored(wanted.resource, with_some_name(wanted.document))
    faults = [*((path, "unknown field") for path in stored.unknown_fields), *stored.faults]
    if faults:
        namespace, name = str(given.get("namespace") or ""), str(given.get("name") or "")
        kind = wanted.resource.kind
        raise wanted.blame(InvalidObjectError(kind, namespace, name, faults))


def _rank(wanted: Wanted) -> int:
    kind = wanted.resource.kind
    return _FIRST.index(kind) if kind in _FIRST else len(_FIRST)
