"""Defaults: what a document says when it says nothing; one function per kind, in place.

Matches `pkg/apis/{group}/{version}/defaults.go` of Kubernetes 1.36. Documents come in canonical
form (`codec.decode`). What the server decides for itself when it creates an object (uid, status,
addresses of services) is not a default and does not happen here.
"""

from __future__ import annotations

from collections.abc import Callable

from kubeberth.api.custom import structural
from kubeberth.api.defaults import admission, cluster, devices, network, pods, storage, workloads
from kubeberth.api.defaults.pods import Document, default_pod, default_pod_spec
from kubeberth.api.scheme import Resource

__all__ = ["Document", "apply_defaults", "default_pod", "default_pod_spec"]


def apply_defaults(resource: Resource, document: Document) -> None:
    """Set the defaults of a document, in place. Setting them again changes nothing."""
    if resource.custom is not None:
        structural.set_defaults(document, resource.custom.schema)
    elif set_defaults := _BY_RESOURCE.get(resource.rules_key):
        set_defaults(document)


_BY_RESOURCE: dict[str, Callable[[Document], None]] = {
    "pods": pods.default_pod,
    "podtemplates": workloads.default_pod_template,
    "nodes": cluster.default_node,
    "namespaces": cluster.default_namespace,
    "services": network.default_service,
    "endpoints": network.default_endpoints,
    "secrets": cluster.default_secret,
    "limitranges": cluster.default_limit_range,
    "persistentvolumes": storage.default_volume,
    "persistentvolumeclaims": storage.default_claim,
    "replicationcontrollers": workloads.default_replication_controller,
    "daemonsets.apps": workloads.default_daemon_set,
    "deployments.apps": workloads.default_deployment,
    "replicasets.apps": workloads.default_replica_set,
    "statefulsets.apps": workloads.default_stateful_set,
    "cronjobs.batch": workloads.default_cron_job,
    "jobs.batch": workloads.default_job,
    "horizontalpodautoscalers.autoscaling": workloads.default_autoscaler,
    "horizontalpodautoscalers.v1.autoscaling": workloads.default_old_autoscaler,
    "leases.coordination.k8s.io": cluster.default_lease,
    "priorityclasses.scheduling.k8s.io": cluster.default_priority_class,
    "customresourcedefinitions.apiextensions.k8s.io": (cluster.default_custom_resource_definition),
    "csidrivers.storage.k8s.io": storage.default_csi_driver,
    "storageclasses.storage.k8s.io": storage.default_storage_class,
    "endpointslices.discovery.k8s.io": network.default_endpoint_slice,
    "resourceclaims.resource.k8s.io": devices.default_resource_claim,
    "resourceclaimtemplates.resource.k8s.io": devices.default_resource_claim_template,
    "ingressclasses.networking.k8s.io": network.default_ingress_class,
    "networkpolicies.networking.k8s.io": network.default_network_policy,
    "clusterrolebindings.rbac.authorization.k8s.io": cluster.default_role_binding,
    "rolebindings.rbac.authorization.k8s.io": cluster.default_role_binding,
    "mutatingadmissionpolicies.admissionregistration.k8s.io": admission.default_policy,
    "mutatingadmissionpolicybindings.admissionregistration.k8s.io": admission.default_binding,
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": (
        admission.default_mutating_webhooks
    ),
    "validatingadmissionpolicies.admissionregistration.k8s.io": admission.default_policy,
    "validatingadmissionpolicybindings.admissionregistration.k8s.io": admission.default_binding,
    "validatingwebhookconfigurations.admissionregistration.k8s.io": admission.default_webhooks,
}
