"""Records of requests as `audit.k8s.io/v1` Events; pure, and made off the event loop.

Whatever a policy says, no bearer token is in an event: headers are never written down, and where
tokens are part of an object they are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from kubeberth.api import codec
from kubeberth.api.json_syntax import JSONSyntaxError
from kubeberth.api.yaml import YAMLError, parse
from kubeberth.apiserver.audit.policy import API_VERSION, Level, Measure, Stage
from kubeberth.apiserver.auth.authn import User
from kubeberth.apiserver.route import RequestInfo
from kubeberth.clock import rfc3339_micro
from kubeberth.errors import BerthError

Document = dict[str, Any]

_PATCH = "patch"
# Where objects have tokens, by resource and part.
_TOKENS = {
    ("authentication.k8s.io", "tokenreviews", ""): ("spec", "token"),
    ("", "serviceaccounts", "token"): ("status", "token"),
}


@dataclass(frozen=True, slots=True)
class Record:
    """One stage of a request, as the event loop leaves it to be written down.

    Parameters
    ----------
    user
        Who has sent the request; None when nobody knows.
    acting
        As whom, when that is somebody else.
    request_body, response_body
        As they were sent; None when there is none.
    """

    audit_id: str
    stage: Stage
    measure: Measure
    info: RequestInfo
    uri: str
    user: User | None
    acting: User | None
    source_ip: str
    user_agent: str
    received_at: float
    stage_at: float
    code: int = 0
    message: str = ""
    content_type: str = ""
    request_body: bytes | None = None
    response_body: bytes | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)


def event_of(record: Record) -> Document:
    """Return a record as it is written down."""
    info, level = record.info, record.measure.level
    sent = _sent(record)
    shown = _json(record.response_body)
    event: Document = {
        "kind": "Event",
        "apiVersion": API_VERSION,
        "level": str(level),
        "auditID": record.audit_id,
        "stage": record.stage,
        "requestURI": record.uri,
        "verb": info.verb,
        "user": _user(record.user),
    }
    if record.acting is not None:
        event["impersonatedUser"] = _user(record.acting)
    if record.source_ip:
        event["sourceIPs"] = [record.source_ip]
    if record.user_agent:
        event["userAgent"] = record.user_agent
    if info.is_resource:
        event["objectRef"] = _object_ref(info, sent)
    if record.code:
        event["responseStatus"] = _status(record, shown)
    if level >= Level.Request and sent is not None:
        event["requestObject"] = _written(record, sent)
    if level >= Level.RequestResponse and shown is not None:
        event["responseObject"] = _written(record, shown)
    event["requestReceivedTimestamp"] = rfc3339_micro(record.received_at)
    event["stageTimestamp"] = rfc3339_micro(record.stage_at)
    if record.annotations:
        event["annotations"] = dict(sorted(record.annotations.items()))
    return event


def _user(user: User | None) -> Document:
    if user is None:
        return {}
    told: Document = {
        "username": user.name,
        "uid": user.uid,
        "groups": user.group_list,
        "extra": {key: list(values) for key, values in user.extra.items()},
    }
    return {name: value for name, value in told.items() if value}


def _object_ref(info: RequestInfo, sent: Any) -> Document:
    """Return what a request is about; what the path does not tell, the object that is sent may."""
    metadata = sent.get("metadata") if isinstance(sent, dict) and info.verb != _PATCH else None
    told = metadata if isinstance(metadata, dict) else {}
    reference = {
        "resource": info.plural,
        "namespace": info.namespace or told.get("namespace"),
        "name": info.name or told.get("name"),
        "uid": told.get("uid"),
        "apiGroup": info.group,
        "apiVersion": info.version,
        "resourceVersion": told.get("resourceVersion"),
        "subresource": info.subresource,
    }
    return {field: value for field, value in reference.items() if value}


def _status(record: Record, shown: Any) -> Document:
    status: Document = {"metadata": {}}
    if isinstance(shown, dict) and shown.get("kind") == "Status":
        for name in ("status", "message", "reason", "details"):
            if shown.get(name):
                status[name] = shown[name]
    if record.message:
        status["message"] = record.message
    status["code"] = record.code
    return status


def _sent(record: Record) -> Any:
    """Return the object of a request's body; None when it is empty, or cannot be read."""
    body, info = record.request_body, record.info
    if not body or not info.is_resource:
        return None
    kind = record.content_type.partition(";")[0].strip()
    try:
        if kind.endswith("yaml"):
            return parse(body)
        if kind.endswith("protobuf") and info.resource is not None and info.verb != "delete":
            resource, sub = info.resource, info.subresource
            return codec.decode(body, record.content_type, resource, sub, False).document
    except (YAMLError, BerthError, JSONSyntaxError, UnicodeDecodeError):
        return None
    return _json(body)


def _json(body: bytes | None) -> Any:
    try:
        return msgspec.json.decode(body) if body else None
    except (msgspec.DecodeError, RecursionError):
        return None


def _written(record: Record, document: Any) -> Any:
    """Return an object without what shall not be written down."""
    if not isinstance(document, dict):
        return document
    info = record.info
    if place := _TOKENS.get((info.group, info.plural, info.subresource)):
        document = _without(document, place)
    if record.measure.omits_managed_fields:
        document = _without(document, ("metadata", "managedFields"))
        if isinstance(document.get("items"), list):
            items = [_bare(item) for item in document["items"]]
            document = {**document, "items": items}
    return document


def _bare(item: Any) -> Any:
    return _without(item, ("metadata", "managedFields")) if isinstance(item, dict) else item


def _without(document: Document, path: tuple[str, str]) -> Document:
    outer, inner = path
    found = document.get(outer)
    if not isinstance(found, dict) or inner not in found:
        return document
    return {**document, outer: {key: value for key, value in found.items() if key != inner}}
