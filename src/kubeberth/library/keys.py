"""Keys: which object is meant, by kind, namespace and name."""

from __future__ import annotations

from dataclasses import dataclass

from kubeberth.errors import NoSuchObjectError
from kubeberth.library.documents import to_document
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
            When it is of no kind that a cluster has.
        InvalidObjectError
            When it is no object at all.
        """
        if isinstance(item, str):
            return _parsed(item)
        document = to_document(item)
        kind, meta = document.get("kind"), document.get("metadata")
        known = meta if isinstance(meta, dict) else {}
        resource = RESOURCES.get(kind) if isinstance(kind, str) else None
        if resource is None:
            raise NoSuchObjectError(str(kind), str(known.get("name", "")))
        namespace = (known.get("namespace") or _DEFAULT) if resource.namespaced else ""
        return cls(resource.kind, namespace, str(known.get("name", "")))


def _parsed(text: str) -> Key:
    first, _, rest = text.partition("/")
    kind = _BY_LOWER.get(first.lower())
    if kind is None or not rest:
        raise NoSuchObjectError(first, rest)
    if not RESOURCES[kind].namespaced:
        return Key(kind, "", rest)
    namespace, _, name = rest.rpartition("/")
    return Key(kind, namespace or _DEFAULT, name)
