"""The core group's kinds, `v1`, as the engine, the scheduler and the kubelet read them.

Input: stored objects, so defaults are filled in and quantities are canonical text. Decode with
`decode_pod`, `decode_node`, `decode_namespace` and `decode_service`.
"""

from __future__ import annotations

import msgspec

from kubeberth.api.meta import ApiStruct, Condition, LabelSelector, ObjectMeta
from kubeberth.api.volumes import Volume

ResourceList = dict[str, str]


class ResourceRequirements(ApiStruct, frozen=True):
    """What a container, or a whole pod, asks for and may use at most."""

    requests: ResourceList = {}
    limits: ResourceList = {}


class ContainerPort(ApiStruct, frozen=True):
    """A port that a container exposes."""

    name: str = ""
    container_port: int = 0
    host_port: int = 0
    host_ip: str = msgspec.field(default="", name="hostIP")
    protocol: str = "TCP"


class ContainerRestartRule(ApiStruct, frozen=True):
    """What is done when a container exits in a certain way."""

    action: str = ""


class Container(ApiStruct, frozen=True):
    """One container of a pod; a sidecar is an init container that is always restarted."""

    name: str = ""
    image: str = ""
    resources: ResourceRequirements = ResourceRequirements()
    ports: tuple[ContainerPort, ...] = ()
    restart_policy: str | None = None
    restart_policy_rules: tuple[ContainerRestartRule, ...] = ()
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()

    @property
    def is_sidecar(self) -> bool:
        """Whether it is restartable; says something about init containers only."""
        return self.restart_policy == "Always"


class Toleration(ApiStruct, frozen=True):
    """Which taints a pod puts up with."""

    key: str = ""
    operator: str = ""
    value: str = ""
    effect: str = ""
    toleration_seconds: int | None = None


class NodeSelectorRequirement(ApiStruct, frozen=True):
    """One expression over a node's labels or fields."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


class NodeSelectorTerm(ApiStruct, frozen=True):
    """Expressions that must all hold; an empty term matches no node."""

    match_expressions: tuple[NodeSelectorRequirement, ...] = ()
    match_fields: tuple[NodeSelectorRequirement, ...] = ()


class NodeSelector(ApiStruct, frozen=True):
    """Terms of which one must hold."""

    node_selector_terms: tuple[NodeSelectorTerm, ...] = ()


class PreferredSchedulingTerm(ApiStruct, frozen=True):
    """A node term that is worth `weight`."""

    weight: int = 0
    preference: NodeSelectorTerm = NodeSelectorTerm()


class NodeAffinity(ApiStruct, frozen=True):
    """Which nodes a pod must and would rather run on."""

    required_during_scheduling_ignored_during_execution: NodeSelector | None = None
    preferred_during_scheduling_ignored_during_execution: tuple[PreferredSchedulingTerm, ...] = ()


class PodAffinityTerm(ApiStruct, frozen=True):
    """Pods, chosen by namespace and labels, and the topology in which they count."""

    topology_key: str = ""
    label_selector: LabelSelector | None = None
    namespaces: tuple[str, ...] = ()
    namespace_selector: LabelSelector | None = None
    match_label_keys: tuple[str, ...] = ()
    mismatch_label_keys: tuple[str, ...] = ()


class WeightedPodAffinityTerm(ApiStruct, frozen=True):
    """A pod term that is worth `weight`."""

    weight: int = 0
    pod_affinity_term: PodAffinityTerm = PodAffinityTerm()


class PodAffinity(ApiStruct, frozen=True):
    """Terms over other pods: `podAffinity`, and `podAntiAffinity` alike."""

    required_during_scheduling_ignored_during_execution: tuple[PodAffinityTerm, ...] = ()
    preferred_during_scheduling_ignored_during_execution: tuple[WeightedPodAffinityTerm, ...] = ()


class Affinity(ApiStruct, frozen=True):
    """All of a pod's affinities."""

    node_affinity: NodeAffinity | None = None
    pod_affinity: PodAffinity | None = None
    pod_anti_affinity: PodAffinity | None = None


