"""Keys: which object is meant, by kind, namespace and name."""

from __future__ import annotations

from dataclasses import dataclass

from kubeberth.errors import NoSuchObjectError
from kubeberth.library.documents import to_document
from kubeberth.library.intake import resource_of
from kubeberth.library.kinds import RESOURCES

_BY_LOWER = {kind.lower(): kind for kind in RESOURCES}
_DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Key:
    """Names an object; the namespace is empty for what lives in none."""

    kind: str
    namespace: str
    name: str

    @property
    def key(self) -> str:
        """`namespace/name`, or `name`."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @classmethod
    def of(cls, item: object) -> Key:
        """Return the key of an object, or the one that `kind/name` or `kind/namespace/name` says.

        Raises
        ------
        NoSuchObjectError
            When the text names no kind that a cluster has.
        InvalidObjectError
            When the object is none.
        """
        if isinstance(item, str):
            return _parsed(item)
        document = to_document(item)
        resource = resource_of(document)
        meta = document.get("metadata") or {}
        namespace = meta.get("namespace") or _DEFAULT if resource.namespaced else ""
        return cls(resource.kind, namespace, meta.get("name", ""))


def _parsed(text: str) -> Key:
    first, _, rest = text.partition("/")
    kind = _BY_LOWER.get(first.lower())
    if kind is None or not rest:
        raise NoSuchObjectError(first, rest)
    if not RESOURCES[kind].namespaced:
        return Key(kind, "", rest)
    namespace, _, name = rest.rpartition("/")
    return Key(kind, namespace or _DEFAULT, name)
