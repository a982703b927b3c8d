"""ValidatingAdmissionWebhook: webhooks refuse objects, all asked at the same time.

Matches `plugin/webhook/validating` of k8s.io/apiserver 1.36.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

from kubeberth.apiserver.admission.chain import Attributes, Plugin
from kubeberth.apiserver.admission.registered import Registered
from kubeberth.apiserver.admission.review import Asked
from kubeberth.apiserver.admission.webhooks import (
    Desk,
    Webhook,
    WebhookFailedError,
    after_failure,
)
from kubeberth.errors import ApiError


class ValidatingAdmissionWebhook(Plugin):
    """Asks the webhooks of ValidatingWebhookConfigurations."""

    sees_bodies: ClassVar[bool] = True

    def __init__(self, webhooks: Registered[Webhook], desk: Desk) -> None:
        self._webhooks = webhooks
        self._desk = desk

    async def validate(self, attributes: Attributes) -> None:
        """Refuse what a webhook refuses; of several, the first one to answer is told."""
        concerned = self._webhooks.concerned(attributes)
        if not concerned:
            return
        called = []
        for item in concerned:
            asked = await self._desk.asked(attributes, item)
            if asked is not None:
                called.append((item[0], asked))
        refusals: list[ApiError] = []
        async with asyncio.TaskGroup() as group:
            for webhook, asked in called:
                group.create_task(self._ask(webhook, attributes, asked, refusals))
        if refusals:
            raise refusals[0]

    async def _ask(
        self, webhook: Webhook, attributes: Attributes, asked: Asked, refusals: list[ApiError]
    ) -> None:
        try:
            await self._desk.verdict(webhook, attributes, asked, may_patch=False)
        except WebhookFailedError as error:
            if refusal := after_failure(webhook, error):
                refusals.append(refusal)
        except ApiError as error:
            refusals.append(error)
