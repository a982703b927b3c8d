"""Roles for people: view, edit and admin, each with the one before it.

Each gathers the roles that carry its label, so that whoever defines a kind can add to it.
Source: `bootstrappolicy` of Kubernetes 1.36, cut to the groups that are served.
"""

from __future__ import annotations

from kubeberth.apiserver.auth.default_roles import READ, DefaultRole, rule

_WRITE = "create delete deletecollection patch update"
_APPS = "apps"
_NETWORK = "networking.k8s.io"
_CLAIMS = "resourceclaims resourceclaimtemplates"
_WORKLOADS = (
    "daemonsets deployments deployments/scale replicasets replicasets/scale statefulsets "
    "statefulsets/scale"
)

VIEW = (
    rule(
        READ,
        "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods "
        "replicationcontrollers replicationcontrollers/scale serviceaccounts services "
        "services/status",
    ),
    rule(
        READ,
        "bindings events limitranges namespaces/status pods/log pods/status "
        "replicationcontrollers/status resourcequotas resourcequotas/status",
    ),
    rule(READ, "namespaces"),
    rule(READ, "endpointslices", groups="discovery.k8s.io"),
    rule(
        READ,
        f"controllerrevisions {_WORKLOADS} daemonsets/status deployments/status replicasets/status "
        "statefulsets/status",
        groups=_APPS,
    ),
    rule(READ, "horizontalpodautoscalers horizontalpodautoscalers/status", groups="autoscaling"),
    rule(READ, "cronjobs cronjobs/status jobs jobs/status", groups="batch"),
    rule(READ, "poddisruptionbudgets poddisruptionbudgets/status", groups="policy"),
    rule(READ, "ingresses ingresses/status networkpolicies", groups=_NETWORK),
    rule(READ, f"{_CLAIMS} resourceclaims/status", groups="resource.k8s.io"),
)
EDIT = (
    rule(READ, "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy"),
    rule("impersonate", "serviceaccounts"),
    rule(_WRITE, "pods pods/attach pods/exec pods/portforward pods/proxy"),
    rule("create", "pods/eviction"),
    rule(
        _WRITE,
        "configmaps events persistentvolumeclaims replicationcontrollers "
        "replicationcontrollers/scale secrets serviceaccounts services services/proxy",
    ),
    rule("create", "serviceaccounts/token"),
    rule(_WRITE, f"{_WORKLOADS} deployments/rollback", groups=_APPS),
    rule(_WRITE, "horizontalpodautoscalers", groups="autoscaling"),
    rule(_WRITE, "cronjobs jobs", groups="batch"),
    rule(_WRITE, "poddisruptionbudgets", groups="policy"),
    rule(_WRITE, "ingresses networkpolicies", groups=_NETWORK),
    rule(f"{READ} {_WRITE}", "leases", groups="coordination.k8s.io"),
    rule(_WRITE, _CLAIMS, groups="resource.k8s.io"),
)
ADMIN = (
    rule("create", "localsubjectaccessreviews", groups="authorization.k8s.io"),
    rule(f"{READ} {_WRITE}", "rolebindings roles", groups="rbac.authorization.k8s.io"),
)

ROLES = (
    DefaultRole("admin", gathers="admin"),
    DefaultRole("edit", gathers="edit", gathered_by=("admin",)),
    DefaultRole("view", gathers="view", gathered_by=("edit",)),
    DefaultRole("system:aggregate-to-admin", ADMIN, gathered_by=("admin",)),
    DefaultRole("system:aggregate-to-edit", EDIT, gathered_by=("edit",)),
    DefaultRole("system:aggregate-to-view", VIEW, gathered_by=("view",)),
)
