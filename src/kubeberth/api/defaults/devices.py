"""Defaults of what claims ask of devices."""

from __future__ import annotations

from kubeberth.api.defaults.pods import Document


def default_resource_claim(claim: Document) -> None:
    """Set the defaults of a claim of devices."""
    _default_requests(claim.get("spec") or {})


def default_resource_claim_template(template: Document) -> None:
    """Set the defaults of the claims that are made from a template."""
    _default_requests((template.get("spec") or {}).get("spec") or {})


def _default_requests(spec: Document) -> None:
    for request in (spec.get("devices") or {}).get("requests") or ():
        if (exactly := request.get("exactly")) is not None:
            _default_request(exactly)
        for alternative in request.get("firstAvailable") or ():
            _default_request(alternative)


def _default_request(request: Document) -> None:
    request.setdefault("allocationMode", "ExactCount")
    if request["allocationMode"] == "ExactCount":
        request.setdefault("count", 1)
    for toleration in request.get("tolerations") or ():
        toleration.setdefault("operator", "Equal")
