"""MutatingAdmissionWebhook: webhooks change objects, one after another.

Matches `plugin/webhook/mutating` of k8s.io/apiserver 1.36.
"""

from __future__ import annotations

from typing import Any, ClassVar

from kubeberth.api.json_syntax import JSONSyntaxError, parse_json
from kubeberth.apiserver import refusals
from kubeberth.apiserver.admission.chain import Attributes, Plugin
from kubeberth.apiserver.admission.changing import patched, put_changed
from kubeberth.apiserver.admission.registered import Registered
from kubeberth.apiserver.admission.review import JSON_PATCH, Asked, Verdict
from kubeberth.apiserver.admission.webhooks import (
    Desk,
    Webhook,
    WebhookFailedError,
    after_failure,
)
from kubeberth.apiserver.objects import encode
from kubeberth.apiserver.patch.json_patch import JSONPatchTestError
from kubeberth.apiserver.patching import without_entries


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
        try:
            new = patched(asked, attributes.subresource, operations)
        except JSONPatchTestError as error:
            raise refusals.internal(str(error)) from error
        if without_entries(new) == without_entries(asked.document):
            return False
        await put_changed(self._desk.versions, attributes, asked.resource, new)
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
