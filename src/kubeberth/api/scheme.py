"""Every resource that is served, in one table: kind, plural, scope, versions, verbs, subresources.

A new kind is a new row. Source: the discovery documents of Kubernetes 1.36.
"""

from __future__ import annotations

from dataclasses import dataclass, field

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
        Key of the resource whose objects these are another view of (`events.k8s.io` events are
        core events); empty when the resource stores its own.
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
    stored_as: str = ""
    singular: str = field(default="")
    custom: CustomVersion | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not self.singular:
            object.__setattr__(self, "singular", self.kind.lower())

    @property
    def built_in_kind(self) -> str:
        """The kind, by which rules are looked up; empty for a custom kind, whatever its name."""
        return "" if self.custom is not None else self.kind

    @property
    def list_kind(self) -> str:
        """Kind of its lists."""
        return self.custom.list_kind if self.custom is not None else f"{self.kind}List"

    @property
    def api_version(self) -> str:
        """`apiVersion` of its objects: `v1`, `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def group_resource(self) -> str:
        """How messages name it: `pods`, `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def storage_key(self) -> str:
        """First part of the store's keys of its objects."""
        return self.stored_as or self.group_resource

    @property
    def has_status(self) -> bool:
        """Whether status is written through `/status` alone."""
        return self.subresource("status") is not None

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

NAMESPACES = Resource(
    "",
    "v1",
    "namespaces",
    "Namespace",
    namespaced=False,
    short_names=("ns",),
    verbs=tuple(verb for verb in STANDARD_VERBS if verb != "deletecollection"),
    subresources=(Subresource("finalize", verbs=("update",)), STATUS),
)
NODES = Resource(
    "", "v1", "nodes", "Node", namespaced=False, short_names=("no",), subresources=(STATUS,)
)
PODS = Resource(
    "",
    "v1",
    "pods",
    "Pod",
    short_names=("po",),
    categories=("all",),
    subresources=(
        Subresource("binding", verbs=("create",), kind="Binding"),
        Subresource("eviction", verbs=("create",), kind="Eviction", group="policy", version="v1"),
        Subresource("log", verbs=("get",)),
        STATUS,
    ),
)
BINDINGS = Resource("", "v1", "bindings", "Binding", verbs=("create",))
SERVICES = Resource(
    "",
    "v1",
    "services",
    "Service",
    short_names=("svc",),
    categories=("all",),
    subresources=(STATUS,),
)
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap", short_names=("cm",))
SECRETS = Resource("", "v1", "secrets", "Secret")
SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount", short_names=("sa",))
EVENTS = Resource("", "v1", "events", "Event", short_names=("ev",))
NEW_EVENTS = Resource(
    "events.k8s.io", "v1", "events", "Event", short_names=("ev",), stored_as="events"
)
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
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
PRIORITY_CLASSES = Resource(
    "scheduling.k8s.io",
    "v1",
    "priorityclasses",
    "PriorityClass",
    namespaced=False,
    short_names=("pc",),
)

CUSTOM_RESOURCE_DEFINITIONS = Resource(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    namespaced=False,
    short_names=("crd", "crds"),
    categories=("api-extensions",),
    subresources=(STATUS,),
)

# Groups in upstream's order of priority, which discovery keeps.
RESOURCES: tuple[Resource, ...] = (
    BINDINGS,
    CONFIG_MAPS,
    EVENTS,
    NAMESPACES,
    NODES,
    PODS,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    DEPLOYMENTS,
    REPLICA_SETS,
    NEW_EVENTS,
    CUSTOM_RESOURCE_DEFINITIONS,
    PRIORITY_CLASSES,
    LEASES,
)

BY_KIND: dict[tuple[str, str], Resource] = {(r.api_version, r.kind): r for r in RESOURCES}
