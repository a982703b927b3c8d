"""The parts of objects and what answers for them: binding, eviction, scale and the rest.

Matches `pkg/registry/core/pod/storage` and `pkg/registry/apps/*/storage` of Kubernetes 1.36.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from msgspec import structs

from kubeberth.api.codec import decode_kind
from kubeberth.api.disruption_target import DISRUPTION_TARGET, evicted
from kubeberth.api.meta import to_documents
from kubeberth.api.scheme import CONNECT, POD_DISRUPTION_BUDGETS, PODS, PROXY
from kubeberth.apiserver import eviction, refusals
from kubeberth.apiserver.auth.rbac import Authorizer
from kubeberth.apiserver.auth.service_accounts import ServiceAccountTokens
from kubeberth.apiserver.columns.workloads import SCALE as SCALE_PRINTER
from kubeberth.apiserver.kubelet_requests import KubeletRequests
from kubeberth.apiserver.managed_fields.scale import to_parent, to_scale
from kubeberth.apiserver.media import OBJECT_FORMS, negotiate
from kubeberth.apiserver.objects import Document, encode, unpack
from kubeberth.apiserver.options import WriteOptions, delete_options_of, write_options
from kubeberth.apiserver.registry import Caller, Change, Registry, Target, check_preconditions
from kubeberth.apiserver.responses import Response, success
from kubeberth.apiserver.scale import scale_of, scaled
from kubeberth.apiserver.strategy import put
from kubeberth.apiserver.table import to_table
from kubeberth.apiserver.token_requests import TokenRequests
from kubeberth.apiserver.verbs import (
    Answer,
    Call,
    Verb,
    Verbs,
    caller_of,
    check_name,
    check_uid,
    patch_options,
)
from kubeberth.clock import Clock, rfc3339
from kubeberth.errors import ApiError, BadRequestError

# Parts whose bodies are the whole object; what they may change is in `strategy`.
WHOLE_OBJECT_PARTS = ("approval", "ephemeralcontainers", "resize", "status")


class Subresources:
    """Answers calls for the parts that have a behaviour of their own."""

    def __init__(
        self,
        verbs: Verbs,
        registry: Registry,
        authorizer: Authorizer,
        tokens: ServiceAccountTokens,
        clock: Clock,
    ) -> None:
        self._verbs = verbs
        self._registry = registry
        self._clock = clock
        requests = TokenRequests(verbs, registry, tokens, clock)
        kubelet = KubeletRequests(registry, authorizer, clock)
        self._table: dict[tuple[str, str], Verb] = {
            ("binding", "create"): self.bind,
            ("eviction", "create"): self.evict,
            ("scale", "get"): self.get_scale,
            ("scale", "update"): self.update_scale,
            ("scale", "patch"): self.patch_scale,
            ("finalize", "update"): verbs.update,
            ("log", "get"): kubelet.log,
            ("token", "create"): requests.create,
        }
        for part in ("attach", "exec", "portforward"):
            self._table |= dict.fromkeys(((part, verb) for verb in CONNECT), kubelet.stream)
        self._table |= dict.fromkeys((("proxy", verb) for verb in PROXY), kubelet.proxy)
        for part in WHOLE_OBJECT_PARTS:
            self._table |= {
                (part, "get"): verbs.get,
                (part, "update"): verbs.update,
                (part, "patch"): verbs.patch,
            }

    def verb(self, subresource: str, verb: str) -> Verb | None:
        """Return what answers a verb on a subresource, or None."""
        return self._table.get((subresource, verb))

    async def bind(self, call: Call) -> Answer:
        """Assign a pod to a node; also `POST bindings`, where the body names the pod."""
        options = write_options(call.info.query, "CreateOptions")
        sub = "binding" if call.resource is PODS else ""
        binding = self._verbs.decode(call, options, sub)
        metadata = binding["metadata"]
        namespace = call.info.namespace
        if metadata.setdefault("namespace", namespace) != namespace:
            raise BadRequestError(
                "the namespace of the provided object does not match the namespace sent on the "
                "request"
            )
        name = metadata.get("name", "")
        if sub and name != call.info.name:
            raise BadRequestError("name in URL does not match name in Binding object")
        check_binding_target(binding.get("target", {}))
        now = rfc3339(self._clock.now())
        target = Target(PODS, namespace, name)
        caller = caller_of(call, options)
        if sub:
            binding = await self._admitted(target, binding, caller, sub)

        def change(pod: Document) -> Document:
            _check_bindable(target, pod, metadata)
            return bound(pod, binding, now)

        sub = sub or "bindings"
        await self._registry.update(target, change, caller, sub=sub, only_reads=True)
        return Response(encode(success(201)), 201)

    async def _admitted(self, target: Target, body: Document, caller: Caller, sub: str) -> Document:
        """Return what was posted to a subresource as those leave it who look at such bodies."""
        attributes = caller.attributes("CREATE", target, body, sub=sub)
        await self._registry.chain.look_at_body(attributes)
        return attributes.document or body

    async def evict(self, call: Call) -> Answer:
        """Delete a pod, if its disruption budget allows it."""
        options = write_options(call.info.query, "CreateOptions")
        body = self._eviction(call, options)
        if body["metadata"].get("name", "") != call.info.name:
            raise BadRequestError("name in URL does not match name in Eviction object")
        how = delete_options_of(body.get("deleteOptions", {}))
        caller = caller_of(call, options)
        if how.dry_run:
            caller = structs.replace(caller, dry_run=True)
        await self._admitted(call.target, body, caller, "eviction")
        now = rfc3339(self._clock.now())
        pod = unpack(PODS, self._registry.entry(call.target))
        check_preconditions(PODS, call.info.name, pod, how)
        if not eviction.needs_no_budget(pod):
            await self._take_from_budget(pod, caller, now)

        def change(pod: Document) -> Document:
            check_preconditions(PODS, call.info.name, pod, how)
            return marked_as_evicted(pod, now)

        await self._registry.update(call.target, change, caller, sub="eviction")
        # The version it was meant for is checked; marking the pod has made a new one.
        how = replace(how, resource_version="")
        await self._registry.delete(call.target, how, caller, is_admitted=True)
        return Response(encode(success(201)), 201)

    async def _take_from_budget(self, pod: Document, caller: Caller, now: str) -> None:
        """Take a disruption of the pod's budget, if it has one, and if it may be taken."""
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        budgets = self._registry.find_all(POD_DISRUPTION_BUDGETS, namespace)
        budget = eviction.budget_of(pod, budgets)
        if budget is None or eviction.goes_unready(pod, budget):
            return
        target = Target(POD_DISRUPTION_BUDGETS, namespace, budget["metadata"]["name"])
        await self._registry.update(
            target, lambda found: eviction.disrupted(found, name, now), caller, sub="status"
        )

    def _eviction(self, call: Call, options: WriteOptions) -> Document:
        body = (call.body, call.content_type, "policy/v1", "Eviction")
        old = decode_kind(*body, any_version=True)
        if old.document["apiVersion"] == "policy/v1beta1":  # still read, as upstream
            old.document.setdefault("metadata", {})
            return old.document
        return self._verbs.decode(call, options, "eviction")

    async def get_scale(self, call: Call) -> Answer:
        """Read how many replicas a workload wants and has."""
        form = negotiate(call.accept, OBJECT_FORMS)
        parent = unpack(call.resource, await self._registry.shown(call.target))
        scale = scale_of(call.resource, parent)
        if form.as_kind != "Table":
            return Response(encode(scale))
        include, now = call.info.query.get("includeObject"), self._clock.now()
        table = to_table(
            call.resource, [scale], include, now, version=form.version, printer=SCALE_PRINTER
        )
        table["metadata"] = {"resourceVersion": scale["metadata"].get("resourceVersion", "")}
        return Response(encode(table))

    async def update_scale(self, call: Call) -> Answer:
        """Set how many replicas a workload wants."""
        options = write_options(call.info.query, "UpdateOptions")
        scale = self._verbs.decode(call, options, "scale")
        check_name(scale, call.target)
        change = self._verbs.tracked(call, options, lambda _: scale)
        return await self._write_scale(call, change, caller_of(call, options))

    async def patch_scale(self, call: Call) -> Answer:
        """Change how many replicas a workload wants."""
        options = patch_options(call)
        change = self._verbs.patching(call, options, "scale")
        return await self._write_scale(call, change, caller_of(call, options))

    async def _write_scale(self, call: Call, change: Change, caller: Caller) -> Answer:
        def change_parent(parent: Document) -> Document:
            owners = parent["metadata"].get("managedFields")
            old = scale_of(call.resource, parent)
            put(old["metadata"], "managedFields", to_scale(owners))
            scale = change(old)
            check_uid(call.target, scale["metadata"].get("uid"), parent)
            owned = scale["metadata"].get("managedFields")
            owned = to_parent(owners, owned, parent["apiVersion"])
            put(parent["metadata"], "managedFields", owned)
            return scaled(call.resource, call.info.name, parent, scale)

        written = await self._registry.update(call.target, change_parent, caller, sub="scale")
        return Response(encode(scale_of(call.resource, written.document)))


