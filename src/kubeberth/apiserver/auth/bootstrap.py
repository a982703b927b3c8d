"""The roles and bindings that every cluster starts with: least privilege for each component.

Source: `plugin/pkg/auth/authorizer/rbac/bootstrappolicy` of Kubernetes 1.36, cut to the kinds that
are served. The controllers are one process here, so its role joins those of the single controllers.
"""

from __future__ import annotations

from kubeberth.api.certificates import FAULT_OF
from kubeberth.apiserver.auth.authn import AUTHENTICATED, MASTERS, NODES, UNAUTHENTICATED
from kubeberth.apiserver.auth.rbac import EVERY_PATH, EVERYTHING, PolicyRule, RoleBinding

READ = "get list watch"
WRITE = "create patch update"


def rule(verbs: str, resources: str, *, groups: str = "", names: str = "") -> PolicyRule:
    """Return a rule from lists of words; the core group is left out of `groups`."""
    return PolicyRule(
        frozenset(verbs.split()),
        frozenset(groups.split() or ("",)),
        frozenset(resources.split()),
        frozenset(names.split()),
    )


def urls(*paths: str) -> PolicyRule:
    """Return a rule to read paths that are no resources."""
    return PolicyRule(frozenset(("get",)), non_resource_urls=frozenset(paths))


EVENTS = (
    rule(WRITE, "events"),
    rule(WRITE, "events", groups="events.k8s.io"),
)
PUBLIC_INFO = (urls("/healthz", "/livez", "/readyz", "/version", "/version/"),)
DISCOVERY = (
    urls("/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*"),
    *PUBLIC_INFO,
)
BASIC_USER = (
    rule(
        "create",
        "selfsubjectaccessreviews selfsubjectrulesreviews",
        groups="authorization.k8s.io",
    ),
    rule("create", "selfsubjectreviews", groups="authentication.k8s.io"),
)
KUBE_SCHEDULER = (
    *EVENTS,
    rule("create", "leases", groups="coordination.k8s.io"),
    rule("get list watch update", "leases", groups="coordination.k8s.io", names="kube-scheduler"),
    rule("get list watch delete", "pods"),
    rule("create", "bindings pods/binding"),
    rule("patch update", "pods/status"),
    rule(
        READ,
        "nodes namespaces services replicationcontrollers persistentvolumes persistentvolumeclaims",
    ),
    rule(READ, "replicasets statefulsets", groups="apps"),
    rule(READ, "poddisruptionbudgets", groups="policy"),
    rule(READ, "priorityclasses", groups="scheduling.k8s.io"),
    rule(READ, "storageclasses csinodes csidrivers csistoragecapacities volumeattachments",
         groups="storage.k8s.io"),
    rule(READ, "deviceclasses resourceslices resourceclaims", groups="resource.k8s.io"),
    rule("patch update", "persistentvolumes persistentvolumeclaims"),
    rule("create", "tokenreviews", groups="authentication.k8s.io"),
    rule("create", "subjectaccessreviews", groups="authorization.k8s.io"),
)  # fmt: skip
KUBE_CONTROLLER_MANAGER = (
    *EVENTS,
    # The garbage collector and the namespace controller must reach every kind, as upstream.
    rule("get list watch patch update delete deletecollection", "*", groups="*"),
    rule("create", "pods serviceaccounts configmaps endpoints namespaces pods/eviction"),
    rule("create", "serviceaccounts/token"),
    rule("sign", "signers", groups="certificates.k8s.io", names=" ".join(FAULT_OF)),
    rule("create", "replicasets controllerrevisions", groups="apps"),
    rule("create", "jobs", groups="batch"),
    rule("create", "leases", groups="coordination.k8s.io"),
    rule("create", "endpointslices", groups="discovery.k8s.io"),
)
NODE = (
    *EVENTS,
    rule("create get list watch patch update delete", "nodes"),
    rule("patch update", "nodes/status"),
    rule("get list watch create delete", "pods"),
    rule("patch update", "pods/status"),
    rule("create", "pods/eviction serviceaccounts/token"),
    rule(READ, "services configmaps secrets serviceaccounts"),
    rule("create get patch update delete", "leases", groups="coordination.k8s.io"),
    rule(READ, "runtimeclasses", groups="node.k8s.io"),
    rule("create get list watch", "certificatesigningrequests", groups="certificates.k8s.io"),
    rule("create get patch update delete", "csinodes", groups="storage.k8s.io"),
    rule("create", "tokenreviews", groups="authentication.k8s.io"),
    rule("create", "subjectaccessreviews localsubjectaccessreviews", groups="authorization.k8s.io"),
)

ISSUER_DISCOVERY = (
    urls(
        "/.well-known/openid-configuration",
        "/.well-known/openid-configuration/",
        "/openid/v1/jwks",
        "/openid/v1/jwks/",
    ),
)

EVERYBODY = frozenset((AUTHENTICATED, UNAUTHENTICATED))
KNOWN = frozenset((AUTHENTICATED,))
# Made as objects when a cluster starts, for everybody to see and to change.
BINDINGS: tuple[RoleBinding, ...] = (
    RoleBinding("cluster-admin", (EVERYTHING, EVERY_PATH), groups=frozenset((MASTERS,))),
    RoleBinding("system:public-info-viewer", PUBLIC_INFO, groups=EVERYBODY),
    RoleBinding("system:discovery", DISCOVERY, groups=KNOWN),
    RoleBinding("system:basic-user", BASIC_USER, groups=KNOWN),
    RoleBinding(
        "system:service-account-issuer-discovery",
        ISSUER_DISCOVERY,
        groups=frozenset(("system:serviceaccounts",)),
    ),
    RoleBinding(
        "system:kube-scheduler", KUBE_SCHEDULER, users=frozenset(("system:kube-scheduler",))
    ),
    RoleBinding(
        "system:kube-controller-manager",
        KUBE_CONTROLLER_MANAGER,
        users=frozenset(("system:kube-controller-manager",)),
    ),
)
# What every node may do, whatever RBAC says: not an object, as the rights of nodes are not
# RBAC's upstream either.
NODE_BINDING = RoleBinding("system:node", NODE, groups=frozenset((NODES,)))
# Roles for users, bound to nobody: the rules of all roles that carry their label.
AGGREGATED_ROLES = ("admin", "edit", "view")
