"""CEL in admission: what expressions can see, and what becomes of them.

Rule: https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
Matches `plugin/cel` and `plugin/webhook/matchconditions` of k8s.io/apiserver 1.36.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from msgspec import structs

from kubeberth.api.cel.evaluate import BUDGET, Budget, evaluate, unknown_functions
from kubeberth.api.cel.functions import CelError, Receiver
from kubeberth.api.cel.syntax import CelSyntaxError, Node, parse
from kubeberth.apiserver.admission.chain import Attributes, Document
from kubeberth.apiserver.admission.matching import namespace_of
from kubeberth.apiserver.admission.review import Asked, options_of, request_of
from kubeberth.apiserver.auth.authn import AUTHENTICATED, SERVICE_ACCOUNT, User
from kubeberth.apiserver.auth.rbac import Authorizer, Decision
from kubeberth.apiserver.patching import with_plain_entries
from kubeberth.apiserver.route import Query, RequestInfo

# Of the bodies of macros, for one expression: some tenths of a second, and about what upstream's
# limit of the cost of a call comes to.
MAX_ROUNDS = 100_000


class ExpressionError(Exception):
    """An expression has no value."""


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression as somebody wrote it, and its tree; None with a fault in place of it."""

    text: str
    tree: Node | None
    fault: str = ""

    def value(self, variables: Mapping[str, Any]) -> Any:
        """Return the value.

        Raises
        ------
        ExpressionError
            There is none.
        """
        if self.tree is None:
            raise ExpressionError(f"compilation error: compilation failed: {self.fault}")
        try:
            return evaluate(self.tree, {**variables, BUDGET: Budget(MAX_ROUNDS)})
        except CelError as error:
            why = f"expression '{self.text}' resulted in error: {error}"
            raise ExpressionError(why) from error
        except RecursionError as error:
            why = f"expression '{self.text}' resulted in error: operation cancelled: too deep"
            raise ExpressionError(why) from error


@lru_cache(maxsize=4096)
def expression_of(text: str) -> Expression:
    """Return an expression; what is wrong with it is told when its value is asked for."""
    try:
        tree = parse(text)
    except CelSyntaxError as error:
        return Expression(text, None, str(error))
    if unknown := sorted(unknown_functions(tree)):
        return Expression(text, None, f"undeclared reference to '{unknown[0]}'")
    return Expression(text, tree)


@dataclass(frozen=True, slots=True)
class Condition:
    """A named `MatchCondition`."""

    name: str
    expression: Expression


def conditions_of(documents: Iterable[Mapping[str, Any]] | None) -> tuple[Condition, ...]:
    """Return match conditions."""
    return tuple(
        Condition(item.get("name", ""), expression_of(item.get("expression", "").strip()))
        for item in documents or ()
    )


def hold(
    conditions: Sequence[Condition], variables: Mapping[str, Any], *, fails_open: bool
) -> bool:
    """Return whether all conditions hold; one that does not makes errors of others not matter.

    Raises
    ------
    ExpressionError
        Some have no value, and this shall not pass.
    """
    faults: list[str] = []
    for condition in conditions:
        try:
            if condition.expression.value(variables) is False:
                return False
        except ExpressionError as error:
            faults.append(str(error))
    if faults and not fails_open:
        unique = list(dict.fromkeys(faults))
        raise ExpressionError(unique[0] if len(unique) == 1 else f"[{', '.join(unique)}]")
    return not faults


def variables_of(attributes: Attributes, asked: Asked, authorizer: Authorizer) -> dict[str, Any]:
    """Return what every expression can see of a write."""
    return {
        "object": _plain(asked.document),
        "oldObject": _plain(asked.old),
        "request": {
            **request_of(attributes, asked),
            "dryRun": attributes.dry_run,
            "options": options_of(attributes),
        },
        "authorizer": CelAuthorizer(authorizer, attributes.user, attributes),
    }


def _plain(document: Document | None) -> Document | None:
    if document is None or "managedFields" not in (document.get("metadata") or {}):
        return document
    return with_plain_entries(document)


