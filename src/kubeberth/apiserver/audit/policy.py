"""What is written down of which request: an audit policy, from a file or our own; pure.

The first rule that covers a request tells the level; none, and nothing is written.
Matches `k8s.io/apiserver/pkg/audit/policy` of Kubernetes 1.36.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import msgspec

from kubeberth.api import yaml
from kubeberth.apiserver.auth.authn import User
from kubeberth.apiserver.route import RequestInfo
from kubeberth.errors import UsageError

Stage = Literal["RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"]
STAGES: tuple[Stage, ...] = ("RequestReceived", "ResponseStarted", "ResponseComplete", "Panic")
API_VERSION = "audit.k8s.io/v1"


class Level(IntEnum):
    """How much is written down."""

    None_ = 0
    Metadata = 1
    Request = 2
    RequestResponse = 3

    def __str__(self) -> str:
        return self.name.rstrip("_")


_LEVELS = {str(level): level for level in Level}


class _Strict(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    pass


class GroupResources(_Strict, frozen=True):
    """Resources of a group; none stand for all of them.

    Parameters
    ----------
    resources
        `pods`, `pods/log`, `pods/*`, `*/scale` or `*`.
    """

    group: str = ""
    resources: tuple[str, ...] = ()
    resource_names: tuple[str, ...] = ()

    def covers(self, info: RequestInfo) -> bool:
        """Return whether a request is about one of them."""
        if self.group != info.group:
            return False
        if not self.resources:
            return True
        if self.resource_names and info.name not in self.resource_names:
            return False
        sub = info.subresource
        combined = f"{info.plural}/{sub}" if sub else info.plural
        wild = {combined, "*", f"{info.plural}/*"} | ({f"*/{sub}"} if sub else set())
        return not wild.isdisjoint(self.resources)


class Rule(_Strict, frozen=True):
    """What is written down of some requests; an empty list covers all."""

    level: str = ""
    users: tuple[str, ...] = ()
    user_groups: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    resources: tuple[GroupResources, ...] = ()
    namespaces: tuple[str, ...] = ()
    # The JSON name is no camel case of any Python name.
    non_resource_urls: tuple[str, ...] = msgspec.field(default=(), name="nonResourceURLs")
    omit_stages: tuple[str, ...] = ()
    omit_managed_fields: bool | None = None

    def covers(self, user: User | None, info: RequestInfo) -> bool:
        """Return whether the rule is about a request; nobody's is one of no user and no group."""
        if self.users and (user is None or user.name not in self.users):
            return False
        if self.user_groups and (user is None or user.groups.isdisjoint(self.user_groups)):
            return False
        if self.verbs and info.verb not in self.verbs:
            return False
        if self.namespaces or self.resources:
            return self._covers_resource(info)
        if self.non_resource_urls:
            return not info.is_resource and any(
                url in ("*", info.path) or (url.endswith("*") and info.path.startswith(url[:-1]))
                for url in self.non_resource_urls
            )
        return True

    def _covers_resource(self, info: RequestInfo) -> bool:
        if not info.is_resource:
            return False
        if self.namespaces and info.namespace not in self.namespaces:
            return False
        return not self.resources or any(some.covers(info) for some in self.resources)


@dataclass(frozen=True, slots=True)
class Measure:
    """How much of a request is written down, and at which stages."""

    level: Level
    stages: frozenset[Stage] = frozenset()
    omits_managed_fields: bool = False


NOTHING = Measure(Level.None_)


class Policy(_Strict, frozen=True):
    """An audit policy."""

    rules: tuple[Rule, ...] = ()
    omit_stages: tuple[str, ...] = ()
    omit_managed_fields: bool = False

    def measure(self, user: User | None, info: RequestInfo) -> Measure:
        """Return how much of a request is written down."""
        for rule in self.rules:
            if rule.covers(user, info):
                omits = rule.omit_managed_fields
                return Measure(
                    _LEVELS[rule.level],
                    frozenset(STAGES).difference(self.omit_stages, rule.omit_stages),
                    self.omit_managed_fields if omits is None else omits,
                )
        return NOTHING