def check_binding_target(target: dict[str, Any]) -> None:
    """Refuse a binding to nothing, or to anything but a node; untyped 500s, as upstream."""
    kind = target.get("kind", "")
    if kind not in ("", "Node"):
        text = f'target.kind: Unsupported value: "{kind}": supported values: "Node", "<empty>"'
        raise ApiError(text, code=500, reason="")
    if not target.get("name"):
        raise ApiError("target.name: Required value", code=500, reason="")


def _check_bindable(target: Target, pod: Document, sent: dict[str, Any]) -> None:
    found = pod["metadata"]
    for what, field in (("UID", "uid"), ("ResourceVersion", "resourceVersion")):
        wanted = sent.get(field)
        if wanted and wanted != found[field]:
            raise refusals.precondition_failed(
                PODS, target.namespace, target.name, what, wanted, found[field]
            )
    name, why = target.name, ""
    if "deletionTimestamp" in found:
        why = f"pod {name} is being deleted, cannot be assigned to a host"
    elif pod["spec"].get("nodeName"):
        why = f'pod {name} is already assigned to node "{pod["spec"]["nodeName"]}"'
    elif pod["spec"].get("schedulingGates"):
        why = f"pod {name} has non-empty .spec.schedulingGates"
    if why:
        raise refusals.conflict(PODS, name, why, sub="binding")