class Variables(dict[str, Any]):
    """The variables of a policy, each worked out when it is first asked for."""

    def __init__(self, expressions: Mapping[str, Expression], seen: Mapping[str, Any]) -> None:
        super().__init__()
        self._expressions = expressions
        self._seen = {**seen, "variables": self}

    def __contains__(self, name: object) -> bool:
        return name in self._expressions

    def __missing__(self, name: str) -> Any:
        expression = self._expressions[name]
        if expression.tree is None:
            raise CelError(f'composited variable "{name}" fails to compile: {expression.fault}')
        try:
            value = evaluate(expression.tree, {**self._seen, BUDGET: Budget(MAX_ROUNDS)})
        except CelError as error:
            why = f'composited variable "{name}" fails to evaluate: {error}'
            raise CelError(why) from error
        self[name] = value
        return value


class CelAuthorizer(Receiver):
    """What the user of a request may do: `authorizer.group("apps").resource("deployments")...`."""

    def __init__(self, authorizer: Authorizer, user: User, attributes: Attributes) -> None:
        self._authorizer = authorizer
        self._user = user
        self._attributes = attributes

    def field(self, name: str) -> Any:
        """Return the check of the object that the request is about."""
        if name != "requestResource":
            return super().field(name)
        attributes, resource = self._attributes, self._attributes.resource
        info = structs.replace(
            _NO_REQUEST,
            group=resource.group,
            version=resource.version,
            plural=resource.plural,
            subresource=attributes.subresource,
            namespace=namespace_of(attributes),
            name=attributes.name,
        )
        return ResourceCheck(self._authorizer, self._user, info)

    def group(self, name: str) -> GroupCheck:
        """Return a check of a group's resources."""
        return GroupCheck(self._authorizer, self._user, name)

    def path(self, path: str) -> ResourceCheck:
        """Return a check of a path that is no resource."""
        if not path:
            raise CelError("path must not be empty")
        return ResourceCheck(self._authorizer, self._user, structs.replace(_NO_REQUEST, path=path))

    def service_account(self, namespace: str, name: str) -> CelAuthorizer:
        """Return what a service account may do."""
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED)
        user = User.of(f"{SERVICE_ACCOUNT}{namespace}:{name}", groups)
        return CelAuthorizer(self._authorizer, user, self._attributes)


_NO_REQUEST = RequestInfo(method="", path="", query=Query(""), verb="")


@dataclass(frozen=True, slots=True)
class GroupCheck(Receiver):
    """A check of which the resource is to come."""

    authorizer: Authorizer
    user: User
    group_name: str

    def resource(self, plural: str) -> ResourceCheck:
        """Return a check of a resource."""
        # Any version: rules do not tell them apart.
        info = structs.replace(_NO_REQUEST, group=self.group_name, version="*", plural=plural)
        return ResourceCheck(self.authorizer, self.user, info)


@dataclass(frozen=True, slots=True)
class ResourceCheck(Receiver):
    """A check of which the verb is to come."""

    authorizer: Authorizer
    user: User
    info: RequestInfo

    def subresource(self, name: str) -> ResourceCheck:
        """Return the check of a subresource."""
        return self._about(subresource=name)

    def namespace(self, name: str) -> ResourceCheck:
        """Return the check in a namespace."""
        return self._about(namespace=name)

    def name(self, name: str) -> ResourceCheck:
        """Return the check of one object."""
        return self._about(name=name)

    def check(self, verb: str) -> CelDecision:
        """Return whether the verb is allowed."""
        info = structs.replace(self.info, verb=verb)
        return CelDecision(self.authorizer.decide(self.user, info))

    def _about(self, **changes: str) -> ResourceCheck:
        return ResourceCheck(self.authorizer, self.user, structs.replace(self.info, **changes))


@dataclass(frozen=True, slots=True)
class CelDecision(Receiver):
    """What the authorizer says."""

    decision: Decision

    def allowed(self) -> bool:
        """Return whether it says yes."""
        return self.decision.is_allowed

    def reason(self) -> str:
        """Return why."""
        return self.decision.reason

    def errored(self) -> bool:
        """Return whether it could not say."""
        return False

    def error(self) -> str:
        """Return why it could not say."""
        return ""
