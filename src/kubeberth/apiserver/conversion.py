"""Custom objects from one version to another, where a webhook converts them.

Where no webhook does, nothing but the name of the version changes, and that happens elsewhere
(`objects.py`). What is stored stays in the version of its time; whoever reads it in another one
gets it converted, and what was converted is remembered for the next one.

Matches `pkg/apiserver/conversion` of k8s.io/apiextensions-apiserver 1.36.
"""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from kubeberth.api.custom.structural import prune, set_defaults
from kubeberth.api.custom.version import Conversion
from kubeberth.api.scheme import Resource
from kubeberth.api.validation.metadata import validate_annotations, validate_labels
from kubeberth.apiserver.objects import Document, pack, packed, stored_document
from kubeberth.apiserver.storage.store import Entry
from kubeberth.apiserver.webhook_client import WebhookCallError, WebhookClient
from kubeberth.errors import ApiError

GROUP = "apiextensions.k8s.io"
KIND = "ConversionReview"
VERSIONS = ("v1", "v1beta1")
TIMEOUT_S = 30
# Objects in one question, and those that are remembered.
MAX_OBJECTS = 500
MAX_REMEMBERED = 20_000
_KEPT = ("labels", "annotations")


class ConversionError(Exception):
    """A webhook has not converted what it was asked to; the text says why."""