class TopologySpreadConstraint(ApiStruct, frozen=True):
    """How evenly matching pods are to be spread over the values of a topology key."""

    max_skew: int = 1
    topology_key: str = ""
    when_unsatisfiable: str = "DoNotSchedule"
    label_selector: LabelSelector | None = None
    min_domains: int | None = None
    node_affinity_policy: str | None = None
    node_taints_policy: str | None = None
    match_label_keys: tuple[str, ...] = ()


class PodSchedulingGate(ApiStruct, frozen=True):
    """A name that keeps a pod from being scheduled while it is there."""

    name: str


class PodSpec(ApiStruct, frozen=True):
    """What a pod wants."""

    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    overhead: ResourceList = {}
    runtime_class_name: str = ""
    resources: ResourceRequirements | None = None
    node_name: str = ""
    scheduler_name: str = "default-scheduler"
    node_selector: dict[str, str] = {}
    affinity: Affinity | None = None
    tolerations: tuple[Toleration, ...] = ()
    topology_spread_constraints: tuple[TopologySpreadConstraint, ...] = ()
    scheduling_gates: tuple[PodSchedulingGate, ...] = ()
    priority: int | None = None
    priority_class_name: str = ""
    preemption_policy: str = "PreemptLowerPriority"
    restart_policy: str = "Always"
    hostname: str = ""
    subdomain: str = ""
    host_network: bool = False
    host_users: bool | None = None
    volumes: tuple[Volume, ...] = ()
    termination_grace_period_seconds: int | None = None
    active_deadline_seconds: int | None = None


class ContainerStateWaiting(ApiStruct, frozen=True):
    """Not started yet, and why."""

    reason: str = ""
    message: str = ""


class ContainerStateRunning(ApiStruct, frozen=True):
    """Running, since when."""

    started_at: str | None = None


class ContainerStateTerminated(ApiStruct, frozen=True):
    """Over, and how it ended."""

    exit_code: int = 0
    reason: str = ""
    message: str = ""
    started_at: str | None = None
    finished_at: str | None = None
    container_id: str = msgspec.field(default="", name="containerID")


class ContainerState(ApiStruct, frozen=True):
    """One of three; none of them means waiting."""

    waiting: ContainerStateWaiting | None = None
    running: ContainerStateRunning | None = None
    terminated: ContainerStateTerminated | None = None


class ContainerStatus(ApiStruct, frozen=True):
    """How one container is doing."""

    name: str = ""
    image: str = ""
    image_id: str = msgspec.field(default="", name="imageID")
    container_id: str = msgspec.field(default="", name="containerID")
    ready: bool = False
    started: bool | None = None
    restart_count: int = 0
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()
    resources: ResourceRequirements | None = None
    allocated_resources: ResourceList = {}


class PodIP(ApiStruct, frozen=True):
    """One of a pod's addresses."""

    ip: str = ""


