"""Every resource that is served, in one table: kind, plural, scope, versions, verbs, subresources.

A new kind is a new row. Source: the discovery documents of Kubernetes 1.36.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kubeberth.api.custom.version import CustomVersion

STANDARD_VERBS = (
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
)
READ_WRITE = ("get", "patch", "update")
# Of what is passed on to a node: streams, and requests of any kind.
CONNECT = ("create", "get")
PROXY = ("create", "delete", "get", "patch", "update")


@dataclass(frozen=True, slots=True)
class Subresource:
    """A part of an object with a URL of its own, such as `pods/status`.

    Parameters
    ----------
    kind
        Kind of its body; empty means the parent's kind.
    group, version
        Where that kind lives; empty means the parent's.
    """

    name: str
    verbs: tuple[str, ...] = READ_WRITE
    kind: str = ""
    group: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Resource:
    """One row of the table.

    Parameters
    ----------
    group
        API group; empty for the core group.
    stored_as
        The resource whose objects these are another view of (`events.k8s.io` events are core
        events); None when the resource stores its own.
    custom
        What a CustomResourceDefinition says of the objects; None for what is built in.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = STANDARD_VERBS
    subresources: tuple[Subresource, ...] = ()
    stored_as: Resource | None = None
    singular: str = field(default="")
    custom: CustomVersion | None = field(default=None, repr=False)

    # Asked for many times by every request.
    api_version: str = field(init=False, repr=False, compare=False)
    group_resource: str = field(init=False, repr=False, compare=False)
    storage_key: str = field(init=False, repr=False, compare=False)
    built_in_kind: str = field(init=False, repr=False, compare=False)
    rules_key: str = field(init=False, repr=False, compare=False)
    has_status: bool = field(init=False, repr=False, compare=False)
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Derive what follows from the rest.

        `api_version` is that of its objects: `v1`, `apps/v1`. `group_resource` is how messages name
        it: `pods`, `deployments.apps`. `storage_key` is the first part of the store's keys.
        `built_in_kind` is the kind, by which rules are looked up; empty for a custom kind, whatever
        its name. `rules_key` is under which name there are rules for it (defaults, validation,
        columns): `group_resource`, but another version of a resource has its own. `has_status`
        tells whether status is written through `/status` alone.
        """
        is_old = self.stored_as is not None and self.stored_as.group == self.group
        group_resource = f"{self.plural}.{self.group}" if self.group else self.plural
        for name, value in (
            ("singular", self.singular or self.kind.lower()),
            ("api_version", f"{self.group}/{self.version}" if self.group else self.version),
            ("group_resource", group_resource),
            ("storage_key", self.stored_as.group_resource if self.stored_as else group_resource),
            ("built_in_kind", "" if self.custom is not None else self.kind),
            (
                "rules_key",
                f"{self.plural}.{self.version}.{self.group}" if is_old else group_resource,
            ),
            ("has_status", self.subresource("status") is not None),
            ("_hash", hash((self.group, self.version, self.plural))),
        ):
            object.__setattr__(self, name, value)

    def __hash__(self) -> int:
        return self._hash

    @property
    def list_kind(self) -> str:
        """Kind of its lists."""
        return self.custom.list_kind if self.custom is not None else f"{self.kind}List"

    def subresource(self, name: str) -> Subresource | None:
        """Return the subresource of that name, or None."""
        return next((sub for sub in self.subresources if sub.name == name), None)

    def path(self, namespace: str | None = None, name: str | None = None, sub: str = "") -> str:
        """Return the URL path of the collection, of one object or of a part of it."""
        prefix = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        scope = f"/namespaces/{namespace}" if namespace and self.namespaced else ""
        tail = f"/{name}" if name else ""
        return f"{prefix}{scope}/{self.plural}{tail}" + (f"/{sub}" if sub else "")


STATUS = Subresource("status")
SCALE = Subresource("scale", kind="Scale", group="autoscaling", version="v1")


def _cluster(group: str, version: str, plural: str, kind: str, **rest: Any) -> Resource:
    """Return the row of a kind whose objects are in no namespace."""
    return Resource(group, version, plural, kind, namespaced=False, **rest)


def _review(group: str, plural: str, kind: str, *, namespaced: bool = False) -> Resource:
    """Return the row of a kind that is a question: it is answered and not stored."""
    return Resource(group, "v1", plural, kind, namespaced=namespaced, verbs=("create",))


# The core group.
BINDINGS = Resource("", "v1", "bindings", "Binding", verbs=("create",))
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap", short_names=("cm",))
ENDPOINTS = Resource("", "v1", "endpoints", "Endpoints", short_names=("ep",), singular="endpoints")
EVENTS = Resource("", "v1", "events", "Event", short_names=("ev",))
LIMIT_RANGES = Resource("", "v1", "limitranges", "LimitRange", short_names=("limits",))
NAMESPACES = _cluster(
    "",
    "v1",
    "namespaces",
    "Namespace",
    short_names=("ns",),
    verbs=tuple(verb for verb in STANDARD_VERBS if verb != "deletecollection"),
    subresources=(Subresource("finalize", verbs=("update",)), STATUS),
)
NODES = _cluster(
    "",
    "v1",
    "nodes",
    "Node",
    short_names=("no",),
    subresources=(Subresource("proxy", verbs=PROXY, kind="NodeProxyOptions"), STATUS),
)
PERSISTENT_VOLUME_CLAIMS = Resource(
    "",
    "v1",
    "persistentvolumeclaims",
    "PersistentVolumeClaim",
    short_names=("pvc",),
    subresources=(STATUS,),
)
PERSISTENT_VOLUMES = _cluster(
    "", "v1", "persistentvolumes", "PersistentVolume", short_names=("pv",), subresources=(STATUS,)
)
PODS = Resource(
    "",
    "v1",
    "pods",
    "Pod",
    short_names=("po",),
    categories=("all",),
    subresources=(
        Subresource("attach", verbs=CONNECT, kind="PodAttachOptions"),
        Subresource("binding", verbs=("create",), kind="Binding"),
        Subresource("ephemeralcontainers"),
        Subresource("eviction", verbs=("create",), kind="Eviction", group="policy", version="v1"),
        Subresource("exec", verbs=CONNECT, kind="PodExecOptions"),
        Subresource("log", verbs=("get",)),
        Subresource("portforward", verbs=CONNECT, kind="PodPortForwardOptions"),
        Subresource("proxy", verbs=PROXY, kind="PodProxyOptions"),
        Subresource("resize"),
        STATUS,
    ),
)
POD_TEMPLATES = Resource("", "v1", "podtemplates", "PodTemplate")
REPLICATION_CONTROLLERS = Resource(
    "",
    "v1",
    "replicationcontrollers",
    "ReplicationController",
    short_names=("rc",),
    categories=("all",),
    subresources=(SCALE, STATUS),
)
RESOURCE_QUOTAS = Resource(
    "", "v1", "resourcequotas", "ResourceQuota", short_names=("quota",), subresources=(STATUS,)
)
SECRETS = Resource("", "v1", "secrets", "Secret")
SERVICE_ACCOUNTS = Resource(
    "",
    "v1",
    "serviceaccounts",
    "ServiceAccount",
    short_names=("sa",),
    subresources=(
        Subresource(
            "token",
            verbs=("create",),
            kind="TokenRequest",
            group="authentication.k8s.io",
            version="v1",
        ),
    ),
)
SERVICES = Resource(
    "",
    "v1",
    "services",
    "Service",
    short_names=("svc",),
    categories=("all",),
    subresources=(Subresource("proxy", verbs=PROXY, kind="ServiceProxyOptions"), STATUS),
)

# Workloads.
CONTROLLER_REVISIONS = Resource("apps", "v1", "controllerrevisions", "ControllerRevision")
DAEMON_SETS = Resource(
    "apps",
    "v1",
    "daemonsets",
    "DaemonSet",
    short_names=("ds",),
    categories=("all",),
    subresources=(STATUS,),
)
DEPLOYMENTS = Resource(
    "apps",
    "v1",
    "deployments",
    "Deployment",
    short_names=("deploy",),
    categories=("all",),
    subresources=(SCALE, STATUS),
)
REPLICA_SETS = Resource(
    "apps",
    "v1",
    "replicasets",
    "ReplicaSet",
    short_names=("rs",),
    categories=("all",),
    subresources=(SCALE, STATUS),
)
STATEFUL_SETS = Resource(
    "apps",
    "v1",
    "statefulsets",
    "StatefulSet",
    short_names=("sts",),
    categories=("all",),
    subresources=(SCALE, STATUS),
)
CRON_JOBS = Resource(
    "batch",
    "v1",
    "cronjobs",
    "CronJob",
    short_names=("cj",),
    categories=("all",),
    subresources=(STATUS,),
)
JOBS = Resource("batch", "v1", "jobs", "Job", categories=("all",), subresources=(STATUS,))
HORIZONTAL_POD_AUTOSCALERS = Resource(
    "autoscaling",
    "v2",
    "horizontalpodautoscalers",
    "HorizontalPodAutoscaler",
    short_names=("hpa",),
    categories=("all",),
    subresources=(STATUS,),
)
OLD_HORIZONTAL_POD_AUTOSCALERS = Resource(
    "autoscaling",
    "v1",
    "horizontalpodautoscalers",
    "HorizontalPodAutoscaler",
    short_names=("hpa",),
    categories=("all",),
    subresources=(STATUS,),
    stored_as=HORIZONTAL_POD_AUTOSCALERS,
)
POD_DISRUPTION_BUDGETS = Resource(
    "policy",
    "v1",
    "poddisruptionbudgets",
    "PodDisruptionBudget",
    short_names=("pdb",),
    subresources=(STATUS,),
)

# Storage.
CSI_DRIVERS = _cluster("storage.k8s.io", "v1", "csidrivers", "CSIDriver")
CSI_NODES = _cluster("storage.k8s.io", "v1", "csinodes", "CSINode")
CSI_STORAGE_CAPACITIES = Resource(
    "storage.k8s.io", "v1", "csistoragecapacities", "CSIStorageCapacity"
)
STORAGE_CLASSES = _cluster(
    "storage.k8s.io", "v1", "storageclasses", "StorageClass", short_names=("sc",)
)
VOLUME_ATTACHMENTS = _cluster(
    "storage.k8s.io", "v1", "volumeattachments", "VolumeAttachment", subresources=(STATUS,)
)
VOLUME_ATTRIBUTES_CLASSES = _cluster(
    "storage.k8s.io", "v1", "volumeattributesclasses", "VolumeAttributesClass", short_names=("vac",)
)

# Devices.
DEVICE_CLASSES = _cluster("resource.k8s.io", "v1", "deviceclasses", "DeviceClass")
RESOURCE_CLAIMS = Resource(
    "resource.k8s.io", "v1", "resourceclaims", "ResourceClaim", subresources=(STATUS,)
)
RESOURCE_CLAIM_TEMPLATES = Resource(
    "resource.k8s.io", "v1", "resourceclaimtemplates", "ResourceClaimTemplate"
)
RESOURCE_SLICES = _cluster("resource.k8s.io", "v1", "resourceslices", "ResourceSlice")

# Who may do what.
SELF_SUBJECT_REVIEWS = _review("authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview")
TOKEN_REVIEWS = _review("authentication.k8s.io", "tokenreviews", "TokenReview")
LOCAL_SUBJECT_ACCESS_REVIEWS = _review(
    "authorization.k8s.io",
    "localsubjectaccessreviews",
    "LocalSubjectAccessReview",
    namespaced=True,
)
SELF_SUBJECT_ACCESS_REVIEWS = _review(
    "authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview"
)
SELF_SUBJECT_RULES_REVIEWS = _review(
    "authorization.k8s.io", "selfsubjectrulesreviews", "SelfSubjectRulesReview"
)
SUBJECT_ACCESS_REVIEWS = _review(
    "authorization.k8s.io", "subjectaccessreviews", "SubjectAccessReview"
)
CERTIFICATE_SIGNING_REQUESTS = _cluster(
    "certificates.k8s.io",
    "v1",
    "certificatesigningrequests",
    "CertificateSigningRequest",
    short_names=("csr",),
    subresources=(Subresource("approval"), STATUS),
)
CLUSTER_ROLE_BINDINGS = _cluster(
    "rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding"
)
CLUSTER_ROLES = _cluster("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole")
ROLE_BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
ROLES = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role")

# The network.
INGRESS_CLASSES = _cluster("networking.k8s.io", "v1", "ingressclasses", "IngressClass")
INGRESSES = Resource(
    "networking.k8s.io", "v1", "ingresses", "Ingress", short_names=("ing",), subresources=(STATUS,)
)
NETWORK_POLICIES = Resource(
    "networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", short_names=("netpol",)
)
ENDPOINT_SLICES = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")


# Who looks at writes.
def _admission(plural: str, kind: str, **rest: Any) -> Resource:
    group, categories = "admissionregistration.k8s.io", ("api-extensions",)
    return _cluster(group, "v1", plural, kind, categories=categories, **rest)


MUTATING_ADMISSION_POLICIES = _admission("mutatingadmissionpolicies", "MutatingAdmissionPolicy")
MUTATING_ADMISSION_POLICY_BINDINGS = _admission(
    "mutatingadmissionpolicybindings", "MutatingAdmissionPolicyBinding"
)
MUTATING_WEBHOOK_CONFIGURATIONS = _admission(
    "mutatingwebhookconfigurations", "MutatingWebhookConfiguration"
)
VALIDATING_ADMISSION_POLICIES = _admission(
    "validatingadmissionpolicies", "ValidatingAdmissionPolicy", subresources=(STATUS,)
)
VALIDATING_ADMISSION_POLICY_BINDINGS = _admission(
    "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding"
)
VALIDATING_WEBHOOK_CONFIGURATIONS = _admission(
    "validatingwebhookconfigurations", "ValidatingWebhookConfiguration"
)

# The rest.
NEW_EVENTS = Resource(
    "events.k8s.io", "v1", "events", "Event", short_names=("ev",), stored_as=EVENTS
)
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
PRIORITY_CLASSES = _cluster(
    "scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", short_names=("pc",)
)
RUNTIME_CLASSES = _cluster("node.k8s.io", "v1", "runtimeclasses", "RuntimeClass")
CUSTOM_RESOURCE_DEFINITIONS = _cluster(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    short_names=("crd", "crds"),
    categories=("api-extensions",),
    subresources=(STATUS,),
)

# Versions of a group: the preferred one first, as discovery tells them.
RESOURCES: tuple[Resource, ...] = (
    BINDINGS,
    CONFIG_MAPS,
    ENDPOINTS,
    EVENTS,
    LIMIT_RANGES,
    NAMESPACES,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    POD_TEMPLATES,
    REPLICATION_CONTROLLERS,
    RESOURCE_QUOTAS,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    CONTROLLER_REVISIONS,
    DAEMON_SETS,
    DEPLOYMENTS,
    REPLICA_SETS,
    STATEFUL_SETS,
    NEW_EVENTS,
    SELF_SUBJECT_REVIEWS,
    TOKEN_REVIEWS,
    LOCAL_SUBJECT_ACCESS_REVIEWS,
    SELF_SUBJECT_ACCESS_REVIEWS,
    SELF_SUBJECT_RULES_REVIEWS,
    SUBJECT_ACCESS_REVIEWS,
    HORIZONTAL_POD_AUTOSCALERS,
    OLD_HORIZONTAL_POD_AUTOSCALERS,
    CRON_JOBS,
    JOBS,
    CERTIFICATE_SIGNING_REQUESTS,
    INGRESS_CLASSES,
    INGRESSES,
    NETWORK_POLICIES,
    POD_DISRUPTION_BUDGETS,
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    ROLES,
    CSI_DRIVERS,
    CSI_NODES,
    CSI_STORAGE_CAPACITIES,
    STORAGE_CLASSES,
    VOLUME_ATTACHMENTS,
    VOLUME_ATTRIBUTES_CLASSES,
    MUTATING_ADMISSION_POLICIES,
    MUTATING_ADMISSION_POLICY_BINDINGS,
    MUTATING_WEBHOOK_CONFIGURATIONS,
    VALIDATING_ADMISSION_POLICIES,
    VALIDATING_ADMISSION_POLICY_BINDINGS,
    VALIDATING_WEBHOOK_CONFIGURATIONS,
    CUSTOM_RESOURCE_DEFINITIONS,
    PRIORITY_CLASSES,
    LEASES,
    RUNTIME_CLASSES,
    ENDPOINT_SLICES,
    DEVICE_CLASSES,
    RESOURCE_CLAIMS,
    RESOURCE_CLAIM_TEMPLATES,
    RESOURCE_SLICES,
)

BY_KIND: dict[tuple[str, str], Resource] = {(r.api_version, r.kind): r for r in RESOURCES}
