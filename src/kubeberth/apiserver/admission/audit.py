"""Audit annotations: what webhooks and policies note about a write.

They go to the server's log, and into the audit event of the request.
"""

from __future__ import annotations

import logging

from kubeberth.apiserver.admission.chain import Attributes
from kubeberth.apiserver.audit.trail import TRAIL

logger = logging.getLogger(__name__)


def note(attributes: Attributes, key: str, value: str) -> None:
    """Note something about a write."""
    TRAIL.get().note(key, value)
    logger.info(
        "noted in admission",
        extra={
            "resource": attributes.resource.group_resource,
            "object": f"{attributes.namespace}/{attributes.told_name}",
            "key": key,
            "value": value,
        },
    )
