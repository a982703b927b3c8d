"""What each controller may do, in a role of its own, bound to a service account of kube-system.

The roles have what our controllers do. That is less than upstream's, as the process that they share
reads for all of them, under its own name.

Source: `bootstrappolicy/controller_policy.go` of Kubernetes 1.36.
"""

from __future__ import annotations

from kubeberth.api.certificates import FAULT_OF, KUBELET_CLIENT
from kubeberth.apiserver.auth.default_roles import WRITE, DefaultRole, rule
from kubeberth.apiserver.auth.rbac import PolicyRule

MANAGER = "system:kube-controller-manager"
SYSTEM = "kube-system"
# Ours tell theirs in the core group alone.
EVENTS = (rule(WRITE, "events"),)
_CERTIFICATES = "certificates.k8s.io"


def _controller(name: str, *rules: PolicyRule, with_events: bool = True) -> DefaultRole:
    all_rules = (*rules, *EVENTS) if with_events else rules
    return DefaultRole(f"system:controller:{name}", all_rules, accounts=(name,))


def _owner(plural: str, group: str) -> tuple[PolicyRule, ...]:
    """Return what becomes of the owners that a controller works for."""
    return (
        rule("get", plural, groups=group),
        rule("patch update", f"{plural}/status", groups=group),
        rule("update", f"{plural}/finalizers", groups=group),
    )


_REVISIONS = rule("create patch update delete", "controllerrevisions", groups="apps")
_CONTROLLERS = (
    _controller(
        "certificate-controller",
        rule(
            "patch update",
            "certificatesigningrequests/approval certificatesigningrequests/status",
            groups=_CERTIFICATES,
        ),
        rule("approve", "signers", groups=_CERTIFICATES, names=KUBELET_CLIENT),
        rule("sign", "signers", groups=_CERTIFICATES, names=" ".join(FAULT_OF)),
        rule("create", "subjectaccessreviews", groups="authorization.k8s.io"),
        with_events=False,
    ),
    _controller(
        "cronjob-controller",
        rule("patch update", "cronjobs/status", groups="batch"),
        rule("update", "cronjobs/finalizers", groups="batch"),
        rule("get create delete", "jobs", groups="batch"),
    ),
    _controller(
        "daemon-set-controller",
        *_owner("daemonsets", "apps"),
        rule("create patch delete", "pods"),
        _REVISIONS,
    ),
    _controller(
        "deployment-controller",
        *_owner("deployments", "apps"),
        rule("create patch update delete", "replicasets", groups="apps"),
    ),
    _controller(
        "disruption-controller",
        rule("patch update", "poddisruptionbudgets/status", groups="policy"),
    ),
    _controller(
        "endpoint-controller",
        rule("create patch update delete", "endpoints"),
        with_events=False,
    ),
    _controller(
        "endpointslice-controller",
        rule("update", "services/finalizers"),
        rule("create patch update delete", "endpointslices", groups="discovery.k8s.io"),
        with_events=False,
    ),
    _controller(
        "ephemeral-volume-controller",
        rule("update", "pods/finalizers"),
        rule("create", "persistentvolumeclaims"),
    ),
    _controller(
        # Of every kind there is, also of those that somebody defines.
        "generic-garbage-collector",
        rule("get patch update delete", "*", groups="*"),
    ),
    _controller(
        "job-controller",
        *_owner("jobs", "batch"),
        rule("create patch delete", "pods"),
    ),
    _controller(
        "namespace-controller",
        rule("patch update", "namespaces/finalize namespaces/status"),
        rule("list delete", "*", groups="*"),
        with_events=False,
    ),
    _controller(
        "node-controller",
        rule("patch update", "nodes nodes/status pods/status"),
    ),
    _controller(
        "persistent-volume-binder",
        rule(
            "patch update",
            "persistentvolumes persistentvolumes/status "
            "persistentvolumeclaims persistentvolumeclaims/status",
        ),
    ),
    _controller(
        "pod-garbage-collector",
        rule("get", "nodes"),
        rule("delete", "pods"),
        rule("patch update", "pods/status"),
        with_events=False,
    ),
    _controller(
        "replicaset-controller",
        *_owner("replicasets", "apps"),
        rule("create patch delete", "pods"),
    ),
    _controller(
        "replication-controller",
        *_owner("replicationcontrollers", ""),
        rule("create patch delete", "pods"),
    ),
    _controller(
        "resourcequota-controller",
        rule("patch update", "resourcequotas/status"),
        with_events=False,
    ),
    _controller(
        "root-ca-cert-publisher",
        rule("create patch update", "configmaps"),
        with_events=False,
    ),
    _controller(
        "service-account-controller",
        rule("create", "serviceaccounts"),
        with_events=False,
    ),
    _controller(
        "statefulset-controller",
        *_owner("statefulsets", "apps"),
        rule("create patch delete", "pods"),
        rule("create patch update", "persistentvolumeclaims"),
        _REVISIONS,
    ),
    _controller(
        "taint-eviction-controller",
        rule("delete", "pods"),
        rule("patch update", "pods/status"),
    ),
    _controller(
        "ttl-after-finished-controller",
        rule("delete", "jobs", groups="batch"),
        with_events=False,
    ),
    _controller(
        "validatingadmissionpolicy-status-controller",
        rule(
            "patch update",
            "validatingadmissionpolicies/status",
            groups="admissionregistration.k8s.io",
        ),
        with_events=False,
    ),
    _controller(
        # Ours alone: elsewhere drivers do this.
        "volume-provisioner",
        rule("create delete", "persistentvolumes"),
        rule("patch update", "persistentvolumeclaims"),
        rule("create", "storageclasses", groups="storage.k8s.io"),
    ),
    DefaultRole(
        "system:controller:token-cleaner",
        (rule("delete", "secrets"),),
        accounts=("token-cleaner",),
        namespace=SYSTEM,
    ),
)
ACCOUNTS = tuple(sorted(account for role in _CONTROLLERS for account in role.accounts))
ROLES = (
    *_CONTROLLERS,
    # Less than upstream's manager, which may ask for the token of any account.
    DefaultRole(
        MANAGER,
        (
            rule("create", "serviceaccounts"),
            rule("create", "serviceaccounts/token", names=" ".join(ACCOUNTS)),
        ),
        users=(MANAGER,),
        namespace=SYSTEM,
    ),
)
