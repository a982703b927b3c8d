"""Policies: the admission policies of a plan's cluster, asked by the server's own code.

    Rule 1  A policy that goes by who sends an object is not asked: a plan does not know who will.
    Rule 2  Nor is one whose parameters did not come with the cluster, or whose rules did not, or
            one with an expression that another server has understood and this one does not.
    Rule 3  Of an object that a snapshot holds in part, what it was is not told to expressions: one
            that goes by `oldObject` is not asked about its changes.
    Rule 4  Nobody is asked about what goes, nor about what is made of something held in part.

Who is not asked, at all or about something that happens in a plan, is named, see `uncalled.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from kubeberth.api.scheme import BY_KIND, Resource
from kubeberth.apiserver.admission.chain import Attributes, Plugin
from kubeberth.apiserver.admission.expressions import expression_of
from kubeberth.apiserver.admission.mutating_admission_policy import MutatingAdmissionPolicy
from kubeberth.apiserver.admission.policies import Policy, PolicyDesk, read_policies
from kubeberth.apiserver.admission.registered import Concerned, Counted, Registered
from kubeberth.apiserver.admission.validating_admission_policy import ValidatingAdmissionPolicy
from kubeberth.apiserver.admission.versions import Versions
from kubeberth.apiserver.auth.authn import User
from kubeberth.apiserver.auth.rbac import Authorizer, Grant
from kubeberth.apiserver.catalogue import BUILT_IN, Catalogue
from kubeberth.planner.held import Held
from kubeberth.planner.params import BINDINGS, POLICY_KINDS
from kubeberth.planner.plan import Uncalled
from kubeberth.planner.snapshot import is_reduced
from kubeberth.planner.unjudged import IN_PART, Unjudged

Document = dict[str, Any]
_SENDER = re.compile(r"\b(authorizer|userInfo)\b")
_BEFORE = re.compile(r"\boldObject\b")
_EXPRESSIONS = frozenset(("expression", "messageExpression", "valueExpression"))


class Policies:
    """The policies of some objects, and their parameters.

    Parameters
    ----------
    unjudged
        About what they are not asked.
    """

    def __init__(self, held: Held, unjudged: Unjudged) -> None:
        self._held = held
        self._params: dict[tuple[str, str], list[Document]] = {}
        self._catalogue = BUILT_IN
        self._changes = _Changes(held)
        versions = Versions(lambda: self._catalogue, _convert)
        reader = _Reader(held, self._params)
        desk = PolicyDesk(reader, versions, Authorizer(_NoGrants()))
        self._versions = versions
        self._unjudged = unjudged
        mutating, validating = self._registered = tuple(
            _Registered(self._changes, versions, partial(self._read, kind)) for kind in BINDINGS
        )
        self.plugins: tuple[Plugin, ...] = (
            MutatingAdmissionPolicy(mutating, desk),
            ValidatingAdmissionPolicy(validating, desk),
        )

    def know(self, params: Document) -> None:
        """Take in an object that policies have as parameters."""
        kind = params["apiVersion"], params["kind"]
        self._params.setdefault(kind, []).append(params)
        self._catalogue = Catalogue(
            tuple(_resource(*k, those) for k, those in self._params.items() if k not in BY_KIND)
        )
        self._changes.count += 1

    def unanswered(self) -> Iterator[Uncalled]:
        """Yield the policies in force that are not asked, or not about something that happened."""
        for kind, registered in zip(BINDINGS, self._registered, strict=True):
            for policy in read_policies(self._held, kind, BINDINGS[kind]):
                if not self._can_ask(policy):
                    yield Uncalled(kind.kind, policy.name)
                    continue
                missed = [about for about in self._unjudged.writes if self._concerns(policy, about)]
                if policy.name in registered.left_out and IN_PART not in missed:
                    missed.append(IN_PART)
                if missed:
                    yield Uncalled(kind.kind, policy.name, " and ".join(missed))

    def _concerns(self, policy: Policy, about: str) -> bool:
        matches, equivalents = policy.criteria.resource_for, self._versions.equivalents
        return any(matches(*write, equivalents) for write in self._unjudged.writes[about])

    def _read(self, kind: Resource) -> Sequence[Policy]:
        return [*filter(self._can_ask, read_policies(self._held, kind, BINDINGS[kind]))]

    def _can_ask(self, policy: Policy) -> bool:
        says = any(policy.spec.get(f) for f in ("validations", "auditAnnotations", "mutations"))
        if not says or _mentions(_SENDER, policy.spec):
            return False
        if any(expression_of(text).tree is None for text in _expressions(policy.spec)):
            return False
        kind = policy.param_kind
        return kind is None or (kind.get("apiVersion"), kind.get("kind")) in self._params


class _Registered(Registered[Policy]):
    """Policies; of a write, those that can be asked about it.

    Attributes
    ----------
    left_out
        Names of those that were not asked about one.
    """

    def __init__(
        self, changes: Counted, versions: Versions, read: Callable[[], Sequence[Policy]]
    ) -> None:
        super().__init__(changes, versions, read)
        self.left_out: set[str] = set()

    def concerned(self, attributes: Attributes) -> Sequence[Concerned[Policy]]:
        """Return who is concerned by a kind of write, before anybody looks at the object."""
        concerned = super().concerned(attributes)
        if not concerned or attributes.old is None or not is_reduced(attributes.old):
            return concerned
        left_out = [each for each in concerned if _mentions(_BEFORE, each[0].spec)]
        self.left_out.update(policy.name for policy, _, _ in left_out)
        return [each for each in concerned if each not in left_out]


class _Changes:
    """Counts how often policies and bindings have changed."""

    def __init__(self, held: Held) -> None:
        self.count = 0
        held.follow(self._note, POLICY_KINDS)

    def _note(self, resource: Resource, old: Any, new: Any) -> None:
        self.count += 1


class _Reader:
    """Shows the objects of a cluster, and parameters."""

    def __init__(self, held: Held, params: Mapping[tuple[str, str], Sequence[Document]]) -> None:
        self._held = held
        self._params = params

    def find(self, resource: Resource, namespace: str, name: str) -> Document | None:
        """Return an object, or None."""
        those = self._params.get((resource.api_version, resource.kind))
        if those is None:
            return self._held.find(resource, namespace, name)
        found = (each for each in those if _is_in(each, namespace))
        return next((each for each in found if each["metadata"].get("name") == name), None)

    def find_all(self, resource: Resource, namespace: str = "") -> Iterable[Document]:
        """Return the objects of a resource."""
        those = self._params.get((resource.api_version, resource.kind))
        if those is None:
            return self._held.find_all(resource, namespace)
        return [each for each in those if _is_in(each, namespace)]


class _NoGrants:
    """Nobody's rights: no expression that asks for them is evaluated."""

    def grants(self, user: User, namespace: str) -> Sequence[Grant]:
        """Return none."""
        return ()


def _is_in(document: Document, namespace: str) -> bool:
    return namespace in ("", document["metadata"].get("namespace", ""))


def _resource(api_version: str, kind: str, documents: Iterable[Document]) -> Resource:
    """Return a resource of the user's own, as far as its objects tell."""
    group, _, version = api_version.rpartition("/")
    is_namespaced = any("namespace" in document["metadata"] for document in documents)
    return Resource(group, version, f"{kind.lower()}s", kind, is_namespaced)


async def _convert(source: Resource, target: Resource, document: Document) -> Document:
    raise TypeError(f"a plan writes no {source.kind}")


def _mentions(word: re.Pattern[str], spec: Mapping[str, Any]) -> bool:
    return any(word.search(text) for text in _expressions(spec))


def _expressions(part: Any) -> Iterator[str]:
    """Yield the expressions somewhere in a part of a policy."""
    if isinstance(part, Mapping):
        for key, value in part.items():
            if key in _EXPRESSIONS and isinstance(value, str):
                yield value
            else:
                yield from _expressions(value)
    elif isinstance(part, list):
        for each in part:
            yield from _expressions(each)
