"""Requests that a server passes on to the node of a pod: logs, streams, proxies.

Nodes here are simulated and run no containers, so this module answers for their kubelets: a log
says so in one line, and what cannot be is refused as a node would refuse it, at once.

Matches `pkg/registry/core/{pod,node,service}` of Kubernetes 1.36, and of its kubelet what a client
sees.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from kubeberth.api.integers import IntegerTextError, parse_int
from kubeberth.api.scheme import ENDPOINT_SLICES, NODES, PODS, SERVICES
from kubeberth.api.times import TimeError, canonical_time, seconds_of
from kubeberth.api.validation.field_error import FieldError, forbidden, invalid, invalid_error
from kubeberth.apiserver.auth.rbac import Authorizer
from kubeberth.apiserver.objects import Document, unpack
from kubeberth.apiserver.registry import Caller, Registry, Target
from kubeberth.apiserver.responses import Response
from kubeberth.apiserver.route import Query
from kubeberth.apiserver.verbs import Answer, Call
from kubeberth.clock import Clock, rfc3339
from kubeberth.errors import ApiError, BadRequestError, ServiceUnavailableError

NOT_NEGATIVE = "must be greater than or equal to 0"
POSITIVE = "must be greater than 0"
_CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")
_STATUS_LISTS = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
# Why a container has not started, where its reason says too little.
_WAITING = {
    "ErrImagePull": "image can't be pulled",
    "ImagePullBackOff": "trying and failing to pull image",
}
# What a stream would have been for, by the part of the pod that was asked.
_STREAMS = {
    "attach": "there is nothing to attach to",
    "exec": "there is nothing to run a command in",
    "portforward": "there is nothing to forward a port to",
}
# Under which of its addresses a kubelet is looked for.
_PREFERRED = ("Hostname", "InternalDNS", "InternalIP", "ExternalDNS", "ExternalIP")
_PROXIED_NAME = re.compile(r"((?P<scheme>https?|):)?(?P<name>[^:]+?)(:(?P<port>[^:]*))?", re.ASCII)


class KubeletRequests:
    """Answers in place of kubelets."""

    def __init__(self, registry: Registry, authorizer: Authorizer, clock: Clock) -> None:
        self._registry = registry
        self._authorizer = authorizer
        self._clock = clock

    async def log(self, call: Call) -> Answer:
        """Show what a simulated container has printed: one line, that it is simulated."""
        query, name = call.info.query, call.info.name
        if faults := log_faults(query):
            raise invalid_error("PodLogOptions", name, faults)
        pod = unpack(PODS, self._registry.entry(call.target))
        container = chosen_container(pod, query.get("container"))
        if not pod["spec"].get("nodeName"):
            return Response(b"", 204, content_type="text/plain")
        began = started_at(pod, container, previous=query.flag("previous"))
        text = log_text(container, began, query, self._clock.now())
        return Response(text, content_type="text/plain")

    async def stream(self, call: Call) -> Answer:
        """Refuse to enter a container, or to reach it."""
        if call.upgrade and call.info.verb == "get":
            # A WebSocket begins with a GET, yet whoever may only read shall not run commands.
            self._authorizer.authorize(call.user, replace(call.info, verb="create"))
        await self._admit(call)
        pod = unpack(PODS, self._registry.entry(call.target))
        name, part = call.info.name, call.info.subresource
        if part != "portforward":
            chosen_container(pod, call.info.query.get("container"))
        if not pod["spec"].get("nodeName"):
            raise BadRequestError(f"pod {name} does not have a host assigned")
        if not call.upgrade:
            raise BadRequestError("Upgrade request required")
        raise ApiError(
            f'pod "{name}" is simulated by kubeberth and runs no containers: {_STREAMS[part]}',
            code=501,
            reason="",
        )

    async def proxy(self, call: Call) -> Answer:
        """Refuse to pass a request on: nobody listens."""
        await self._admit(call)
        kind = call.resource.kind.lower()
        parts = _PROXIED_NAME.fullmatch(call.info.name)
        if parts is None:
            raise BadRequestError(f'invalid {kind} request "{call.info.name}"')
        name = parts["name"]
        target = Target(call.resource, call.info.scope, name)
        found = unpack(call.resource, self._registry.entry(target))
        if call.resource is SERVICES:
            self._check_service(found, parts["port"] or "")
        elif not is_proxyable(call.resource is PODS, found.get("status") or {}):
            raise BadRequestError("address not allowed")
        what = "has no API of its own" if call.resource is NODES else "answers no requests"
        raise ServiceUnavailableError(
            f'error trying to reach service: {kind} "{name}" is simulated by kubeberth and {what}'
        )

    async def _admit(self, call: Call) -> None:
        """Let those refuse a connection who look at connections."""
        caller = Caller(call.user, warnings=call.warnings)
        options = connect_options(call.resource.kind, call.info.subresource, call.info.query)
        sub = call.info.subresource
        attributes = caller.attributes("CONNECT", call.target, options, sub=sub)
        await self._registry.chain.look_at_body(attributes)

    def _check_service(self, service: Document, port: str) -> None:
        """Refuse a port that the service has not, and a service behind which nobody is."""
        metadata = service["metadata"]
        ports = service["spec"].get("ports") or ()
        known = {str(p.get(field, "")) for p in ports for field in ("name", "port")}
        name = metadata["name"]
        if port and port not in known:
            raise ServiceUnavailableError(f'no service port "{port}" found for service "{name}"')
        slices = self._registry.find_all(ENDPOINT_SLICES, metadata["namespace"])
        labels = (found["metadata"].get("labels") or {} for found in slices)
        if not any(own.get("kubernetes.io/service-name") == name for own in labels):
            raise ServiceUnavailableError(f'no endpoints available for service "{name}"')


def is_proxyable(is_pod: bool, status: Mapping[str, Any]) -> bool:
    """Return whether a pod or node may be asked under the address that its status tells.

    Whoever writes the status could have the server ask itself, or what is near it.
    """
    if is_pod:
        address = status.get("podIP") or ""
    else:
        told = {entry["type"]: entry["address"] for entry in status.get("addresses") or ()}
        address = next((told[kind] for kind in _PREFERRED if kind in told), "")
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        # A name: there is nobody to resolve it here.
        return not is_pod and address != "localhost"
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ip.ipv4_mapped or ip
    return not (ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified)


def connect_options(kind: str, part: str, query: Query) -> Document:
    """Return what a connection is asked to be, as admission sees it."""
    if part == "proxy":
        path = query.get("path")
        told: Document = {"path": path} if path else {}
        return {"kind": f"{kind}ProxyOptions", "apiVersion": "v1", **told}
    if part == "portforward":
        ports = [int(port) for port in query.all("ports") if port.isdecimal()]
        told = {"ports": ports} if ports else {}
        return {"kind": "PodPortForwardOptions", "apiVersion": "v1", **told}
    told = {name: True for name in ("stdin", "stdout", "stderr", "tty") if query.flag(name)}
    if container := query.get("container"):
        told["container"] = container
    if part == "exec":
        told["command"] = list(query.all("command"))
    return {"kind": f"Pod{part.capitalize()}Options", "apiVersion": "v1", **told}


def chosen_container(pod: Document, asked: str) -> str:
    """Return the name of the container that a request is about.

    Raises
    ------
    BadRequestError
        The pod has no such container, or several and none is named.
    """
    name, spec = pod["metadata"]["name"], pod["spec"]
    regular = list(spec.get("containers") or ())
    names = [c["name"] for field in _CONTAINER_LISTS for c in spec.get(field) or ()]
    if asked:
        if asked not in names:
            raise BadRequestError(f"container {asked} is not valid for pod {name}")
        return asked
    if len(regular) == 1:
        return str(regular[0]["name"])
    raise BadRequestError(
        f"a container name must be specified for pod {name}, choose one of: [{' '.join(names)}]"
    )


def log_faults(query: Query) -> list[FieldError]:
    """Return what is wrong with the options of a log."""
    faults: list[FieldError] = []
    tail, limit = _number(query, "tailLines"), _number(query, "limitBytes")
    since = _number(query, "sinceSeconds")
    if tail is not None and tail < 0:
        faults.append(invalid("tailLines", tail, NOT_NEGATIVE))
    if limit is not None and limit < 1:
        faults.append(invalid("limitBytes", limit, POSITIVE))
    if since is not None and query.get("sinceTime"):
        detail = "at most one of `sinceTime` or `sinceSeconds` may be specified"
        faults.append(forbidden("", detail))
    elif since is not None and since < 1:
        faults.append(invalid("sinceSeconds", since, POSITIVE))
    return faults


def _number(query: Query, name: str) -> int | None:
    text = query.get(name)
    try:
        return parse_int(text) if text else None
    except IntegerTextError as error:
        raise BadRequestError(str(error)) from error


def started_at(pod: Document, container: str, *, previous: bool) -> str:
    """Return since when a container prints, RFC 3339; empty when its status does not tell.

    Raises
    ------
    BadRequestError
        It has not begun to, or has not run before.
    """
    name = pod["metadata"]["name"]
    what = f'container "{container}" in pod "{name}"'
    status = _status_of(pod, container)
    if status is None:
        if previous:
            raise BadRequestError(f"previous terminated {what} not found")
        raise BadRequestError(f"{what} is waiting to start: ContainerCreating")
    ended_before = (status.get("lastState") or {}).get("terminated")
    if previous:
        if ended_before is None:
            raise BadRequestError(f"previous terminated {what} not found")
        return str(ended_before.get("startedAt") or "")
    state = status.get("state") or {}
    for candidate in (state.get("running"), state.get("terminated"), ended_before):
        if candidate is not None:
            return str(candidate.get("startedAt") or "")
    if (waiting := state.get("waiting")) is None:
        raise BadRequestError(f"{what} is waiting to start - no logs yet")
    reason = waiting.get("reason") or "ContainerCreating"
    raise BadRequestError(f"{what} is waiting to start: {_WAITING.get(reason, reason)}")


def _status_of(pod: Document, container: str) -> Mapping[str, Any] | None:
    status = pod.get("status") or {}
    known = (one for field in _STATUS_LISTS for one in status.get(field) or ())
    return next((one for one in known if one["name"] == container), None)


def log_text(container: str, began: str, query: Query, now: float) -> bytes:
    """Return the log of a simulated container, as much of it as is asked for."""
    at = seconds_of(began) if began else now
    if query.get("tailLines") == "0" or at < _since(query, now):
        return b""
    text = f"container {container} is simulated by kubeberth and prints nothing\n"
    if query.flag("timestamps"):
        text = f"{began or rfc3339(now)} {text}"
    return text.encode()[: _number(query, "limitBytes")]


def _since(query: Query, now: float) -> float:
    """Return before when lines are not asked for."""
    seconds, moment = _number(query, "sinceSeconds"), query.get("sinceTime")
    if seconds is not None:
        return now - seconds
    try:
        return seconds_of(canonical_time(moment)) if moment else 0.0
    except TimeError as error:
        raise BadRequestError(str(error)) from error