class PodStatus(ApiStruct, frozen=True):
    """How a pod is doing."""

    phase: str = ""
    reason: str = ""
    message: str = ""
    conditions: tuple[Condition, ...] = ()
    nominated_node_name: str = ""
    host_ip: str = msgspec.field(default="", name="hostIP")
    pod_ip: str = msgspec.field(default="", name="podIP")
    pod_ips: tuple[PodIP, ...] = msgspec.field(default=(), name="podIPs")
    start_time: str | None = None
    qos_class: str = ""
    observed_generation: int = 0
    container_statuses: tuple[ContainerStatus, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    ephemeral_container_statuses: tuple[ContainerStatus, ...] = ()
    resources: ResourceRequirements | None = None
    allocated_resources: ResourceList = {}


TERMINAL_PHASES = ("Succeeded", "Failed")


class Pod(ApiStruct, frozen=True):
    """A pod."""

    metadata: ObjectMeta = ObjectMeta()
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def is_terminal(self) -> bool:
        """Whether it has ended, and so occupies nothing any more."""
        return self.status.phase in TERMINAL_PHASES

    @property
    def is_terminating(self) -> bool:
        """Whether it has been asked to go; until it is gone it still occupies its node."""
        return self.metadata.deletion_timestamp is not None

    @property
    def priority(self) -> int:
        """Its priority; a pod without one has 0."""
        return self.spec.priority or 0

    def condition(self, condition_type: str) -> Condition | None:
        """Return the condition of that type, or None."""
        return find_condition(self.status.conditions, condition_type)


class Taint(ApiStruct, frozen=True):
    """A mark on a node that keeps away pods that do not tolerate it."""

    key: str
    value: str = ""
    effect: str = ""
    time_added: str | None = None


class NodeSpec(ApiStruct, frozen=True):
    """What is decided about a node."""

    unschedulable: bool = False
    taints: tuple[Taint, ...] = ()
    pod_cidr: str = msgspec.field(default="", name="podCIDR")
    provider_id: str = msgspec.field(default="", name="providerID")


class NodeAddress(ApiStruct, frozen=True):
    """An address of a node."""

    type: str = ""
    address: str = ""


class ContainerImage(ApiStruct, frozen=True):
    """An image that a node already holds."""

    names: tuple[str, ...] = ()
    size_bytes: int = 0


class NodeStatus(ApiStruct, frozen=True):
    """What a node has, and how it is doing."""

    capacity: ResourceList = {}
    allocatable: ResourceList = {}
    conditions: tuple[Condition, ...] = ()
    addresses: tuple[NodeAddress, ...] = ()
    images: tuple[ContainerImage, ...] = ()
    declared_features: tuple[str, ...] = ()


class Node(ApiStruct, frozen=True):
    """A node."""

    metadata: ObjectMeta = ObjectMeta()
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()

    @property
    def name(self) -> str:
        """Its name."""
        return self.metadata.name

    def condition(self, condition_type: str) -> Condition | None:
        """Return the condition of that type, or None."""
        return find_condition(self.status.conditions, condition_type)


class NamespaceSpec(ApiStruct, frozen=True):
    """What keeps a namespace from going."""

    finalizers: tuple[str, ...] = ()


class NamespaceStatus(ApiStruct, frozen=True):
    """Whether a namespace is in use or on its way out."""

    phase: str = ""
    conditions: tuple[Condition, ...] = ()


class Namespace(ApiStruct, frozen=True):
    """A namespace."""

    metadata: ObjectMeta = ObjectMeta()
    spec: NamespaceSpec = NamespaceSpec()
    status: NamespaceStatus = NamespaceStatus()


class ServicePort(ApiStruct, frozen=True):
    """A port of a service, and the port of its pods that it leads to, by number or name."""

    name: str = ""
    protocol: str = "TCP"
    app_protocol: str | None = None
    port: int = 0
    target_port: int | str = 0


class ServiceSpec(ApiStruct, frozen=True):
    """Which pods stand behind a service, and how they are reached."""

    type: str = "ClusterIP"
    selector: dict[str, str] | None = None
    ports: tuple[ServicePort, ...] = ()
    cluster_ip: str = msgspec.field(default="", name="clusterIP")
    ip_families: tuple[str, ...] = ()
    publish_not_ready_addresses: bool = False
    allocate_load_balancer_node_ports: bool | None = None


class Service(ApiStruct, frozen=True):
    """A service."""

    metadata: ObjectMeta = ObjectMeta()
    spec: ServiceSpec = ServiceSpec()


def find_condition(conditions: tuple[Condition, ...], condition_type: str) -> Condition | None:
    """Return the condition of that type, or None."""
    # Asked of every pod of a large set: a generator would take three times as long.
    for entry in conditions:
        if entry.type == condition_type:
            return entry
    return None


# Decoders are built once: they compile the whole tree of types.
decode_pod = msgspec.json.Decoder(Pod).decode
decode_node = msgspec.json.Decoder(Node).decode
decode_namespace = msgspec.json.Decoder(Namespace).decode
decode_service = msgspec.json.Decoder(Service).decode
