"""The plugins that fill in or refuse after decoding and before storing, in upstream's order."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
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
from kubeberth.apiserver.admission.always_admit import AlwaysAdmit
from kubeberth.apiserver.admission.always_pull_images import AlwaysPullImages
from kubeberth.apiserver.admission.certificates import (
    CertificateApproval,
    CertificateRequests,
    CertificateSigning,
    CertificateSubjectRestriction,
)
from kubeberth.apiserver.admission.chain import Plugin
from kubeberth.apiserver.admission.default_ingress_class import DefaultIngressClass
from kubeberth.apiserver.admission.default_storage_class import DefaultStorageClass
from kubeberth.apiserver.admission.default_toleration_seconds import DefaultTolerationSeconds
from kubeberth.apiserver.admission.deny_service_external_ips import DenyServiceExternalIPs
from kubeberth.apiserver.admission.event_rate_limit import EventRateLimit
from kubeberth.apiserver.admission.extended_resource_toleration import ExtendedResourceToleration
from kubeberth.apiserver.admission.limit_pod_hard_anti_affinity_topology import (
    LimitPodHardAntiAffinityTopology,
)
from kubeberth.apiserver.admission.limit_ranger import LimitRanger
from kubeberth.apiserver.admission.mutating_admission_policy import MutatingAdmissionPolicy
from kubeberth.apiserver.admission.mutating_webhook import MutatingAdmissionWebhook
from kubeberth.apiserver.admission.namespace_lifecycle import NamespaceLifecycle
from kubeberth.apiserver.admission.namespaces import NamespaceAutoProvision, NamespaceExists
from kubeberth.apiserver.admission.node_restriction import NodeRestriction
from kubeberth.apiserver.admission.owner_references import OwnerReferencesPermissionEnforcement
from kubeberth.apiserver.admission.persistent_volume_claim_resize import (
    PersistentVolumeClaimResize,
)
from kubeberth.apiserver.admission.pod_node_selector import PodNodeSelector
from kubeberth.apiserver.admission.pod_security import PodSecurity
from kubeberth.apiserver.admission.pod_toleration_restriction import PodTolerationRestriction
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
from kubeberth.apiserver.admission_selection import ORDER, AdmissionSettings, enabled_plugins
from kubeberth.apiserver.auth.rbac import Authorizer
from kubeberth.apiserver.auth.stored_policy import StoredPolicy
from kubeberth.apiserver.storage.store import Store
from kubeberth.apiserver.webhook_client import WebhookClient


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What plugins are made of.

    Parameters
    ----------
    stamp, now
        Return the present moment as objects tell it, and as seconds that only grow.
    make_namespace
        Makes a namespace, unless somebody else was faster.
    settings
        Which plugins are on, and what they are told.
    """

    reader: Ledger
    store: Store
    policy: StoredPolicy
    authorizer: Authorizer
    versions: Versions
    client: WebhookClient
    chance: random.Random
    service_cidr: str
    stamp: Callable[[], str]
    now: Callable[[], float]
    make_namespace: Callable[[str], Awaitable[None]]
    settings: AdmissionSettings


# Parts of what upstream does where it stores objects; always on, each before the plugin it names.
STEPS = {
    "CertificateRequests": "CertificateApproval",
    "ServiceAddresses": "ValidatingAdmissionPolicy",
    "RbacEscalation": "ValidatingAdmissionPolicy",
}


def plugins(around: Surroundings) -> tuple[Plugin, ...]:
    """Return the plugins that are on, in upstream's order.

    Raises
    ------
    UsageError
        The settings name none that is known, or tell one what it cannot take.
    """
    enabled = enabled_plugins(around.settings)
    makers = _makers(around)
    found: list[Plugin] = []
    for name in ORDER:
        found += [makers[step]() for step, before in STEPS.items() if before == name]
        if name in enabled:
            found.append(makers[name]())
    return tuple(found)


