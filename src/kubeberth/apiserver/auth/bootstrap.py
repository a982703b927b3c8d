"""The roles and bindings that every cluster starts with: least privilege for each component.

Source: `plugin/pkg/auth/authorizer/rbac/bootstrappolicy` of Kubernetes 1.36, cut to the kinds that
are served.
"""

from __future__ import annotations

from kubeberth.api.certificates import CLIENT, KUBELET_CLIENT, KUBELET_SERVING, LEGACY
from kubeberth.apiserver.auth import controller_roles, user_roles
from kubeberth.apiserver.auth.authn import AUTHENTICATED, MASTERS, UNAUTHENTICATED
from kubeberth.apiserver.auth.controller_roles import MANAGER
from kubeberth.apiserver.auth.default_roles import EVENTS, READ, DefaultRole, rule, urls
from kubeberth.apiserver.auth.rbac import EVERY_PATH, EVERYTHING

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
    rule(READ, "storageclasses csinodes csidrivers csistoragecapacities volumeattachments",
         groups="storage.k8s.io"),
    rule(READ, "deviceclasses resourceslices resourceclaims", groups="resource.k8s.io"),
    rule("create", "tokenreviews", groups="authentication.k8s.io"),
    rule("create", "subjectaccessreviews", groups="authorization.k8s.io"),
)  # fmt: skip
VOLUME_SCHEDULER = (
    rule("get list watch patch update", "persistentvolumes persistentvolumeclaims"),
    rule(READ, "storageclasses", groups="storage.k8s.io"),
)
# What the controllers' process may do itself: follow everything. What else it may, to become its
# controllers, is in `controller_roles`.
KUBE_CONTROLLER_MANAGER = (
    rule("list watch", "*", groups="*"),
    # To be elected among several, and to say so.
    *EVENTS,
    rule("create", "leases", groups="coordination.k8s.io"),
    rule("get update", "leases", groups="coordination.k8s.io", names="kube-controller-manager"),
)
# What every node may do, whatever RBAC says, besides what depends on the node: `node_authorizer`.
NODE = (
    *EVENTS,
    rule(READ, "services"),
    rule("get", "endpoints"),
    rule("create get list watch", "certificatesigningrequests", groups="certificates.k8s.io"),
    rule(READ, "csidrivers", groups="storage.k8s.io"),
    rule(READ, "runtimeclasses", groups="node.k8s.io"),
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

EVERYBODY = (AUTHENTICATED, UNAUTHENTICATED)
KNOWN = (AUTHENTICATED,)
SCHEDULER = "system:kube-scheduler"
_CERTIFICATES = "certificates.k8s.io"
_REQUESTS = "certificatesigningrequests"
_AUTH = "extension-apiserver-authentication"

# Bound to whom an administrator invites: see `berth token create`.
_INVITED = (
    DefaultRole(
        "system:node-bootstrapper",
        (rule("create get list watch", _REQUESTS, groups=_CERTIFICATES),),
    ),
    *(
        DefaultRole(
            f"system:certificates.k8s.io:{_REQUESTS}:{part}",
            (rule("create", f"{_REQUESTS}/{part}", groups=_CERTIFICATES),),
        )
        for part in ("nodeclient", "selfnodeclient")
    ),
)
# For what else may run in a cluster.
_OTHERS = (
    *(
        DefaultRole(
            f"system:certificates.k8s.io:{name}-approver",
            (rule("approve", "signers", groups=_CERTIFICATES, names=signer),),
        )
        for name, signer in (
            ("kube-apiserver-client", CLIENT),
            ("kube-apiserver-client-kubelet", KUBELET_CLIENT),
            ("kubelet-serving", KUBELET_SERVING),
            ("legacy-unknown", LEGACY),
        )
    ),
    DefaultRole(
        "system:auth-delegator",
        (
            rule("create", "tokenreviews", groups="authentication.k8s.io"),
            rule("create", "subjectaccessreviews", groups="authorization.k8s.io"),
        ),
    ),
    DefaultRole(
        "system:kubelet-api-admin",
        (
            rule("get list watch proxy", "nodes"),
            rule(
                "*",
                "nodes/checkpoint nodes/configz nodes/healthz nodes/log nodes/metrics nodes/pods "
                "nodes/proxy nodes/stats",
            ),
        ),
    ),
    DefaultRole(
        "system:kube-dns", (rule("list watch", "endpoints services"),), accounts=("kube-dns",)
    ),
    DefaultRole(
        "system:monitoring",
        (
            urls(
                *("/healthz", "/healthz/*", "/livez", "/livez/*", "/metrics", "/metrics/slis"),
                *("/readyz", "/readyz/*"),
            ),
        ),
        groups=("system:monitoring",),
    ),
    DefaultRole(
        "system:node-problem-detector",
        (rule("get", "nodes"), rule("patch", "nodes/status"), *EVENTS),
    ),
    DefaultRole(
        "system:node-proxier",
        (
            rule("list watch", "services endpoints"),
            rule("get list watch", "nodes"),
            *EVENTS,
            rule("list watch", "endpointslices", groups="discovery.k8s.io"),
            rule("list watch", "servicecidrs", groups="networking.k8s.io"),
        ),
        users=("system:kube-proxy",),
    ),
    DefaultRole(
        "system:persistent-volume-provisioner",
        (
            rule("get list watch create delete", "persistentvolumes"),
            rule("get list watch update", "persistentvolumeclaims"),
            rule(READ, "storageclasses", groups="storage.k8s.io"),
            rule("watch", "events"),
            *EVENTS,
        ),
    ),
    DefaultRole(
        "extension-apiserver-authentication-reader",
        (rule(READ, "configmaps", names=_AUTH),),
        users=("system:kube-scheduler", "system:kube-controller-manager"),
        namespace="kube-system",
    ),
)
# Made as objects when a cluster starts, for everybody to see and to change.
ROLES: tuple[DefaultRole, ...] = (
    DefaultRole("cluster-admin", (EVERYTHING, EVERY_PATH), groups=(MASTERS,)),
    DefaultRole("system:public-info-viewer", PUBLIC_INFO, groups=EVERYBODY),
    DefaultRole("system:discovery", DISCOVERY, groups=KNOWN),
    DefaultRole("system:basic-user", BASIC_USER, groups=KNOWN),
    DefaultRole(
        "system:service-account-issuer-discovery",
        ISSUER_DISCOVERY,
        groups=("system:serviceaccounts",),
    ),
    DefaultRole("system:kube-scheduler", KUBE_SCHEDULER, users=(SCHEDULER,)),
    DefaultRole("system:volume-scheduler", VOLUME_SCHEDULER, users=(SCHEDULER,)),
    DefaultRole("system:kube-controller-manager", KUBE_CONTROLLER_MANAGER, users=(MANAGER,)),
    *user_roles.ROLES,
    *controller_roles.ROLES,
    *_INVITED,
    *_OTHERS,
)
