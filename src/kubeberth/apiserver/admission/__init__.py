"""Admission: what is filled in or refused after decoding and before storing."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from kubeberth.api.scheme import (
    MUTATING_ADMISSION_POLICIES,
    MUTATING_ADMISSION_POLICY_BINDINGS,
    MUTATING_WEBHOOK_CONFIGURATIONS,
    VALIDATING_ADMISSION_POLICIES,
    VALIDATING_ADMISSION_POLICY_BINDINGS,
    VALIDATING_WEBHOOK_CONFIGURATIONS,
    Resource,
)
from kubeberth.apiserver.admission.certificates import Certificates
from kubeberth.apiserver.admission.chain import Plugin
from kubeberth.apiserver.admission.default_storage_class import DefaultStorageClass
from kubeberth.apiserver.admission.default_toleration_seconds import DefaultTolerationSeconds
from kubeberth.apiserver.admission.limit_ranger import LimitRanger
from kubeberth.apiserver.admission.mutating_admission_policy import MutatingAdmissionPolicy
from kubeberth.apiserver.admission.mutating_webhook import MutatingAdmissionWebhook
from kubeberth.apiserver.admission.namespace_lifecycle import NamespaceLifecycle
from kubeberth.apiserver.admission.pod_topology_labels import PodTopologyLabels
from kubeberth.apiserver.admission.policies import Policy, PolicyDesk, read_policies
from kubeberth.apiserver.admission.priority import Priority
from kubeberth.apiserver.admission.rbac_escalation import RbacEscalation
from kubeberth.apiserver.admission.registered import Changes, Registered
from kubeberth.apiserver.admission.resource_quota import Ledger, ResourceQuota
from kubeberth.apiserver.admission.runtime_class import RuntimeClass
from kubeberth.apiserver.admission.service_account import ServiceAccount
from kubeberth.apiserver.admission.service_addresses import ServiceAddresses
from kubeberth.apiserver.admission.storage_object_in_use import StorageObjectInUseProtection
from kubeberth.apiserver.admission.taint_nodes_by_condition import TaintNodesByCondition
from kubeberth.apiserver.admission.validating_admission_policy import ValidatingAdmissionPolicy
from kubeberth.apiserver.admission.validating_webhook import ValidatingAdmissionWebhook
from kubeberth.apiserver.admission.versions import Versions
from kubeberth.apiserver.admission.webhooks import Desk, Webhook, read_webhooks
from kubeberth.apiserver.auth.rbac import Authorizer
from kubeberth.apiserver.auth.stored_policy import StoredPolicy
from kubeberth.apiserver.storage.store import Store
from kubeberth.apiserver.webhook_client import WebhookClient


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What plugins are made of."""

    reader: Ledger
    store: Store
    policy: StoredPolicy
    authorizer: Authorizer
    versions: Versions
    client: WebhookClient
    chance: random.Random
    service_cidr: str
    stamp: Callable[[], str]


def plugins(around: Surroundings) -> tuple[Plugin, ...]:
    """Return the plugins that are on, in upstream's order."""
    reader, chance = around.reader, around.chance
    desk = Desk(reader, around.client, around.versions, around.authorizer)
    policy_desk = PolicyDesk(reader, around.versions, around.authorizer)
    changes = Changes(around.store)

    def policies(kind: Resource, bindings: Resource) -> Registered[Policy]:
        return Registered(changes, around.versions, lambda: read_policies(reader, kind, bindings))

    def webhooks(kind: Resource) -> Registered[Webhook]:
        return Registered(changes, around.versions, lambda: read_webhooks(reader, kind))

    mutating = policies(MUTATING_ADMISSION_POLICIES, MUTATING_ADMISSION_POLICY_BINDINGS)
    validating = policies(VALIDATING_ADMISSION_POLICIES, VALIDATING_ADMISSION_POLICY_BINDINGS)
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
        Certificates(around.authorizer, around.stamp),
        PodTopologyLabels(reader),
        MutatingAdmissionPolicy(mutating, policy_desk),
        MutatingAdmissionWebhook(webhooks(MUTATING_WEBHOOK_CONFIGURATIONS), desk),
        ServiceAddresses(reader, chance, around.service_cidr),
        RbacEscalation(around.policy, around.authorizer),
        ValidatingAdmissionPolicy(validating, policy_desk),
        ValidatingAdmissionWebhook(webhooks(VALIDATING_WEBHOOK_CONFIGURATIONS), desk),
        ResourceQuota(reader),
    )