class Conversions:
    """Turns objects of custom resources that have a webhook for it."""

    def __init__(self, client: WebhookClient) -> None:
        self._client = client
        # By key, revision and the rules of the version: other rules, another answer.
        self._remembered: OrderedDict[tuple[str, int, Any], Entry] = OrderedDict()

    async def turned(self, source: Resource, target: Resource, document: Document) -> Document:
        """Return a document of one version in another.

        Raises
        ------
        ApiError
            The webhook has not converted it.
        """
        custom = target.custom
        if source.version == target.version or custom is None:
            return document
        if custom.conversion is None:
            return {**document, "apiVersion": target.api_version}
        [turned] = await self._ask(custom.conversion, target.api_version, [document])
        return turned

    async def value_of(self, resource: Resource, document: Document) -> bytes:
        """Return the value that is stored for a document, in the version in which it is stored."""
        custom = resource.custom
        if custom is None or custom.conversion is None or _is_stored_version(resource):
            return pack(resource, document)
        wanted = f"{resource.group}/{custom.storage_version}"
        [stored] = await self._ask(custom.conversion, wanted, [document])
        return pack(resource, stored)

    def written(self, resource: Resource, document: Document, entry: Entry) -> Entry:
        """Return the entry of a document that was just written, as who wrote it sees it."""
        custom = resource.custom
        if custom is None or custom.conversion is None or _is_stored_version(resource):
            return entry
        return self._remember(resource, entry, document)

    async def entry(self, resource: Resource, entry: Entry) -> Entry:
        """Return an entry as if it were stored in the version of the resource."""
        if resource.custom is None or resource.custom.conversion is None:
            return entry
        [found] = await self.entries(resource, [entry])
        return found

    async def entries(self, resource: Resource, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Return entries as if they were stored in the version of the resource."""
        custom = resource.custom
        if custom is None or custom.conversion is None:
            return entries
        found = [self._known(resource, entry) for entry in entries]
        missing = [index for index, entry in enumerate(found) if entry is None]
        for start in range(0, len(missing), MAX_OBJECTS):
            indexes = missing[start : start + MAX_OBJECTS]
            sources = [_document(custom.conversion, entries[index]) for index in indexes]
            turned = await self._ask(custom.conversion, resource.api_version, sources)
            for index, document in zip(indexes, turned, strict=True):
                found[index] = self._remember(resource, entries[index], document)
        return [entry for entry in found if entry is not None]

    def _known(self, resource: Resource, entry: Entry) -> Entry | None:
        if entry.value.startswith(_head(resource)):
            return entry
        key = (entry.key, entry.revision, resource.custom)
        if key in self._remembered:
            self._remembered.move_to_end(key)
        return self._remembered.get(key)

    def _remember(self, resource: Resource, entry: Entry, document: Document) -> Entry:
        found = Entry(entry.key, packed(document), entry.revision)
        self._remembered[entry.key, entry.revision, resource.custom] = found
        if len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)
        return found

    async def _ask(
        self, conversion: Conversion, wanted: str, documents: Sequence[Document]
    ) -> list[Document]:
        """Have documents converted; each is pruned by the schema of the version that it gets."""
        kind = _kind_of(documents[0])
        uid = str(uuid.uuid4())
        try:
            question = review_of(conversion.review_versions, uid, wanted, documents)
            answer = await self._client.call(conversion.client, question, TIMEOUT_S)
            converted = objects_of(answer, question["apiVersion"], uid)
        except (WebhookCallError, ConversionError) as error:
            raise _failure(f"conversion webhook for {kind} failed: {error}") from error
        if len(converted) != len(documents):
            raise _failure(
                f"conversion webhook for {kind} returned {len(converted)} objects, expected "
                f"{len(documents)}"
            )
        schema = conversion.schemas[wanted.rpartition("/")[2]]
        for index, (before, after) in enumerate(zip(documents, converted, strict=True)):
            where = f" at index {index}" if len(documents) > 1 else ""
            try:
                check(before, after, wanted)
            except ConversionError as error:
                why = f"conversion webhook for {kind} returned invalid object{where}: {error}"
                raise _failure(why) from error
            try:
                after["metadata"] = metadata_of(before, after)
            except ConversionError as error:
                why = f"conversion webhook for {kind} returned invalid metadata{where}: {error}"
                raise _failure(why) from error
            prune(after, schema, [])
        return converted


def _is_stored_version(resource: Resource) -> bool:
    return resource.custom is not None and resource.version == resource.custom.storage_version


def _head(resource: Resource) -> bytes:
    return f'{{"kind":"{resource.kind}","apiVersion":"{resource.api_version}",'.encode()


def _document(conversion: Conversion, entry: Entry) -> Document:
    """Return a stored object in its own version, with the defaults of that."""
    document = stored_document(entry)
    schema = conversion.schemas.get(document["apiVersion"].rpartition("/")[2])
    if schema is not None and schema.has_defaults:
        set_defaults(document, schema)
    return document


def _failure(why: str) -> ApiError:
    return ApiError(why, code=500, reason="")


def _kind_of(document: Mapping[str, Any]) -> str:
    """Return group, version and kind as Go prints them."""
    return f"{_group_version(document)}, Kind={document.get('kind', '')}"


def _group_version(document: Mapping[str, Any]) -> str:
    api_version = str(document.get("apiVersion") or "")
    return api_version if "/" in api_version else f"/{api_version}"


def review_of(
    accepted: Sequence[str], uid: str, wanted: str, documents: Sequence[Document]
) -> Document:
    """Return the question.

    Raises
    ------
    ConversionError
        The webhook takes no version of questions that is known here.
    """
    version = next((version for version in accepted if version in VERSIONS), None)
    if version is None:
        raise ConversionError("no supported conversion review versions")
    return {
        "kind": KIND,
        "apiVersion": f"{GROUP}/{version}",
        "request": {"uid": uid, "desiredAPIVersion": wanted, "objects": documents},
        "response": {"uid": "", "convertedObjects": None, "result": {"metadata": {}}},
    }


def objects_of(answer: Document, api_version: str, uid: str) -> list[Document]:
    """Return the objects in an answer.

    Raises
    ------
    ConversionError
        It is no answer to this question, or says no.
    """
    response = answer.get("response")
    is_v1 = api_version == f"{GROUP}/v1"
    if is_v1 and (answer.get("apiVersion"), answer.get("kind")) != (api_version, KIND):
        found = _kind_of(answer)
        raise ConversionError(f"expected webhook response of {GROUP}/v1, Kind={KIND}, got {found}")
    if not isinstance(response, dict):
        raise ConversionError("no response provided")
    if is_v1 and response.get("uid") != uid:
        found = str(response.get("uid") or "")
        raise ConversionError(f'expected response.uid="{uid}", got "{found}"')
    result = response.get("result")
    status = result if isinstance(result, dict) else {}
    if status.get("status") != "Success":
        why = f"response.result.status was '{status.get('status') or ''}', not 'Success'"
        raise ConversionError(str(status.get("message") or why))
    objects = response.get("convertedObjects") or []
    if not isinstance(objects, list) or not all(isinstance(item, dict) for item in objects):
        raise ConversionError("json: cannot unmarshal into Go struct field of type []object")
    return objects


def check(before: Document, after: Document, wanted: str) -> None:
    """Refuse another object, or one of another version than was asked for.

    Raises
    ------
    ConversionError
        It is.
    """
    if after.get("apiVersion") != wanted:
        versions = f"(expected {wanted}, received {_group_version(after)})"
        raise ConversionError(f"invalid groupVersion {versions}")
    if after.get("kind") != before.get("kind"):
        kinds = f"(expected {before.get('kind')}, received {after.get('kind', '')})"
        raise ConversionError(f"invalid kind {kinds}")
    metadata = after.get("metadata")
    if not isinstance(metadata, dict):
        raise ConversionError("missing metadata in converted object")
    for name, title in (("name", "name"), ("namespace", "namespace"), ("uid", "UID")):
        mine, theirs = before["metadata"].get(name, ""), metadata.get(name, "")
        if mine != theirs:
            raise ConversionError(f"must have the same {title}: {mine} != {theirs}")


def metadata_of(before: Document, after: Document) -> Document:
    """Return the metadata of a converted object: as before, but for labels and annotations.

    Raises
    ------
    ConversionError
        These are not what they must be.
    """
    metadata = dict(before["metadata"])
    for field in _KEPT:
        found = after["metadata"].get(field)
        metadata.pop(field, None)
        if found is None:
            continue
        if not isinstance(found, dict):
            raise ConversionError(f"invalid metadata.{field} in converted object")
        for name, value in found.items():
            if not isinstance(value, str):
                raise ConversionError(
                    f"metadata.{field}[{name}] must be a string, but is not in converted object"
                )
        validate = validate_labels if field == "labels" else validate_annotations
        if errors := validate(found, f"metadata.{field}"):
            texts = [str(error) for error in errors]
            raise ConversionError(texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]")
        metadata[field] = found
    return metadata