def bound(pod: Document, binding: Document, now: str) -> Document:
    """Return a pod as its binding leaves it; the pod itself stays as it is."""
    metadata, sent = dict(pod["metadata"]), binding["metadata"]
    for name in ("annotations", "labels"):
        if sent.get(name):
            metadata[name] = {**metadata.get(name, {}), **sent[name]}
    spec = {**pod["spec"], "nodeName": binding["target"]["name"]}
    status = dict(pod.get("status") or {})
    status.pop("nominatedNodeName", None)
    scheduled = {
        "type": "PodScheduled",
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": now,
    }
    others = [c for c in status.get("conditions", ()) if c["type"] != "PodScheduled"]
    status["conditions"] = [*others, scheduled]
    return {**pod, "metadata": metadata, "spec": spec, "status": status}


def marked_as_evicted(pod: Document, now: str) -> Document:
    """Return a pod that says why it is going to be deleted."""
    status = pod.setdefault("status", {})
    if "deletionTimestamp" in pod["metadata"] or status.get("phase") in ("Succeeded", "Failed"):
        return pod
    (why,) = to_documents([evicted(now)])
    others = [c for c in status.get("conditions", ()) if c["type"] != DISRUPTION_TARGET]
    status["conditions"] = [*others, {**why, "lastProbeTime": None}]
    return pod
