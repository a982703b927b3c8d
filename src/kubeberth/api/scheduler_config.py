"""`kubescheduler.config.k8s.io/v1`: what a scheduler's configuration file holds.

Fields, names and defaults are those of kube-scheduler 1.36. `placement/config` decodes and checks
such files and makes profiles of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar, TypeVar

import msgspec

from kubeberth.api.core import NodeAffinity, TopologySpreadConstraint

GROUP_VERSION = "kubescheduler.config.k8s.io/v1"
KIND = "KubeSchedulerConfiguration"
DEFAULT_SCHEDULER_NAME = "default-scheduler"


Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]


class ConfigStruct(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Parent of everything in a configuration."""


# Which plugins take part


class PluginRef(ConfigStruct, frozen=True):
    """A plugin by name; `weight` counts where it scores, and 0 means that none was given."""

    name: str = ""
    weight: Int32 = 0


class PluginSet(ConfigStruct, frozen=True):
    """What one extension point adds to, and leaves out of, the default; `*` leaves out all."""

    enabled: tuple[PluginRef, ...] = ()
    disabled: tuple[PluginRef, ...] = ()


class Plugins(ConfigStruct, frozen=True):
    """One set per extension point; `multi_point` means every point that a plugin has."""

    multi_point: PluginSet = PluginSet()
    pre_enqueue: PluginSet = PluginSet()
    queue_sort: PluginSet = PluginSet()
    pre_filter: PluginSet = PluginSet()
    filter: PluginSet = PluginSet()
    post_filter: PluginSet = PluginSet()
    pre_score: PluginSet = PluginSet()
    score: PluginSet = PluginSet()
    reserve: PluginSet = PluginSet()
    permit: PluginSet = PluginSet()
    pre_bind: PluginSet = PluginSet()
    bind: PluginSet = PluginSet()
    post_bind: PluginSet = PluginSet()
    placement_generate: PluginSet = PluginSet()
    placement_score: PluginSet = PluginSet()


# Arguments of plugins


class Args(ConfigStruct, frozen=True):
    """Parent of the arguments of one plugin."""

    plugin: ClassVar[str]


class ResourceSpec(ConfigStruct, frozen=True):
    """A resource that counts in a score, and how much."""

    name: str = ""
    weight: Int32 = 1


CPU_AND_MEMORY = (ResourceSpec(name="cpu"), ResourceSpec(name="memory"))


class UtilizationShapePoint(ConfigStruct, frozen=True):
    """At a utilization in percent, a score of 0 to 10."""

    utilization: Int32 = 0
    score: Int32 = 0


class RequestedToCapacityRatioParam(ConfigStruct, frozen=True):
    """The score as a function of utilization, linear between the points."""

    shape: tuple[UtilizationShapePoint, ...] = ()


class ScoringStrategy(ConfigStruct, frozen=True):
    """How NodeResourcesFit scores room."""

    type: str = "LeastAllocated"
    resources: tuple[ResourceSpec, ...] = ()
    requested_to_capacity_ratio: RequestedToCapacityRatioParam | None = None

    @property
    def counted(self) -> tuple[ResourceSpec, ...]:
        """The resources that count: CPU and memory when none are named."""
        return self.resources or CPU_AND_MEMORY


class NodeResourcesFitArgs(Args, frozen=True):
    """Arguments of NodeResourcesFit."""

    plugin = "NodeResourcesFit"

    ignored_resources: tuple[str, ...] = ()
    ignored_resource_groups: tuple[str, ...] = ()
    scoring_strategy: ScoringStrategy = ScoringStrategy()


class NodeResourcesBalancedAllocationArgs(Args, frozen=True):
    """Arguments of NodeResourcesBalancedAllocation."""

    plugin = "NodeResourcesBalancedAllocation"

    resources: tuple[ResourceSpec, ...] = ()

    @property
    def counted(self) -> tuple[ResourceSpec, ...]:
        """The resources that count: CPU and memory when none are named."""
        return self.resources or CPU_AND_MEMORY


class NodeAffinityArgs(Args, frozen=True):
    """Arguments of NodeAffinity; `added_affinity` applies to every pod of the profile."""

    plugin = "NodeAffinity"

    added_affinity: NodeAffinity | None = None


class InterPodAffinityArgs(Args, frozen=True):
    """Arguments of InterPodAffinity."""

    plugin = "InterPodAffinity"

    hard_pod_affinity_weight: Int32 = 1
    ignore_preferred_terms_of_existing_pods: bool = False


class DefaultConstraint(TopologySpreadConstraint, frozen=True):
    """A spread constraint for pods without any; says everything itself."""

    max_skew: int = 0
    when_unsatisfiable: str = ""


