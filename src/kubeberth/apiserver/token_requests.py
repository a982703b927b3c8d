"""`serviceaccounts/token`: a token for an account, for as long and for whom its pod needs it.

Matches `pkg/registry/core/serviceaccount/storage/token.go` of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeberth.api.scheme import NODES, PODS, SECRETS, SERVICE_ACCOUNTS, Resource
from kubeberth.api.validation.field_error import FieldError, invalid, invalid_error
from kubeberth.apiserver.auth.service_accounts import ServiceAccountTokens, Wish
from kubeberth.apiserver.objects import Document, encode, unpack
from kubeberth.apiserver.options import write_options
from kubeberth.apiserver.registry import Registry, Target
from kubeberth.apiserver.responses import Response
from kubeberth.apiserver.verbs import Answer, Call, Verbs, caller_of
from kubeberth.clock import Clock, rfc3339
from kubeberth.errors import BadRequestError, ConflictError

KIND = "TokenRequest.authentication.k8s.io"
SHORTEST_S = 600
LONGEST_S = 2**32
_BINDABLE: dict[str, Resource] = {"Pod": PODS, "Secret": SECRETS, "Node": NODES}


class TokenRequests:
    """Answers requests for tokens."""

    def __init__(
        self, verbs: Verbs, registry: Registry, tokens: ServiceAccountTokens, clock: Clock
    ) -> None:
        self._verbs = verbs
        self._registry = registry
        self._tokens = tokens
        self._clock = clock

    async def create(self, call: Call) -> Answer:
        """Issue a token; nothing is stored."""
        options = write_options(call.info.query, "CreateOptions")
        request = self._verbs.decode(call, options, "token")
        name, namespace = call.info.name, call.info.scope
        self._fill_in(request["spec"])
        attributes = caller_of(call, options).attributes(
            "CREATE", call.target, request, sub="token"
        )
        # Before the server says for whom the token is when the request does not.
        await self._registry.chain.admit(attributes)
        request = attributes.document or request
        _check_place(request["metadata"], name, namespace)
        account = unpack(SERVICE_ACCOUNTS, self._registry.entry(call.target))
        now = self._clock.now()
        spec, metadata = request["spec"], request["metadata"]
        metadata |= {"name": name, "namespace": namespace, "uid": account["metadata"]["uid"]}
        metadata["creationTimestamp"] = rfc3339(now)
        request["status"] = {"token": "", "expirationTimestamp": None}
        self._fill_in(spec)
        spec["audiences"] = spec.get("audiences") or list(self._tokens.audiences)
        if faults := request_faults(spec):
            raise invalid_error(KIND, "", faults)
        await self._registry.chain.validate(attributes)
        bound_to = self._bound_to(spec["boundObjectRef"], name, namespace)
        seconds = spec["expirationSeconds"]
        token = self._tokens.issue(Wish(account, spec["audiences"], seconds, bound_to), now)
        request["status"] = {
            "token": token,
            "expirationTimestamp": rfc3339(now + seconds),
        }
        return Response(encode(request), 201)

    def _fill_in(self, spec: Document) -> None:
        """Set what is not told, and may have been taken away again in admission."""
        spec.setdefault("expirationSeconds", 3600)
        spec.setdefault("boundObjectRef", None)

    def _bound_to(
        self, reference: Mapping[str, Any] | None, account: str, namespace: str
    ) -> dict[str, Document]:
        """Return what a token shall end with, and the node if that is a pod."""
        if reference is None:
            return {}
        version, kind = reference.get("apiVersion", ""), reference.get("kind", "")
        resource = _BINDABLE.get(kind)
        if resource is None or "/" in version:
            group, _, short = version.rpartition("/")
            raise BadRequestError(
                f"cannot bind token to object of type {group}/{short}, Kind={kind}"
            )
        name = reference.get("name", "")
        target = Target(resource, namespace if resource.namespaced else "", name)
        found = unpack(resource, self._registry.entry(target))
        bound = {kind.lower(): found}
        if resource is PODS:
            if found["spec"].get("serviceAccountName") != account:
                raise BadRequestError(
                    f'cannot bind token for serviceaccount "{account}" to pod running with '
                    "different serviceaccount name."
                )
            if node := found["spec"].get("nodeName"):
                bound["node"] = self._registry.find(NODES, "", node) or {"metadata": {"name": node}}
        uid = reference.get("uid", "")
        if uid and uid != found["metadata"]["uid"]:
            raise ConflictError(
                f'Operation cannot be fulfilled on {kind} "{name}": the UID in the bound object '
                f"reference ({uid}) does not match the UID in record. The object might have been "
                "deleted and then recreated",
                details={"name": name, "kind": kind},
            )
        return bound


def _check_place(metadata: Mapping[str, Any], name: str, namespace: str) -> None:
    """Refuse a request that says it is for another account."""
    for field, what, wanted in (("name", "name", name), ("namespace", "namespace", namespace)):
        sent = metadata.get(field, "")
        if sent and sent != wanted:
            detail = f"must match the service account {what} if specified"
            raise invalid_error(KIND, name, [invalid(f"metadata.{field}", sent, detail)])


def request_faults(spec: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of what is asked for."""
    seconds, path = spec["expirationSeconds"], "spec.expirationSeconds"
    if seconds < SHORTEST_S:
        return [invalid(path, seconds, "may not specify a duration less than 10 minutes")]
    if seconds > LONGEST_S:
        return [invalid(path, seconds, "may not specify a duration larger than 2^32 seconds")]
    return []
