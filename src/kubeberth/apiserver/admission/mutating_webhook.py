"""MutatingAdmissionWebhook: webhooks change objects, one after another.

Matches `plugin/webhook/mutating` of k8s.io/apiserver 1.36.
"""

from __future__ import annotations

from typing import Any, ClassVar

from kubeberth.api import codec, defaults
from kubeberth.api.json_syntax import JSONSyntaxError, parse_json
from kubeberth.api.scheme import Resource
from kubeberth.apiserver import refusals
from kubeberth.apiserver.admission.chain import Attributes, Document, Plugin
from kubeberth.apiserver.admission.registered import Registered
from kubeberth.apiserver.admission.review import JSON_PATCH, Asked, Verdict
from kubeberth.apiserver.admission.webhooks import (
    Desk,
    Webhook,
    WebhookFailedError,
    after_failure,
)
from kubeberth.apiserver.objects import encode
from kubeberth.apiserver.patch.json_patch import JSONPatchError, apply_json_patch
from kubeberth.apiserver.patching import with_plain_entries, without_entries
from kubeberth.apiserver.strategy import put
from kubeberth.errors import BadRequestError


class MutatingAdmissionWebhook(Plugin):
    """Asks the webhooks of MutatingWebhookConfigurations."""

    sees_bodies: ClassVar[bool] = True

    def __init__(self, webhooks: Registered[Webhook], desk: Desk) -> None:
        self._webhooks = webhooks
        self._desk = desk

    async def admit(self, attributes: Attributes) -> None:
        """Let every webhook that is concerned change the object, or refuse it."""
        concerned = self._webhooks.concerned(attributes)
        if not concerned:
            return
        record = attributes.record_of(self)
        # Whoever looks again may have changed the object, too.
        if attributes.is_second_round and record.output != encode(attributes.document):
            record.require()
        for item in concerned:
            webhook = item[0]
            # Who was not asked in the first round is not asked in the second.
            if attributes.is_second_round and webhook.uid not in record.due:
                continue
            asked = await self._desk.asked(attributes, item)
            if asked is None:
                continue
            if await self._is_changed_by(webhook, attributes, asked):
                record.require()
                attributes.wants_second_round = True
            if webhook.is_reinvocable:
                record.reinvocable.add(webhook.uid)
        record.output = encode(attributes.document)

    async def _is_changed_by(self, webhook: Webhook, attributes: Attributes, asked: Asked) -> bool:
        try:
            verdict = await self._desk.verdict(webhook, attributes, asked, may_patch=True)
            return await self._patch(webhook, attributes, asked, verdict)
        except WebhookFailedError as error:
            if refusal := after_failure(webhook, error):
                raise refusal from error
            return False

    async def _patch(
        self, webhook: Webhook, attributes: Attributes, asked: Asked, verdict: Verdict
    ) -> bool:
        """Apply the patch of a webhook; return whether it changed anything."""
        operations = _operations(webhook, verdict.patch)
        if not operations:
            return False
        if asked.document is None:
            raise refusals.internal(
                f'admission webhook "{webhook.name}" attempted to modify the object, which is not '
                "supported for this operation"
            )
        if verdict.patch_type != JSON_PATCH:
            why = f'unsupported patch type "{verdict.patch_type}"'
            raise WebhookFailedError(f'failed calling webhook "{webhook.name}": {why}')
        new = patched(asked, attributes.subresource, operations)
        if without_entries(new) == without_entries(asked.document):
            return False
        before = attributes.document or {}
        document = await self._desk.versions.taken(attributes, asked.resource, new)
        # Who owns which field is not for a webhook to say.
        put(document["metadata"], "managedFields", before["metadata"].get("managedFields"))
        attributes.document = document
        return True


def _operations(webhook: Webhook, patch: bytes) -> list[Any]:
    if not patch:
        return []
    try:
        operations = parse_json(patch)
    except JSONSyntaxError as error:
        why = f"received undecodable patch in webhook response: {error}"
        raise WebhookFailedError(f'failed calling webhook "{webhook.name}": {why}') from error
    if operations is None:
        return []
    if not isinstance(operations, list):
        why = "received undecodable patch in webhook response: json: cannot unmarshal object into "
        why += "Go value of type jsonpatch.Patch"
        raise WebhookFailedError(f'failed calling webhook "{webhook.name}": {why}')
    return operations


def patched(asked: Asked, sub: str, operations: list[Any]) -> Document:
    """Return an object with a JSON patch applied, in canonical form and with its defaults.

    Raises
    ------
    InternalError
        The patch cannot be applied, or what it makes is no such object.
    """
    document = asked.document or {}
    if "managedFields" in (document.get("metadata") or {}):
        document = with_plain_entries(document)
    try:
        changed = apply_json_patch(document, operations)
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
    new.setdefault("metadata", {})
    if codec.kind_of(resource, sub) == codec.kind_of(resource):
        defaults.apply_defaults(resource, new)
    return new