class PodTopologySpreadArgs(Args, frozen=True):
    """Arguments of PodTopologySpread."""

    plugin = "PodTopologySpread"

    default_constraints: tuple[DefaultConstraint, ...] = ()
    defaulting_type: str = "System"


class DefaultPreemptionArgs(Args, frozen=True):
    """Arguments of DefaultPreemption."""

    plugin = "DefaultPreemption"

    min_candidate_nodes_percentage: Int32 = 10
    min_candidate_nodes_absolute: Int32 = 100


class VolumeBindingArgs(Args, frozen=True):
    """Arguments of VolumeBinding."""

    plugin = "VolumeBinding"

    bind_timeout_seconds: int = 600
    shape: tuple[UtilizationShapePoint, ...] = ()


class DynamicResourcesArgs(Args, frozen=True):
    """Arguments of DynamicResources; durations as Go writes them."""

    plugin = "DynamicResources"

    filter_timeout: str = "10s"
    binding_timeout: str = "600s"


ARGS: tuple[type[Args], ...] = (
    NodeResourcesFitArgs,
    NodeResourcesBalancedAllocationArgs,
    NodeAffinityArgs,
    InterPodAffinityArgs,
    PodTopologySpreadArgs,
    DefaultPreemptionArgs,
    VolumeBindingArgs,
    DynamicResourcesArgs,
)


A = TypeVar("A", bound=Args)


class Arguments:
    """The arguments of all plugins of a profile."""

    def __init__(self, given: Iterable[Args] = ()) -> None:
        self._given = {type(args): args for args in given}

    def of(self, kind: type[A]) -> A:
        """Return the arguments of one kind, the defaults when none were given."""
        return self.given(kind) or kind()

    def given(self, kind: type[A]) -> A | None:
        """Return the arguments of one kind, None when none were given."""
        args = self._given.get(kind)
        return args if isinstance(args, kind) else None


class PluginConfig(ConfigStruct, frozen=True):
    """The arguments of one plugin, as JSON."""

    name: str = ""
    args: dict[str, object] = {}


# The file


class ProfileConfig(ConfigStruct, frozen=True):
    """One scheduler: the pods that name it in `spec.schedulerName` are placed by these rules."""

    scheduler_name: str = ""
    percentage_of_nodes_to_score: Int32 | None = None
    plugins: Plugins = Plugins()
    plugin_config: tuple[PluginConfig, ...] = ()


class LeaderElection(ConfigStruct, frozen=True):
    """Which of several schedulers works; durations as Go writes them, such as `15s`."""

    leader_elect: bool = True
    lease_duration: str = "15s"
    renew_deadline: str = "10s"
    retry_period: str = "2s"
    resource_lock: str = "leases"
    resource_name: str = "kube-scheduler"
    resource_namespace: str = "kube-system"


class ClientConnection(ConfigStruct, frozen=True):
    """How the API server is talked to."""

    kubeconfig: str = ""
    accept_content_types: str = ""
    content_type: str = "application/vnd.kubernetes.protobuf"
    qps: float = 50
    burst: Int32 = 100


class ManagedResource(ConfigStruct, frozen=True):
    """An extended resource that an extender looks after."""

    name: str = ""
    ignored_by_scheduler: bool = False


class Extender(ConfigStruct, frozen=True):
    """A web server that takes part in decisions."""

    url_prefix: str = ""
    filter_verb: str = ""
    preempt_verb: str = ""
    prioritize_verb: str = ""
    weight: Int32 = 0
    bind_verb: str = ""
    enable_https: bool = msgspec.field(default=False, name="enableHTTPS")
    tls_config: dict[str, object] | None = None
    http_timeout: str = msgspec.field(default="5s", name="httpTimeout")
    node_cache_capable: bool = False
    managed_resources: tuple[ManagedResource, ...] = ()
    ignorable: bool = False


class KubeSchedulerConfiguration(ConfigStruct, frozen=True):
    """The whole file."""

    api_version: str = GROUP_VERSION
    kind: str = KIND
    parallelism: Int32 = 16
    percentage_of_nodes_to_score: Int32 = 0
    pod_initial_backoff_seconds: int = 1
    pod_max_backoff_seconds: int = 10
    profiles: tuple[ProfileConfig, ...] = (ProfileConfig(scheduler_name=DEFAULT_SCHEDULER_NAME),)
    leader_election: LeaderElection = LeaderElection()
    client_connection: ClientConnection = ClientConnection()
    extenders: tuple[Extender, ...] = ()
    enable_profiling: bool = True
    enable_contention_profiling: bool = True
    delay_cache_until_active: bool = False