def _makers(around: Surroundings) -> dict[str, Callable[[], Plugin]]:
    """Return what makes each plugin, by its name."""
    reader, chance, settings = around.reader, around.chance, around.settings
    authorizer = around.authorizer
    desk = Desk(reader, around.client, around.versions, authorizer)
    policy_desk = PolicyDesk(reader, around.versions, authorizer)

    def policies(kind: Resource, bindings: Resource) -> Registered[Policy]:
        changes = Changes(around.store, kind, bindings)
        return Registered(changes, around.versions, lambda: read_policies(reader, kind, bindings))

    def webhooks(kind: Resource) -> Registered[Webhook]:
        changes = Changes(around.store, kind)
        return Registered(changes, around.versions, lambda: read_webhooks(reader, kind))

    mutating = policies(MUTATING_ADMISSION_POLICIES, MUTATING_ADMISSION_POLICY_BINDINGS)
    validating = policies(VALIDATING_ADMISSION_POLICIES, VALIDATING_ADMISSION_POLICY_BINDINGS)
    return {
        "AlwaysAdmit": AlwaysAdmit,
        "NamespaceAutoProvision": lambda: NamespaceAutoProvision(reader, around.make_namespace),
        "NamespaceLifecycle": lambda: NamespaceLifecycle(reader),
        "NamespaceExists": lambda: NamespaceExists(reader),
        "LimitPodHardAntiAffinityTopology": LimitPodHardAntiAffinityTopology,
        "LimitRanger": lambda: LimitRanger(reader),
        "ServiceAccount": lambda: ServiceAccount(reader, chance),
        "NodeRestriction": lambda: NodeRestriction(reader, authorizer),
        "TaintNodesByCondition": TaintNodesByCondition,
        "AlwaysPullImages": AlwaysPullImages,
        "PodSecurity": lambda: PodSecurity(reader, settings.of("PodSecurity")),
        "PodNodeSelector": lambda: PodNodeSelector(reader, settings.of("PodNodeSelector")),
        "Priority": lambda: Priority(reader),
        "DefaultTolerationSeconds": lambda: DefaultTolerationSeconds(
            settings.not_ready_s, settings.unreachable_s
        ),
        "PodTolerationRestriction": lambda: PodTolerationRestriction(
            reader, settings.of("PodTolerationRestriction")
        ),
        "EventRateLimit": lambda: EventRateLimit(settings.of("EventRateLimit"), around.now),
        "ExtendedResourceToleration": ExtendedResourceToleration,
        "DefaultStorageClass": lambda: DefaultStorageClass(reader),
        "StorageObjectInUseProtection": StorageObjectInUseProtection,
        "OwnerReferencesPermissionEnforcement": lambda: OwnerReferencesPermissionEnforcement(
            authorizer, around.versions.catalogue
        ),
        "PersistentVolumeClaimResize": lambda: PersistentVolumeClaimResize(reader),
        "RuntimeClass": lambda: RuntimeClass(reader),
        "CertificateRequests": lambda: CertificateRequests(around.stamp),
        "CertificateApproval": lambda: CertificateApproval(authorizer),
        "CertificateSigning": lambda: CertificateSigning(authorizer),
        "CertificateSubjectRestriction": CertificateSubjectRestriction,
        "DefaultIngressClass": lambda: DefaultIngressClass(reader),
        "DenyServiceExternalIPs": DenyServiceExternalIPs,
        "PodTopologyLabels": lambda: PodTopologyLabels(reader),
        "MutatingAdmissionPolicy": lambda: MutatingAdmissionPolicy(mutating, policy_desk),
        "MutatingAdmissionWebhook": lambda: MutatingAdmissionWebhook(
            webhooks(MUTATING_WEBHOOK_CONFIGURATIONS), desk
        ),
        "ServiceAddresses": lambda: ServiceAddresses(reader, chance, around.service_cidr),
        "RbacEscalation": lambda: RbacEscalation(around.policy, authorizer),
        "ValidatingAdmissionPolicy": lambda: ValidatingAdmissionPolicy(validating, policy_desk),
        "ValidatingAdmissionWebhook": lambda: ValidatingAdmissionWebhook(
            webhooks(VALIDATING_WEBHOOK_CONFIGURATIONS), desk
        ),
        "ResourceQuota": lambda: ResourceQuota(reader),
    }
