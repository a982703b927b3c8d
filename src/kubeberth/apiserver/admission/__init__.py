"""Admission: what is filled in or refused after decoding and before storing."""

from __future__ import annotations

import random
from collections.abc import Callable

from kubeberth.apiserver.admission.certificates import Certificates
from kubeberth.apiserver.admission.chain import Plugin
from kubeberth.apiserver.admission.default_storage_class import DefaultStorageClass
from kubeberth.apiserver.admission.default_toleration_seconds import DefaultTolerationSeconds
from kubeberth.apiserver.admission.limit_ranger import LimitRanger
from kubeberth.apiserver.admission.namespace_lifecycle import NamespaceLifecycle
from kubeberth.apiserver.admission.pod_topology_labels import PodTopologyLabels
from kubeberth.apiserver.admission.priority import Priority
from kubeberth.apiserver.admission.rbac_escalation import RbacEscalation
from kubeberth.apiserver.admission.resource_quota import Ledger, ResourceQuota
from kubeberth.apiserver.admission.runtime_class import RuntimeClass
from kubeberth.apiserver.admission.service_account import ServiceAccount
from kubeberth.apiserver.admission.service_addresses import ServiceAddresses
from kubeberth.apiserver.admission.storage_object_in_use import StorageObjectInUseProtection
from kubeberth.apiserver.admission.taint_nodes_by_condition import TaintNodesByCondition
from kubeberth.apiserver.auth.rbac import Authorizer
from kubeberth.apiserver.auth.stored_policy import StoredPolicy


def plugins(
    reader: Ledger,
    policy: StoredPolicy,
    authorizer: Authorizer,
    chance: random.Random,
    service_cidr: str,
    stamp: Callable[[], str],
) -> tuple[Plugin, ...]:
    """Return the plugins that are on, in upstream's order."""
    return (
        NamespaceLifecycle(reader),
        LimitRanger(reader),
        ServiceAccount(reader, chance),
        TaintNodesByCondition(),
        Priority(reader),
        DefaultTolerationSeconds(),
        DefaultStorageClass(reader),
        StorageObjectInUseProtection(),
        RuntimeClass(reader),
        Certificates(authorizer, stamp),
        PodTopologyLabels(reader),
        ServiceAddresses(reader, chance, service_cidr),
        RbacEscalation(policy, authorizer),
        ResourceQuota(reader),
    )
