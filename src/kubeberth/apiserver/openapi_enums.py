"""Fields with a few possible values, as OpenAPI documents list them and `kubectl explain` shows.

What the types of Kubernetes 1.36 mark as enumerations. They explain: what is refused, and in which
words, is up to `kubeberth.api.validation`.
"""

from __future__ import annotations

from collections.abc import Mapping

_CORE = "io.k8s.api.core.v1."
_APPS = "io.k8s.api.apps.v1."
_BATCH = "io.k8s.api.batch.v1."

_PULL = "Always IfNotPresent Never"
_PROTOCOL = "SCTP TCP UDP"
_EFFECT = "NoExecute NoSchedule PreferNoSchedule"
_PREEMPTION = "Never PreemptLowerPriority"
_HONOR = "Honor Ignore"
_MODE = "Block Filesystem"
_UPDATE = "OnDelete RollingUpdate"

# By definition: the fields, each with its values in order.
_ENUMS: dict[str, dict[str, str]] = {
    f"{_CORE}AppArmorProfile": {"type": "Localhost RuntimeDefault Unconfined"},
    f"{_CORE}AzureDiskVolumeSource": {
        "cachingMode": "None ReadOnly ReadWrite",
        "kind": "Dedicated Managed Shared",
    },
    f"{_CORE}Container": {
        "imagePullPolicy": _PULL,
        "terminationMessagePolicy": "FallbackToLogsOnError File",
    },
    f"{_CORE}ContainerPort": {"protocol": _PROTOCOL},
    f"{_CORE}EndpointPort": {"protocol": _PROTOCOL},
    f"{_CORE}EphemeralContainer": {
        "imagePullPolicy": _PULL,
        "terminationMessagePolicy": "FallbackToLogsOnError File",
    },
    f"{_CORE}HTTPGetAction": {"scheme": "HTTP HTTPS"},
    f"{_CORE}ImageVolumeSource": {"pullPolicy": _PULL},
    f"{_CORE}NamespaceStatus": {"phase": "Active Terminating"},
    f"{_CORE}NodeSelectorRequirement": {"operator": "DoesNotExist Exists Gt In Lt NotIn"},
    f"{_CORE}NodeStatus": {"phase": "Pending Running Terminated"},
    f"{_CORE}PersistentVolumeClaimSpec": {"volumeMode": _MODE},
    f"{_CORE}PersistentVolumeClaimStatus": {"phase": "Bound Lost Pending"},
    f"{_CORE}PersistentVolumeSpec": {
        "persistentVolumeReclaimPolicy": "Delete Recycle Retain",
        "volumeMode": _MODE,
    },
    f"{_CORE}PersistentVolumeStatus": {"phase": "Available Bound Failed Pending Released"},
    f"{_CORE}PodSecurityContext": {
        "fsGroupChangePolicy": "Always OnRootMismatch",
        "supplementalGroupsPolicy": "Merge Strict",
    },
    f"{_CORE}PodSpec": {
        "dnsPolicy": "ClusterFirst ClusterFirstWithHostNet Default None",
        "preemptionPolicy": _PREEMPTION,
        "restartPolicy": "Always Never OnFailure",
    },
    f"{_CORE}PodStatus": {
        "phase": "Failed Pending Running Succeeded Unknown",
        "qosClass": "BestEffort Burstable Guaranteed",
    },
    f"{_CORE}ScopedResourceSelectorRequirement": {
        "operator": "DoesNotExist Exists In NotIn",
        "scopeName": (
            "BestEffort CrossNamespacePodAffinity NotBestEffort NotTerminating PriorityClass "
            "Terminating VolumeAttributesClass"
        ),
    },
    f"{_CORE}SeccompProfile": {"type": "Localhost RuntimeDefault Unconfined"},
    f"{_CORE}SecurityContext": {"procMount": "Default Unmasked"},
    f"{_CORE}ServicePort": {"protocol": _PROTOCOL},
    f"{_CORE}ServiceSpec": {
        "externalTrafficPolicy": "Cluster Local",
        "internalTrafficPolicy": "Cluster Local",
        "ipFamilyPolicy": "PreferDualStack RequireDualStack SingleStack",
        "sessionAffinity": "ClientIP None",
        "type": "ClusterIP ExternalName LoadBalancer NodePort",
    },
    f"{_CORE}Taint": {"effect": _EFFECT},
    f"{_CORE}Toleration": {"effect": _EFFECT, "operator": "Equal Exists Gt Lt"},
    f"{_CORE}TopologySpreadConstraint": {
        "nodeAffinityPolicy": _HONOR,
        "nodeTaintsPolicy": _HONOR,
        "whenUnsatisfiable": "DoNotSchedule ScheduleAnyway",
    },
    f"{_CORE}VolumeMount": {"mountPropagation": "Bidirectional HostToContainer None"},
    f"{_APPS}DaemonSetUpdateStrategy": {"type": _UPDATE},
    f"{_APPS}DeploymentStrategy": {"type": "Recreate RollingUpdate"},
    f"{_APPS}StatefulSetSpec": {"podManagementPolicy": "OrderedReady Parallel"},
    f"{_APPS}StatefulSetUpdateStrategy": {"type": _UPDATE},
    f"{_BATCH}CronJobSpec": {"concurrencyPolicy": "Allow Forbid Replace"},
    f"{_BATCH}JobSpec": {
        "completionMode": "Indexed NonIndexed",
        "podReplacementPolicy": "Failed TerminatingOrFailed",
    },
    f"{_BATCH}PodFailurePolicyOnExitCodesRequirement": {"operator": "In NotIn"},
    f"{_BATCH}PodFailurePolicyRule": {"action": "Count FailIndex FailJob Ignore"},
    "io.k8s.api.discovery.v1.EndpointSlice": {"addressType": "FQDN IPv4 IPv6"},
    "io.k8s.api.networking.v1.HTTPIngressPath": {
        "pathType": "Exact ImplementationSpecific Prefix"
    },
    "io.k8s.api.networking.v1.NetworkPolicyPort": {"protocol": _PROTOCOL},
    "io.k8s.api.policy.v1.PodDisruptionBudgetSpec": {
        "unhealthyPodEvictionPolicy": "AlwaysAllow IfHealthyBudget"
    },
    "io.k8s.api.scheduling.v1.PriorityClass": {"preemptionPolicy": _PREEMPTION},
    "io.k8s.api.storage.v1.StorageClass": {
        "reclaimPolicy": "Delete Recycle Retain",
        "volumeBindingMode": "Immediate WaitForFirstConsumer",
    },
}  # fmt: skip


def with_enums(definition: str, schema: Mapping[str, object]) -> Mapping[str, object]:
    """Return the schema of a definition with the values that its fields may have."""
    enums = _ENUMS.get(definition)
    properties = schema.get("properties")
    if enums is None or not isinstance(properties, dict):
        return schema
    listed = {
        field: {**properties[field], "enum": values.split()} for field, values in enums.items()
    }
    return {**schema, "properties": properties | listed}


def enumerated_fields() -> list[tuple[str, str]]:
    """Return every field that is listed here, with its definition."""
    return [(name, field) for name, fields in _ENUMS.items() for field in fields]
