"""Webhooks: which are registered, which of them are called for a write, and how.

Matches `plugin/webhook/generic` of k8s.io/apiserver 1.36.
"""

from __future__ import annotations

import asyncio
import logging
import math
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubeberth.api.scheme import Resource
from kubeberth.apiserver import refusals
from kubeberth.apiserver.admission.chain import Attributes, Document, Reader
from kubeberth.apiserver.admission.expressions import (
    Condition,
    ExpressionError,
    conditions_of,
    hold,
    variables_of,
)
from kubeberth.apiserver.admission.matching import Criteria, webhook_criteria
from kubeberth.apiserver.admission.registered import Concerned
from kubeberth.apiserver.admission.review import (
    Asked,
    ReviewError,
    Verdict,
    denial,
    no_dry_run,
    review_of,
    review_version,
    verdict_of,
)
from kubeberth.apiserver.admission.versions import Versions
from kubeberth.apiserver.auth.rbac import Authorizer
from kubeberth.apiserver.webhook_client import (
    MAX_REQUEST_S,
    WebhookCallError,
    WebhookClient,
)
from kubeberth.errors import InternalError, ServerTimeoutError

logger = logging.getLogger(__name__)

_HARMLESS = ("None", "NoneOnDryRun")


@dataclass(frozen=True, slots=True, eq=False)
class Webhook:
    """One webhook of a configuration.

    Parameters
    ----------
    uid
        Tells it from all others, also of the same name.
    client
        Its `WebhookClientConfig`.
    fails_open
        Whether a write passes that it cannot be asked about.
    is_harmless
        Whether it does nothing for a trial.
    is_reinvocable
        Whether it is asked again when others have changed the object since.
    """

    uid: str
    name: str
    criteria: Criteria
    client: Mapping[str, Any]
    review_versions: Sequence[str]
    conditions: tuple[Condition, ...]
    timeout_s: int
    fails_open: bool
    is_harmless: bool
    is_reinvocable: bool


def read_webhooks(reader: Reader, resource: Resource) -> list[Webhook]:
    """Return all webhooks of a kind: configurations by name, their webhooks as listed."""
    configurations = sorted(reader.find_all(resource), key=lambda c: str(c["metadata"]["name"]))
    return [
        _webhook(configuration, index, webhook)
        for configuration in configurations
        for index, webhook in enumerate(configuration.get("webhooks") or ())
    ]


def _webhook(configuration: Document, index: int, webhook: Document) -> Webhook:
    name = webhook.get("name", "")
    return Webhook(
        uid=f"{configuration['metadata']['name']}/{name}/{index}",
        name=name,
        criteria=webhook_criteria(webhook),
        client=webhook.get("clientConfig") or {},
        review_versions=webhook.get("admissionReviewVersions") or (),
        conditions=conditions_of(webhook.get("matchConditions")),
        timeout_s=webhook.get("timeoutSeconds") or 10,
        fails_open=webhook.get("failurePolicy") == "Ignore",
        is_harmless=webhook.get("sideEffects") in _HARMLESS,
        is_reinvocable=webhook.get("reinvocationPolicy") == "IfNeeded",
    )


class WebhookFailedError(Exception):
    """A webhook could not be asked; the text names it and says why."""


class Desk:
    """Decides whether a webhook is called for a write, and calls it."""

    def __init__(
        self, reader: Reader, client: WebhookClient, versions: Versions, authorizer: Authorizer
    ) -> None:
        self._reader = reader
        self._client = client
        self.versions = versions
        self._authorizer = authorizer

    async def asked(self, attributes: Attributes, concerned: Concerned[Webhook]) -> Asked | None:
        """Return the object as a webhook sees it; None when it is not called.

        Raises
        ------
        ForbiddenError
            Its conditions cannot be evaluated.
        """
        webhook, resource, _ = concerned
        if not webhook.criteria.selects(attributes, self._reader):
            return None
        asked = await self.versions.asked(attributes, resource)
        if webhook.conditions:
            variables = variables_of(attributes, asked, self._authorizer)
            try:
                if not hold(webhook.conditions, variables, fails_open=webhook.fails_open):
                    return None
            except ExpressionError as error:
                raise attributes.forbid(str(error)) from error
        return asked

    async def verdict(
        self, webhook: Webhook, attributes: Attributes, asked: Asked, *, may_patch: bool
    ) -> Verdict:
        """Return what a webhook says of a write that it lets pass.

        Raises
        ------
        ApiError
            It does not.
        WebhookFailedError
            It cannot be asked.
        """
        if attributes.dry_run and not webhook.is_harmless:
            raise no_dry_run(webhook.name)
        uid = str(uuid.uuid4())
        try:
            version = review_version(webhook.review_versions)
        except ReviewError as error:
            raise _failed(webhook, f"could not create admission objects: {error}") from error
        question = review_of(version, uid, attributes, asked)
        timeout_s = min(webhook.timeout_s, _seconds_left(attributes))
        try:
            answer = await self._client.call(webhook.client, question, timeout_s)
        except WebhookCallError as error:
            raise _failed(webhook, f"failed to call webhook: {error}") from error
        try:
            verdict = verdict_of(answer, version, uid, may_patch=may_patch)
        except ReviewError as error:
            raise _failed(webhook, f"received invalid webhook response: {error}") from error
        attributes.warnings.extend(verdict.warnings)
        for key, value in verdict.annotations.items():
            attributes.note(f"{webhook.name}/{key}", value)
        if not verdict.is_allowed:
            raise denial(webhook.name, verdict.status)
        return verdict


def _seconds_left(attributes: Attributes) -> int:
    """Return how long a webhook may still take.

    Raises
    ------
    ServerTimeoutError
        Those before it have used up the time of the request.
    """
    now = asyncio.get_running_loop().time()
    attributes.deadline = attributes.deadline or now + MAX_REQUEST_S
    if now >= attributes.deadline:
        raise ServerTimeoutError(
            "Timeout: request did not complete within requested timeout - context deadline exceeded"
        )
    return math.ceil(attributes.deadline - now)


def _failed(webhook: Webhook, why: str) -> WebhookFailedError:
    return WebhookFailedError(f'failed calling webhook "{webhook.name}": {why}')


def after_failure(webhook: Webhook, error: WebhookFailedError) -> InternalError | None:
    """Return the answer to a write that a webhook could not be asked about; None lets it pass."""
    policy = "open" if webhook.fails_open else "closed"
    logger.warning(
        "a webhook failed", extra={"webhook": webhook.uid, "fails": policy, "why": error}
    )
    return None if webhook.fails_open else refusals.internal(str(error))
