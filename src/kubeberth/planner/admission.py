"""Admission: the API server's own rules, as far as they decide what pods there may be.

    LimitRanger     gives containers what they lack, and refuses what is out of bounds
    PodSecurity     refuses pods that are not as safe as the labels of their namespace demand
    RuntimeClass    gives a pod the overhead, the nodes and the tolerations of its runtime class
    policies        change, refuse and warn as their expressions say; see `policies.py`
    ResourceQuota   refuses what a namespace has no more room for, and counts what it lets in

In a server they may have to wait for others who write, too; here there is nobody to wait for.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from kubeberth.api import quota
from kubeberth.api.pod_totals import Totals
from kubeberth.api.scheme import BY_KIND, RESOURCE_QUOTAS, Resource
from kubeberth.apiserver.admission.chain import Attributes, Chain, Operation, Plugin
from kubeberth.apiserver.admission.limit_ranger import LimitRanger
from kubeberth.apiserver.admission.pod_security import PodSecurity
from kubeberth.apiserver.admission.resource_quota import ResourceQuota
from kubeberth.apiserver.admission.runtime_class import RuntimeClass
from kubeberth.apiserver.auth.authn import User
from kubeberth.planner.held import Held
from kubeberth.planner.params import POLICY_KINDS
from kubeberth.planner.plan import Uncalled
from kubeberth.planner.snapshot import is_reduced
from kubeberth.planner.unjudged import IN_PART, Unjudged

if TYPE_CHECKING:
    from kubeberth.planner.policies import Policies

Document = dict[str, Any]

# Whoever plans; none of these plugins makes a difference between people.
_PLANNER = User("planner")


class Written(Held, Protocol):
    """The same, and the quotas that are written to."""

    def put(self, resource: Resource, document: Document) -> None:
        """Take an object in as it is."""


class Admission:
    """Lets new and changed objects in, or does not.

    Attributes
    ----------
    unjudged
        About what no admission policy is asked.
    """

    def __init__(self, held: Written) -> None:
        self._held = held
        self.unjudged = Unjudged()
        self._limits, self._runtimes = LimitRanger(held), RuntimeClass(held)
        self._security, self._quotas = PodSecurity(held, {}), ResourceQuota(_Ledger(held))
        # What of a pod says how safe it is, and what policies look at, is not in a snapshot.
        self._of_parts = Chain([self._limits, self._runtimes, self._quotas])
        self._policies: Policies | None = None
        self._ask(())
        held.follow(self._on_policy, POLICY_KINDS)

    def _ask(self, policies: Sequence[Plugin]) -> None:
        """Have these asked, besides the rest."""
        first = self._limits, self._security, self._runtimes
        self._of_policies, self._all = Chain(policies), Chain([*first, *policies, self._quotas])

    def _on_policy(self, resource: Resource, old: Any, new: Any) -> None:
        self._with_policies()

    def _with_policies(self) -> Policies:
        """Return the policies. Most clusters have none, and reading them takes much code."""
        if self._policies is None:
            from kubeberth.planner.policies import Policies

            self._policies = Policies(self._held, self.unjudged)
            self._ask(self._policies.plugins)
        return self._policies

    def know_params(self, document: Document) -> None:
        """Take in an object that admission policies have as parameters."""
        self._with_policies().know(document)

    def unanswered_policies(self) -> Iterator[Uncalled]:
        """Yield the policies in force that are not asked, or not about something that happened."""
        return iter(()) if self._policies is None else self._policies.unanswered()

    def admit(self, resource: Resource, document: Document, old: Document | None) -> None:
        """Fill in, in place, what is not the sender's to say.

        Raises
        ------
        ForbiddenError
            It is refused, in the server's words.
        """
        attributes = _attributes(resource, document, old)
        _done(self._chain_of(attributes, document).admit(attributes))
        _take_over(attributes, document)

    def validate(
        self, resource: Resource, document: Document, old: Document | None
    ) -> Sequence[str]:
        """Look at an object as it would be stored, and charge it to its quotas.

        Returns
        -------
        Sequence of str
            What its sender is warned of.

        Raises
        ------
        ForbiddenError
            It is refused, in the server's words.
        """
        attributes = _attributes(resource, document, old)
        _done(self._chain_of(attributes, document).validate(attributes))
        return attributes.warnings

    def ask_policies(self, resource: Resource, document: Document, old: Document) -> bool:
        """Have policies change, in place, or refuse an object that a controller has changed.

        Returns
        -------
        bool
            Whether they have changed it, so that it may not be valid any more.

        Raises
        ------
        ForbiddenError
            It is refused, in the server's words.
        """
        attributes = _attributes(resource, document, old)
        if self._chain_of(attributes, document) is not self._all:
            return False
        _done(self._of_policies.admit(attributes))
        is_changed = _take_over(attributes, document)
        _done(self._of_policies.validate(attributes))
        return is_changed

    def counts(self, namespace: str) -> bool:
        """Return whether what is in a namespace is counted."""
        return any(True for _ in self._held.find_all(RESOURCE_QUOTAS, namespace))

    def _chain_of(self, attributes: Attributes, document: Document) -> Chain:
        if self._is_whole(document):
            return self._all
        self.unjudged.note(IN_PART, attributes.operation, attributes.resource)
        return self._of_parts

    def _is_whole(self, document: Document) -> bool:
        """Return whether all of an object is here; what is made from a part is a part."""
        if is_reduced(document):
            return False
        meta = document["metadata"]
        for owner in meta.get("ownerReferences") or ():
            resource = BY_KIND.get((owner["apiVersion"], owner["kind"]))
            if resource is not None and owner.get("controller"):
                namespace = meta.get("namespace", "") if resource.namespaced else ""
                maker = self._held.find(resource, namespace, owner["name"])
                return maker is None or self._is_whole(maker)
        return True


class _Ledger:
    """Where it is written down what is used of quotas."""

    def __init__(self, held: Written) -> None:
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


def _take_over(attributes: Attributes, document: Document) -> bool:
    """Let an object be what admission has made of it; return whether that is something else."""
    new = attributes.document
    if new is None or new is document:
        return False
    document.clear()
    document.update(new)
    return True


def _done(work: Coroutine[Any, Any, None]) -> None:
    """Do what waits for nobody."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise RuntimeError("a plan waits for nobody")