class _File(Policy, frozen=True):
    kind: str = ""
    api_version: str = ""
    metadata: dict[str, object] = {}


def parse_policy(text: str | bytes, name: str) -> Policy:
    """Return the policy of a file.

    Raises
    ------
    UsageError
        It is none; the text has a line for each fault.
    """
    try:
        policy = msgspec.convert(yaml.parse(text), _File)
    except (yaml.YAMLError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise UsageError(f"{name} is no audit policy: {error}") from error
    faults = [f"{name}: {fault}" for fault in _faults(policy)]
    if faults:
        raise UsageError("\n".join(faults))
    return policy


def _faults(policy: _File) -> list[str]:
    if policy.kind != "Policy" or policy.api_version != API_VERSION:
        found = f'"{policy.kind}" of "{policy.api_version}"'
        return [f'an audit policy is a "Policy" of "{API_VERSION}", this is {found}']
    if not policy.rules:
        return ["rules: Required value: a policy without rules writes nothing down"]
    faults = _stage_faults("omitStages", policy.omit_stages)
    for index, rule in enumerate(policy.rules):
        faults += _rule_faults(f"rules[{index}]", rule)
    return faults


def _rule_faults(path: str, rule: Rule) -> list[str]:
    faults = _stage_faults(f"{path}.omitStages", rule.omit_stages)
    if not rule.level:
        faults.append(f"{path}.level: Required value")
    elif rule.level not in _LEVELS:
        supported = ", ".join(f'"{level}"' for level in _LEVELS)
        faults.append(f'{path}.level: Unsupported value: "{rule.level}": supported: {supported}')
    if rule.non_resource_urls and (rule.resources or rule.namespaces):
        faults.append(
            f"{path}.nonResourceURLs: Invalid value: rules cannot apply to both regular resources "
            "and non-resource URLs"
        )
    for index, url in enumerate(rule.non_resource_urls):
        where = f'{path}.nonResourceURLs[{index}]: Invalid value: "{url}": non-resource URL'
        if url != "*" and not url.startswith("/"):
            faults.append(f"{where} rules must begin with a '/' character")
        elif "*" in url[:-1]:
            faults.append(f"{where} wildcards '*' must be the final character of the rule")
    for index, some in enumerate(rule.resources):
        if some.resource_names and not some.resources:
            faults.append(
                f"{path}.resources[{index}].resourceNames: Invalid value: using resourceNames "
                "requires at least one resource"
            )
    return faults


def _stage_faults(path: str, stages: tuple[str, ...]) -> list[str]:
    supported = ", ".join(f'"{stage}"' for stage in STAGES)
    return [
        f'{path}[{index}]: Unsupported value: "{stage}": supported: {supported}'
        for index, stage in enumerate(stages)
        if stage not in STAGES
    ]


# For who names a log and no policy: who has changed what, but nothing that is secret, and not the
# noise of processes that watch and renew.
DEFAULT_POLICY = Policy(
    omit_stages=("RequestReceived",),
    omit_managed_fields=True,
    rules=(
        Rule(
            level="None",
            non_resource_urls=("/healthz*", "/livez*", "/readyz*", "/version*", "/openapi/*"),
        ),
        Rule(
            level="None",
            resources=(
                GroupResources("", ("events",)),
                GroupResources("events.k8s.io", ("events",)),
                GroupResources("coordination.k8s.io", ("leases",)),
            ),
        ),
        Rule(
            level="Metadata",
            resources=(
                GroupResources("", ("secrets", "configmaps", "serviceaccounts/token")),
                GroupResources("authentication.k8s.io", ("tokenreviews",)),
            ),
        ),
        # What goes through to a node may be anything.
        Rule(level="Metadata", resources=(GroupResources("", ("*/proxy",)),)),
        Rule(level="Metadata", verbs=("get", "list", "watch")),
        Rule(level="Request"),
    ),
)
