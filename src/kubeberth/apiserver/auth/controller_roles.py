"""What each controller may do, in a role of its own.

Upstream's controllers act as service accounts of kube-system, and their roles are bound to these.
Ours are one process with one user, to whom each of the roles is bound as well: roles have what ours
do, which is less than upstream's. Reading is the process's own, too, as they share one picture of
the cluster.

Source: `bootstrappolicy/controller_policy.go` of Kubernetes 1.36.
"""

from __future__ import annotations

from kubeberth.api.certificates import FAULT_OF, KUBELET_CLIENT
from kubeberth.apiserver.auth.default_roles import WRITE, DefaultRole, rule
from kubeberth.apiserver.auth.rbac import PolicyRule

MANAGER = "system:kube-controller-manager"
# Ours tell theirs in the core group alone.
EVENTS = (rule(WRITE, "events"),)
_CERTIFICATES = "certificates.k8s.io"


def _controller(name: str, *rules: PolicyRule, with_events: bool = True) -> DefaultRole:
    all_rules = (*rules, *EVENTS) if with_events else rules
    return DefaultRole(f"system:controller:{name}", all_rules, users=(MANAGER,), accounts=(name,))


ROLES = (
    _controller(
        "certificate-controller",
        rule("get list watch", "certificatesigningrequests", groups=_CERTIFICATES),
        rule(
            "patch update",
            "certificatesigningrequests/approval certificatesigningrequests/status",
            groups=_CERTIFICATES,
        ),
        rule("approve", "signers", groups=_CERTIFICATES, names=KUBELET_CLIENT),
        rule("sign", "signers", groups=_CERTIFICATES, names=" ".join(FAULT_OF)),
        rule("create", "subjectaccessreviews", groups="authorization.k8s.io"),
    ),
    _controller(
        "cronjob-controller",
        rule("get list watch patch update", "cronjobs", groups="batch"),
        rule("patch update", "cronjobs/status", groups="batch"),
        rule("update", "cronjobs/finalizers", groups="batch"),
        rule("get list watch create delete", "jobs", groups="batch"),
    ),
    _controller(
        "deployment-controller",
        rule("get list watch", "deployments", groups="apps"),
        rule("patch update", "deployments/status", groups="apps"),
        rule("update", "deployments/finalizers", groups="apps"),
        rule("get list watch create update patch delete", "replicasets", groups="apps"),
        rule("get list watch", "pods"),
    ),
    _controller(
        "disruption-controller",
        rule("get list watch", "deployments replicasets statefulsets", groups="apps"),
        rule("get list watch", "replicationcontrollers"),
        rule("get list watch", "poddisruptionbudgets", groups="policy"),
        rule("patch update", "poddisruptionbudgets/status", groups="policy"),
        rule("patch update", "pods/status"),
    ),
    _controller(
        # Of every kind there is, also of those that somebody defines.
        "generic-garbage-collector",
        rule("get list watch patch update delete", "*", groups="*"),
    ),
    _controller(
        "job-controller",
        rule("get list watch patch update", "jobs", groups="batch"),
        rule("patch update", "jobs/status", groups="batch"),
        rule("update", "jobs/finalizers", groups="batch"),
        rule("get list watch create delete patch", "pods"),
    ),
    _controller(
        "namespace-controller",
        rule("get list watch delete", "namespaces"),
        rule("patch update", "namespaces/finalize namespaces/status"),
        rule("get list watch delete deletecollection", "*", groups="*"),
        with_events=False,
    ),
    _controller(
        "node-controller",
        rule("get list watch patch update", "nodes"),
        rule("patch update", "nodes/status pods/status"),
        rule("get list watch delete", "pods"),
        rule("get list watch", "leases", groups="coordination.k8s.io"),
    ),
    _controller(
        "persistent-volume-binder",
        rule("get list watch patch update", "persistentvolumes"),
        rule("patch update", "persistentvolumes/status persistentvolumeclaims/status"),
        rule("get list watch patch update", "persistentvolumeclaims"),
        rule("get list watch", "pods nodes"),
        rule("get list watch", "storageclasses", groups="storage.k8s.io"),
    ),
    _controller(
        "pod-garbage-collector",
        rule("get list watch delete", "pods"),
        rule("get list watch", "nodes"),
        rule("patch update", "pods/status"),
    ),
    _controller(
        "replicaset-controller",
        rule("get list watch patch update", "replicasets", groups="apps"),
        rule("patch update", "replicasets/status", groups="apps"),
        rule("update", "replicasets/finalizers", groups="apps"),
        rule("get list watch create delete patch", "pods"),
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
        "taint-eviction-controller",
        rule("get list watch delete", "pods"),
        rule("get list watch", "nodes"),
        rule("patch update", "pods/status"),
    ),
    _controller(
        "ttl-after-finished-controller",
        rule("get list watch delete", "jobs", groups="batch"),
    ),
    DefaultRole(
        "system:controller:token-cleaner",
        (rule("get list watch delete", "secrets"), *EVENTS),
        users=(MANAGER,),
        accounts=("token-cleaner",),
        namespace="kube-system",
    ),
)
