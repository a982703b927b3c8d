"""What every namespace is given: the service account `default`, and the cluster's CA.

Matches Kubernetes 1.36 (`pkg/controller/serviceaccount`, `certificates/rootcacertpublisher`).
"""

from __future__ import annotations

from collections.abc import Iterable

from kubeberth.api.core import Namespace
from kubeberth.api.meta import HasMetadata
from kubeberth.api.scheme import CONFIG_MAPS, NAMESPACES, SERVICE_ACCOUNTS, Resource
from kubeberth.api.workloads import ConfigMap, Object
from kubeberth.controllers.action import CreateObject, Failure, Outcome, PatchObject
from kubeberth.controllers.cache import Cache, ref_of
from kubeberth.controllers.reconciler import Reconciler

DEFAULT_ACCOUNT = "default"
ROOT_CA = "kube-root-ca.crt"
CA_KEY = "ca.crt"
DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal "
    "endpoints such as the internal service IP or kubernetes.default.svc. No other usage is "
    "guaranteed across distributions of Kubernetes clusters."
)


def reconcile_account(namespace: Namespace, account: Object | None) -> Outcome:
    """Return the creation of the default account where it is missing."""
    if account is not None or is_terminating(namespace):
        return Outcome()
    name = namespace.metadata.name
    body = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": DEFAULT_ACCOUNT, "namespace": name},
    }
    return Outcome((CreateObject(SERVICE_ACCOUNTS, body, name, if_absent=True),))


def reconcile_root_ca(namespace: Namespace, current: ConfigMap | None, ca: str) -> Outcome:
    """Return what makes the namespace's CA the cluster's."""
    if is_terminating(namespace):
        return Outcome()
    data = {CA_KEY: ca}
    if current is not None:
        if current.data == data:
            return Outcome()
        others = {key: None for key in current.data if key != CA_KEY}
        return Outcome((PatchObject(ref_of(CONFIG_MAPS, current), {"data": {**others, **data}}),))
    name = namespace.metadata.name
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": ROOT_CA,
            "namespace": name,
            "annotations": {"kubernetes.io/description": DESCRIPTION},
        },
        "data": data,
    }
    return Outcome((CreateObject(CONFIG_MAPS, body, name, if_absent=True),))


def is_terminating(namespace: Namespace) -> bool:
    """Return whether nothing can be made in the namespace any more."""
    return namespace.metadata.deletion_timestamp is not None


class ServiceAccountReconciler(Reconciler):
    """Feeds `reconcile_account` from the cache; keys are namespaces."""

    name = "serviceaccount-controller"
    account = "service-account-controller"
    resource = NAMESPACES
    follows = (SERVICE_ACCOUNTS,)

    def keys_behind(
        self, cache: Cache, resource: Resource, old: HasMetadata | None, new: HasMetadata | None
    ) -> Iterable[str]:
        """Return the namespace that lost an account."""
        return [old.metadata.namespace] if new is None and old is not None else []

    def reconcile(self, cache: Cache, key: str, now: float, failure: Failure | None) -> Outcome:
        """Return what the namespace needs."""
        namespace = cache.namespace(key)
        if namespace is None:
            return Outcome()
        account = cache.get(SERVICE_ACCOUNTS, f"{key}/{DEFAULT_ACCOUNT}")
        return reconcile_account(namespace, account)


class RootCAReconciler(Reconciler):
    """Feeds `reconcile_root_ca` from the cache; keys are namespaces.

    Parameters
    ----------
    ca
        The cluster's CA as PEM.
    """

    name = "root-ca-certificate-publisher-controller"
    account = "root-ca-cert-publisher"
    resource = NAMESPACES
    follows = (CONFIG_MAPS,)

    def __init__(self, ca: str) -> None:
        self._ca = ca

    def keys_behind(
        self, cache: Cache, resource: Resource, old: HasMetadata | None, new: HasMetadata | None
    ) -> Iterable[str]:
        """Return the namespace whose CA changed."""
        latest = new if new is not None else old
        is_ca = latest is not None and latest.metadata.name == ROOT_CA
        return [latest.metadata.namespace] if latest is not None and is_ca else []

    def reconcile(self, cache: Cache, key: str, now: float, failure: Failure | None) -> Outcome:
        """Return what the namespace needs."""
        namespace = cache.namespace(key)
        if namespace is None:
            return Outcome()
        return reconcile_root_ca(namespace, cache.config_map(f"{key}/{ROOT_CA}"), self._ca)
