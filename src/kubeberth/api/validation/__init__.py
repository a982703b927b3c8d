"""Validation: what keeps a document from being stored, as a list of field errors.

One file per area; this one knows which rules go with which resource. All faults are found, not
just the first, in upstream's order. Documents come in canonical form (`codec.decode`) and with
their defaults set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubeberth.api.scheme import Resource
from kubeberth.api.validation import (
    access,
    admission_policies,
    certificates,
    cluster,
    config,
    custom_objects,
    definitions,
    events,
    jobs,
    network,
    nodes,
    pod_parts,
    pods,
    policy,
    resource_claims,
    resource_slices,
    services,
    storage,
    webhooks,
    workloads,
)
from kubeberth.api.validation.field_error import FieldError, invalid_error
from kubeberth.api.validation.metadata import (
    validate_labels_update,
    validate_metadata,
    validate_metadata_update,
)

__all__ = [
    "FieldError",
    "invalid_error",
    "validate",
    "validate_kind",
    "validate_update",
    "warnings_for",
]
from kubeberth.api.validation.warnings import warnings_for

Document = Mapping[str, Any]
ChangeRules = Callable[[Document, Document], list[FieldError]]


@dataclass(frozen=True, slots=True)
class Rules:
    """What a resource's objects must be like.

    Parameters
    ----------
    validate
        For new objects.
    validate_update, validate_status_update
        For changes, given the new object and the old; None when only the metadata are looked at.
    of_parts
        For changes through other parts with rules of their own, by the name of the part.
    """

    validate: Callable[[Document], list[FieldError]]
    validate_update: ChangeRules | None = None
    validate_status_update: ChangeRules | None = None
    of_parts: Mapping[str, ChangeRules] = field(default_factory=dict)

    def of_change(self, part: str) -> ChangeRules | None:
        """Return the rules for a change of the object, or through a part of it."""
        if part in self.of_parts:
            return self.of_parts[part]
        return self.validate_status_update if part == "status" else self.validate_update


def _with_metadata(
    rules: Callable[[Document], list[FieldError]],
) -> Callable[[Document], list[FieldError]]:
    """Return rules that look at the metadata first."""
    return lambda document: validate_metadata(document.get("metadata") or {}) + rules(document)


def _workload_status(plural: str) -> Callable[[Document, Document], list[FieldError]]:
    return lambda new, old: workloads.validate_workload_status(new, old, plural)


def _lease_update(new: Document, old: Document) -> list[FieldError]:
    errors = validate_metadata_update(new["metadata"], old["metadata"])
    return errors + cluster.validate_lease(new)


_RULES: dict[str, Rules] = {
    "customresourcedefinitions.apiextensions.k8s.io": Rules(
        definitions.validate_definition,
        definitions.validate_definition_update,
        definitions.validate_definition_status_update,
    ),
    "pods": Rules(
        pods.validate_pod,
        pods.validate_pod_update,
        pods.validate_pod_status_update,
        of_parts={
            "ephemeralcontainers": pod_parts.validate_ephemeral_containers_update,
            "resize": pod_parts.validate_resize,
        },
    ),
    "nodes": Rules(
        nodes.validate_node, nodes.validate_node_update, nodes.validate_node_status_update
    ),
    "namespaces": Rules(
        cluster.validate_namespace,
        cluster.validate_namespace_update,
        cluster.validate_namespace_status_update,
    ),
    "services": Rules(services.validate_service, services.validate_service_update),
    "configmaps": Rules(config.validate_config_map, config.validate_config_map_update),
    "secrets": Rules(config.validate_secret, config.validate_secret_update),
    "serviceaccounts": Rules(
        lambda document: validate_metadata(document.get("metadata") or {}),
        config.validate_service_account_update,
    ),
    "events": Rules(events.validate_core_event, events.validate_event_update),
    "events.events.k8s.io": Rules(events.validate_new_event, events.validate_event_update),
    "leases.coordination.k8s.io": Rules(cluster.validate_lease, _lease_update),
    "deployments.apps": Rules(
        _with_metadata(workloads.validate_deployment),
        workloads.validate_deployment_update,
        _workload_status("deployments"),
    ),
    "replicasets.apps": Rules(
        _with_metadata(workloads.validate_replica_set),
        workloads.validate_replica_set_update,
        _workload_status("replicasets"),
    ),
    "priorityclasses.scheduling.k8s.io": Rules(
        cluster.validate_priority_class, cluster.validate_priority_class_update
    ),
    "bindings": Rules(cluster.validate_binding),
    "replicationcontrollers": Rules(
        _with_metadata(workloads.validate_replication_controller),
        workloads.validate_replication_controller_update,
        _workload_status("replicationcontrollers"),
    ),
    "statefulsets.apps": Rules(
        _with_metadata(workloads.validate_stateful_set),
        workloads.validate_stateful_set_update,
        _workload_status("statefulsets"),
    ),
    "daemonsets.apps": Rules(
        _with_metadata(workloads.validate_daemon_set),
        workloads.validate_daemon_set_update,
        _workload_status("daemonsets"),
    ),
    "jobs.batch": Rules(jobs.validate_job, jobs.validate_job_update, jobs.validate_job_status),
    "cronjobs.batch": Rules(jobs.validate_cron_job, jobs.validate_cron_job_update),
    "horizontalpodautoscalers.autoscaling": Rules(
        network.validate_autoscaler, network.validate_autoscaler_update
    ),
    "horizontalpodautoscalers.v1.autoscaling": Rules(
        network.validate_autoscaler, network.validate_autoscaler_update
    ),
    "poddisruptionbudgets.policy": Rules(
        policy.validate_budget, policy.validate_budget_update, policy.validate_budget_status
    ),
    "limitranges": Rules(policy.validate_limit_range, policy.validate_limit_range_update),
    "resourcequotas": Rules(
        policy.validate_quota, policy.validate_quota_update, policy.validate_quota_status
    ),
    "runtimeclasses.node.k8s.io": Rules(
        policy.validate_runtime_class, policy.validate_runtime_class_update
    ),
    "persistentvolumes": Rules(
        storage.validate_volume, storage.validate_volume_update, storage.validate_volume_status
    ),
    "persistentvolumeclaims": Rules(
        storage.validate_claim, storage.validate_claim_update, storage.validate_claim_status
    ),
    "storageclasses.storage.k8s.io": Rules(
        storage.validate_storage_class, storage.validate_storage_class_update
    ),
    "csinodes.storage.k8s.io": Rules(storage.validate_csi_node, storage.validate_csi_node_update),
    "csidrivers.storage.k8s.io": Rules(
        storage.validate_csi_driver, storage.validate_csi_driver_update
    ),
    "csistoragecapacities.storage.k8s.io": Rules(
        storage.validate_capacity, storage.validate_capacity_update
    ),
    "volumeattachments.storage.k8s.io": Rules(
        storage.validate_attachment, storage.validate_attachment_update
    ),
    "roles.rbac.authorization.k8s.io": Rules(access.validate_role, access.validate_role_update),
    "clusterroles.rbac.authorization.k8s.io": Rules(
        access.validate_cluster_role, access.validate_cluster_role_update
    ),
    "rolebindings.rbac.authorization.k8s.io": Rules(
        access.validate_role_binding, access.validate_role_binding_update
    ),
    "clusterrolebindings.rbac.authorization.k8s.io": Rules(
        access.validate_cluster_role_binding, access.validate_cluster_role_binding_update
    ),
    "certificatesigningrequests.certificates.k8s.io": Rules(
        certificates.validate_signing_request,
        certificates.validate_signing_request_update,
        certificates.validate_signing_request_status_update,
        of_parts={"approval": certificates.validate_approval},
    ),
    "endpointslices.discovery.k8s.io": Rules(
        network.validate_endpoint_slice, network.validate_endpoint_slice_update
    ),
    "ingresses.networking.k8s.io": Rules(network.validate_ingress),
    "ingressclasses.networking.k8s.io": Rules(
        network.validate_ingress_class, network.validate_ingress_class_update
    ),
    "networkpolicies.networking.k8s.io": Rules(network.validate_network_policy),
    "deviceclasses.resource.k8s.io": Rules(
        resource_claims.validate_class, resource_claims.validate_class_update
    ),
    "resourceclaims.resource.k8s.io": Rules(
        resource_claims.validate_claim,
        resource_claims.validate_claim_update,
        resource_claims.validate_claim_status,
    ),
    "resourceclaimtemplates.resource.k8s.io": Rules(
        resource_claims.validate_template, resource_claims.validate_template_update
    ),
    "resourceslices.resource.k8s.io": Rules(
        resource_slices.validate_slice, resource_slices.validate_slice_update
    ),
    "mutatingadmissionpolicies.admissionregistration.k8s.io": Rules(
        admission_policies.validate_mutating_policy,
        admission_policies.validate_mutating_policy_update,
    ),
    "mutatingadmissionpolicybindings.admissionregistration.k8s.io": Rules(
        admission_policies.validate_binding, admission_policies.validate_binding_update
    ),
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": Rules(
        webhooks.validate_webhook_configuration, webhooks.validate_webhook_configuration_update
    ),
    "validatingadmissionpolicies.admissionregistration.k8s.io": Rules(
        admission_policies.validate_validating_policy,
        admission_policies.validate_validating_policy_update,
        admission_policies.validate_validating_policy_status,
    ),
    "validatingadmissionpolicybindings.admissionregistration.k8s.io": Rules(
        admission_policies.validate_validating_binding,
        admission_policies.validate_validating_binding_update,
    ),
    "validatingwebhookconfigurations.admissionregistration.k8s.io": Rules(
        webhooks.validate_webhook_configuration, webhooks.validate_webhook_configuration_update
    ),
}
# Bodies of subresources that have a kind of their own.
_KINDS: dict[str, Callable[[Document], list[FieldError]]] = {
    "Binding": cluster.validate_binding,
    "Scale": cluster.validate_scale,
    "Eviction": lambda document: [],
}


def validate(resource: Resource, document: Document) -> list[FieldError]:
    """Return the faults of a new object; an empty list when it may be stored."""
    if resource.custom is not None:
        return custom_objects.validate_object(resource, document)
    meta = document.get("metadata") or {}
    rules = _RULES.get(resource.rules_key)
    if rules is None:
        return validate_metadata(meta, namespaced=resource.namespaced)
    # What upstream checks of every kind, after the kind's own rules: some leave the metadata to it.
    return rules.validate(document) or validate_metadata(
        meta, access.path_segment_errors, namespaced=resource.namespaced
    )


def validate_kind(kind: str, document: Document) -> list[FieldError]:
    """Return the faults of a subresource's body: a Binding, a Scale."""
    return _KINDS[kind](document)


def validate_update(
    resource: Resource, new: Document, old: Document, subresource: str = ""
) -> list[FieldError]:
    """Return what of a change is not allowed; an empty list when it may be stored.

    Parameters
    ----------
    new, old
        Whole objects. For a subresource `new` has the other parts taken from `old`.
    subresource
        The part through which the object is changed, such as `status`; empty for the whole.
    """
    if resource.custom is not None:
        return custom_objects.validate_object_update(resource, new, old)
    metadata = new.get("metadata") or {}, old.get("metadata") or {}
    # What upstream checks of every kind, before the kind's own rules look at it again.
    errors = validate_metadata_update(*metadata) + validate_labels_update(*metadata)
    rules = _RULES.get(resource.rules_key)
    if rules is None:
        return errors
    own = rules.of_change(subresource)
    return errors + own(new, old) if own else errors
