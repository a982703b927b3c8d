"""Reviews: questions about who somebody is and what they may do; answered, and not stored.

Matches `pkg/registry/authorization` and `pkg/registry/authentication` of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from kubeberth.api.scheme import (
    LOCAL_SUBJECT_ACCESS_REVIEWS,
    SELF_SUBJECT_ACCESS_REVIEWS,
    SELF_SUBJECT_REVIEWS,
    SELF_SUBJECT_RULES_REVIEWS,
    SUBJECT_ACCESS_REVIEWS,
    TOKEN_REVIEWS,
    Resource,
)
from kubeberth.api.validation.field_error import FieldError, invalid, invalid_error
from kubeberth.apiserver.auth.authn import Authenticator, InvalidTokenError, User
from kubeberth.apiserver.auth.rbac import Authorizer, PolicyRule
from kubeberth.apiserver.objects import Document, encode
from kubeberth.apiserver.options import write_options
from kubeberth.apiserver.responses import Response
from kubeberth.apiserver.route import Query, RequestInfo
from kubeberth.apiserver.verbs import Answer, Call, Verb, Verbs
from kubeberth.clock import Clock, rfc3339
from kubeberth.errors import BadRequestError

_ONE_OF = "exactly one of nonResourceAttributes or resourceAttributes must be specified"


class Reviews:
    """Answers each kind of review."""

    def __init__(
        self, verbs: Verbs, authenticator: Authenticator, authorizer: Authorizer, clock: Clock
    ) -> None:
        self._verbs = verbs
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._clock = clock
        self._table: dict[str, Verb] = {
            SELF_SUBJECT_REVIEWS.kind: self.who_am_i,
            TOKEN_REVIEWS.kind: self.whose_token,
            SELF_SUBJECT_ACCESS_REVIEWS.kind: self.may_i,
            SUBJECT_ACCESS_REVIEWS.kind: self.may_they,
            LOCAL_SUBJECT_ACCESS_REVIEWS.kind: self.may_they,
            SELF_SUBJECT_RULES_REVIEWS.kind: self.what_may_i,
        }

    def verb(self, resource: Resource) -> Verb | None:
        """Return what answers reviews of a kind, or None for kinds that are no reviews."""
        return self._table.get(resource.built_in_kind)

    def _review(self, call: Call) -> Document:
        options = write_options(call.info.query, "CreateOptions")
        return self._verbs.decode(call, options)

    async def who_am_i(self, call: Call) -> Answer:
        """Tell who is asking."""
        review = self._review(call)
        review["metadata"]["creationTimestamp"] = rfc3339(self._clock.now())
        return _answer(review, {"userInfo": user_info(call.user)})

    async def whose_token(self, call: Call) -> Answer:
        """Tell whose a bearer token is."""
        review = self._review(call)
        token = review["spec"].get("token", "")
        if not token:
            error = BadRequestError("token is required for TokenReview in authentication")
            raise error
        audiences = review["spec"].get("audiences") or ()
        try:
            holder = self._authenticator.holder(token, self._clock.now(), audiences)
        except InvalidTokenError as error:
            return _answer(review, {"user": {}, "error": str(error)})
        status: Document = {"authenticated": True, "user": user_info(holder.user)}
        if holder.audiences:
            status["audiences"] = holder.audiences
        return _answer(review, status)

    async def may_i(self, call: Call) -> Answer:
        """Tell whether who asks may do something."""
        review = self._review(call)
        _check(call.resource, _attribute_faults(review["spec"]))
        return self._decided(review, call.user)

    async def may_they(self, call: Call) -> Answer:
        """Tell whether somebody may do something, perhaps within one namespace."""
        review = self._review(call)
        spec = review["spec"]
        faults = _attribute_faults(spec)
        if not spec.get("user") and not spec.get("groups"):
            detail = "at least one of user or group must be specified"
            faults.append(invalid("spec.user", "", detail))
        if call.resource is LOCAL_SUBJECT_ACCESS_REVIEWS:
            faults += _place_faults(spec, call.info.namespace)
            review["metadata"].setdefault("namespace", call.info.namespace)
        _check(call.resource, faults)
        user = User.of(spec.get("user", ""), spec.get("groups") or (), spec.get("uid", ""))
        return self._decided(review, user)

    def _decided(self, review: Document, user: User) -> Answer:
        decision = self._authorizer.decide(user, asked_for(review["spec"]))
        status: Document = {"allowed": decision.is_allowed}
        if decision.reason:
            status["reason"] = decision.reason
        return _answer(review, status)

    async def what_may_i(self, call: Call) -> Answer:
        """List what who asks may do in a namespace."""
        review = self._review(call)
        namespace = review["spec"].get("namespace", "")
        if not namespace:
            raise BadRequestError("no namespace on request")
        rules = self._authorizer.rules_of(call.user, namespace)
        status = {
            "resourceRules": [_resource_rule(rule) for rule in rules if rule.resources],
            "nonResourceRules": [_path_rule(rule) for rule in rules if rule.non_resource_urls],
            "incomplete": False,
        }
        # What was asked is not repeated, as upstream.
        return _answer({**review, "spec": {}}, status)


def _answer(review: Document, status: Document) -> Response:
    return Response(encode({**review, "status": status}), 201)


def user_info(user: User) -> Document:
    """Return a user as reviews tell them."""
    found: Document = {
        "username": user.name,
        "uid": user.uid,
        "groups": user.group_list,
        "extra": dict(user.extra),
    }
    return {field: value for field, value in found.items() if value}


def asked_for(spec: Mapping[str, Any]) -> RequestInfo:
    """Return the request that a review asks about."""
    path = spec.get("nonResourceAttributes")
    if path is not None:
        verb = path.get("verb", "")
        return RequestInfo(method="", path=path.get("path", ""), query=Query(""), verb=verb)
    attributes = spec.get("resourceAttributes") or {}
    return RequestInfo(
        method="",
        path="",
        query=_selection(attributes.get("fieldSelector") or {}),
        verb=attributes.get("verb", ""),
        group=attributes.get("group", ""),
        version=attributes.get("version") or "*",
        plural=attributes.get("resource", ""),
        namespace=attributes.get("namespace", ""),
        name=attributes.get("name", ""),
        subresource=attributes.get("subresource", ""),
    )


def _selection(selector: Mapping[str, Any]) -> Query:
    """Return the query that selects as a review tells it, as far as it names single values."""
    text = selector.get("rawSelector", "")
    if not text:
        text = ",".join(
            f"{r.get('key', '')}={r['values'][0]}"
            for r in selector.get("requirements") or ()
            if r.get("operator") == "In" and len(r.get("values") or ()) == 1
        )
    return Query(urlencode({"fieldSelector": text}) if text else "")


def _attribute_faults(spec: Mapping[str, Any]) -> list[FieldError]:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is None and path is None:
        return [invalid("spec.resourceAttributes", None, _ONE_OF)]
    if resource is not None and path is not None:
        detail = "cannot be specified in combination with resourceAttributes"
        where = "spec.nonResourceAttributes"
        return [invalid(where, where, detail)]
    return []


def _place_faults(spec: Mapping[str, Any], namespace: str) -> list[FieldError]:
    resource = spec.get("resourceAttributes")
    if resource is None:
        return [invalid("spec.nonResourceAttributes", None, "disallowed on this kind of request")]
    if (asked := resource.get("namespace", "")) != namespace:
        detail = f"must match metadata.namespace: {namespace}"
        return [invalid("spec.resourceAttributes.namespace", asked, detail)]
    return []


def _check(resource: Resource, faults: list[FieldError]) -> None:
    if faults:  # upstream names no kind here
        raise invalid_error(f".{resource.group}", "", faults)


def _resource_rule(rule: PolicyRule) -> Document:
    return _listed(
        verbs=rule.verbs,
        apiGroups=rule.api_groups,
        resources=rule.resources,
        resourceNames=rule.resource_names,
    )


def _path_rule(rule: PolicyRule) -> Document:
    return _listed(verbs=rule.verbs, nonResourceURLs=rule.non_resource_urls)


def _listed(**parts: frozenset[str]) -> Document:
    return {name: sorted(values) for name, values in parts.items() if values}
