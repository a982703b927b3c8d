"""Where the placement of pods depends on labels that a kubelet may set on its own Node.

A node that was broken into can give itself such a label, and so draw pods to itself. Which labels
these are is the table of `node_labels`, which NodeRestriction goes by as well.
Rule: https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#node-isolation-restriction
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kubeberth.api.node_labels import PROTECTED, is_open_to_kubelet

Path = tuple[str | int, ...]
Document = Mapping[str, Any]

# Of namespaces, as PodNodeSelector reads it: `a=b,c=d` for all pods.
NODE_SELECTOR_ANNOTATION = "scheduler.alpha.kubernetes.io/node-selector"
_TEMPLATE: Path = ("spec", "template", "spec")
# Where kinds have their pod's spec; all others have it where workloads do.
_POD_SPECS: dict[str, Path] = {
    "Pod": ("spec",),
    "PodTemplate": ("template", "spec"),
    "CronJob": ("spec", "jobTemplate", *_TEMPLATE),
}
_AFFINITY: Path = ("affinity", "nodeAffinity")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


class ShapeError(ValueError):
    """Something that should be a mapping, or a list, is not; the text says where."""


@dataclass(frozen=True, slots=True)
class Use:
    """A place where a label decides where pods go.

    Parameters
    ----------
    path
        The field of the object in which the label's key stands.
    is_binding
        Whether pods go nowhere else, which is how isolation is asked for; otherwise it is a wish.
    """

    path: Path
    key: str
    is_binding: bool = True

    @property
    def severity(self) -> Literal["warning", "info"]:
        """How bad it is when the label can be forged."""
        return "warning" if self.is_binding else "info"


def forgeable_uses(document: Document) -> list[Use]:
    """Return where the placement of an object's pods depends on what a kubelet may set.

    Raises
    ------
    ShapeError
        The object is malformed on the way there.
    """
    return [use for use in label_uses(document) if is_open_to_kubelet(use.key)]


def label_uses(document: Document) -> Iterator[Use]:
    """Yield every label of nodes that the placement of an object's pods depends on."""
    kind = document.get("kind", "")
    if kind == "RuntimeClass":
        yield from _of_selector(document, ("scheduling", "nodeSelector"))
    elif kind == "Namespace":
        path: Path = ("metadata", "annotations", NODE_SELECTOR_ANNOTATION)
        text = _at(document, path[:-1]).get(NODE_SELECTOR_ANNOTATION) or ""
        for part in str(text).split(",") if text else ():
            yield Use(path, part.partition("=")[0].strip())
    else:
        yield from _of_pod(document, _POD_SPECS.get(kind, _TEMPLATE))


def protected_key(key: str) -> str:
    """Return a label to use instead, which no kubelet may set."""
    domain, slash, name = key.rpartition("/")
    is_own = slash and not f".{domain}".endswith((".kubernetes.io", ".k8s.io"))
    return f"{domain}.{PROTECTED}/{name}" if is_own else f"{PROTECTED}/{name}"


def shown_path(path: Path) -> str:
    """Return a path as messages name fields."""
    shown = ""
    for step in path:
        if isinstance(step, int) or "." in step or "/" in step:
            shown += f"[{step}]"
        else:
            shown += f".{step}" if shown else step
    return shown


def _of_pod(document: Document, spec: Path) -> Iterator[Use]:
    yield from _of_selector(document, (*spec, "nodeSelector"))
    required: Path = (*spec, *_AFFINITY, _REQUIRED, "nodeSelectorTerms")
    for index, term in _items(document, required):
        yield from _of_term(term, (*required, index), is_binding=True)
    preferred: Path = (*spec, *_AFFINITY, _PREFERRED)
    for index, weighted in _items(document, preferred):
        path: Path = (*preferred, index, "preference")
        yield from _of_term(_at(weighted, ("preference",)), path, is_binding=False)


def _of_selector(document: Document, path: Path) -> Iterator[Use]:
    for key in _at(document, path):
        yield Use((*path, key), key)


def _of_term(term: Document, path: Path, *, is_binding: bool) -> Iterator[Use]:
    for index, expression in _items(term, ("matchExpressions",)):
        where: Path = (*path, "matchExpressions", index, "key")
        yield Use(where, str(expression.get("key") or ""), is_binding)


def _at(document: Document, path: Path) -> Document:
    """Return the mapping at a path; an empty one where there is none."""
    found: Any = document
    for depth in range(len(path) + 1):
        if found is None:
            return {}
        if not isinstance(found, Mapping):
            raise ShapeError(f"{shown_path(path[:depth])}: must be a mapping")
        if depth < len(path):
            found = found.get(str(path[depth]))
    return found  # type: ignore[no-any-return]


def _items(document: Document, path: Path) -> Iterator[tuple[int, Document]]:
    """Yield the mappings of the list at a path, with their places."""
    found = _at(document, path[:-1]).get(str(path[-1])) or ()
    if not isinstance(found, list | tuple):
        raise ShapeError(f"{shown_path(path)}: must be a list")
    for index, item in enumerate(found):
        if not isinstance(item, Mapping):
            raise ShapeError(f"{shown_path((*path, index))}: must be a mapping")
        yield index, item
