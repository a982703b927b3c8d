"""Objects that somebody from outside has changed: canonical again, and back in their place."""

from __future__ import annotations

from typing import Any

from kubeberth.api import codec, defaults
from kubeberth.api.scheme import Resource
from kubeberth.apiserver import refusals
from kubeberth.apiserver.admission.chain import Attributes, Document
from kubeberth.apiserver.admission.review import Asked
from kubeberth.apiserver.admission.versions import Versions
from kubeberth.apiserver.patch.json_patch import (
    JSONPatchError,
    JSONPatchTestError,
    apply_json_patch,
)
from kubeberth.apiserver.patching import with_plain_entries
from kubeberth.apiserver.strategy import put
from kubeberth.errors import BadRequestError


async def put_changed(
    versions: Versions, attributes: Attributes, resource: Resource, new: Document
) -> None:
    """Make a changed object that of a write.

    Parameters
    ----------
    resource
        In which version it was changed.
    """
    before = attributes.document or {}
    document = await versions.taken(attributes, resource, new)
    # Who owns which field is not for others to say.
    owners = (before.get("metadata") or {}).get("managedFields")
    if "metadata" in document:
        put(document["metadata"], "managedFields", owners)
    attributes.document = document


def patched(asked: Asked, sub: str, operations: list[Any]) -> Document:
    """Return an object with a JSON patch applied, in canonical form and with its defaults.

    Raises
    ------
    InternalError
        The patch cannot be applied, or what it makes is no such object.
    JSONPatchTestError
        It is meant for another object.
    """
    document = asked.document or {}
    if "managedFields" in (document.get("metadata") or {}):
        document = with_plain_entries(document)
    try:
        changed = apply_json_patch(document, operations)
    except JSONPatchTestError:
        raise
    except JSONPatchError as error:
        raise refusals.internal(str(error)) from error
    return decoded(asked.resource, sub, changed)


def decoded(resource: Resource, sub: str, document: Any) -> Document:
    """Return a changed object in canonical form and with its defaults.

    Raises
    ------
    InternalError
        It is no such object.
    """
    if not isinstance(document, dict):
        raise refusals.internal("the patched document is not an object")
    try:
        new = codec.decode_document(document, resource, sub).document
    except BadRequestError as error:
        why = error.message.partition(" cannot be handled as a ")[2].partition(": ")[2]
        raise refusals.internal(why or error.message) from error
    if codec.kind_of(resource, sub) == codec.kind_of(resource):
        new.setdefault("metadata", {})
        defaults.apply_defaults(resource, new)
    return new
