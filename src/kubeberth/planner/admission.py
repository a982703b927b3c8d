"""Admission: the API server's own rules, as far as they decide what pods there may be.

    RuntimeClass    gives a pod the overhead, the nodes and the tolerations of its runtime class
    PodSecurity     refuses pods that are not as safe as the labels of their namespace demand
    ResourceQuota   refuses what a namespace has no more room for, and counts what it lets in

In a server they may have to wait for others who write, too; here there is nobody to wait for.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Protocol

from kubeberth.api import quota
from kubeberth.api.pod_totals import Totals
from kubeberth.api.scheme import NAMESPACES, PODS, RESOURCE_QUOTAS, Resource
from kubeberth.apiserver.admission.chain import Attributes, Chain, Operation, Plugin
from kubeberth.apiserver.admission.pod_security_policy import NOTHING, policy_of
from kubeberth.apiserver.admission.resource_quota import ResourceQuota
from kubeberth.apiserver.admission.runtime_class import RuntimeClass
from kubeberth.apiserver.auth.authn import User

Document = dict[str, Any]

# Whoever plans; none of these plugins makes a difference between people.
_PLANNER = User("planner")


class Held(Protocol):
    """The objects that are looked at, and the quotas that are written to."""

    def find(self, resource: Resource, namespace: str, name: str) -> Document | None:
        """Return an object, or None."""

    def find_all(self, resource: Resource, namespace: str = "") -> Iterable[Document]:
        """Return the objects of a resource."""

    def put(self, resource: Resource, document: Document) -> None:
        """Take an object in as it is."""


class Admission:
    """Lets new and changed objects in, or does not."""

    def __init__(self, held: Held) -> None:
        self._held = held
        self._others = (RuntimeClass(held), ResourceQuota(_Ledger(held)))
        self._chain = Chain([_PodSecurity(held), *self._others])

    def trust_security(self) -> None:
        """Take pods for as safe as they have to be: what says so is not in a snapshot."""
        self._chain = Chain(self._others)

    def admit(self, resource: Resource, document: Document, old: Document | None) -> None:
        """Fill in what is not the sender's to say.

        Raises
        ------
        ForbiddenError
            It is refused, in the server's words.
        """
        _done(self._chain.admit(_attributes(resource, document, old)))

    def validate(self, resource: Resource, document: Document, old: Document | None) -> None:
        """Look at an object as it would be stored, and charge it to its quotas.

        Raises
        ------
        ForbiddenError
            It is refused, in the server's words.
        """
        _done(self._chain.validate(_attributes(resource, document, old)))

    def counts(self, namespace: str) -> bool:
        """Return whether what is in a namespace is counted."""
        return any(True for _ in self._held.find_all(RESOURCE_QUOTAS, namespace))


class _PodSecurity(Plugin):
    """Refuses pods that are not as safe as their namespace demands, and warns of none."""

    resources = (PODS,)

    def __init__(self, held: Held) -> None:
        self._held = held

    async def validate(self, attributes: Attributes) -> None:
        """Look at a new pod."""
        pod = attributes.document
        if pod is None or attributes.operation != "CREATE":
            return
        namespace = self._held.find(NAMESPACES, "", attributes.namespace) or {}
        labels = (namespace.get("metadata") or {}).get("labels") or {}
        policy, _ = policy_of(labels, NOTHING)
        if why_not := policy.enforce.violation(pod["metadata"], pod["spec"]):
            raise attributes.forbid(why_not)


class _Ledger:
    """Where it is written down what is used of quotas."""

    def __init__(self, held: Held) -> None:
        self._held = held
        self.find = held.find
        self.find_all = held.find_all

    async def charge(
        self, namespace: str, name: str, more: Totals, check: Callable[[Document], None]
    ) -> None:
        """Add to what is used of a quota, which `check` may refuse as it then is."""
        found = self._held.find(RESOURCE_QUOTAS, namespace, name)
        if found is None:
            return
        check(found)
        status: Mapping[str, Any] = found["status"]
        used = quota.added(status["used"], more)
        self._held.put(RESOURCE_QUOTAS, {**found, "status": {**status, "used": used}})


def _attributes(resource: Resource, document: Document, old: Document | None) -> Attributes:
    namespace = document["metadata"].get("namespace", "")
    operation: Operation = "CREATE" if old is None else "UPDATE"
    return Attributes(operation, resource, namespace, _PLANNER, document, old)


def _done(work: Coroutine[Any, Any, None]) -> None:
    """Do what waits for nobody."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise RuntimeError("a plan waits for nobody")
