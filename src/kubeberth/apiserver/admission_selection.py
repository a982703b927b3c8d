"""Which admission plugins are on: upstream's names, order and defaults, and what was asked for.

Matches `pkg/kubeapiserver/options/plugins.go` of Kubernetes 1.36, but that NodeRestriction is on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubeberth.api.default_tolerations import SECONDS
from kubeberth.errors import UsageError

# In the order in which they run.
ORDER = (
    "AlwaysAdmit",
    "NamespaceAutoProvision",
    "NamespaceLifecycle",
    "NamespaceExists",
    "LimitPodHardAntiAffinityTopology",
    "LimitRanger",
    "ServiceAccount",
    "NodeRestriction",
    "TaintNodesByCondition",
    "AlwaysPullImages",
    "ImagePolicyWebhook",
    "PodSecurity",
    "PodNodeSelector",
    "Priority",
    "DefaultTolerationSeconds",
    "PodTolerationRestriction",
    "EventRateLimit",
    "ExtendedResourceToleration",
    "DefaultStorageClass",
    "StorageObjectInUseProtection",
    "PodGroupProtection",
    "OwnerReferencesPermissionEnforcement",
    "PersistentVolumeClaimResize",
    "RuntimeClass",
    "CertificateApproval",
    "CertificateSigning",
    "ClusterTrustBundleAttest",
    "CertificateSubjectRestriction",
    "DefaultIngressClass",
    "DenyServiceExternalIPs",
    "PodTopologyLabels",
    "PodGroupWorkloadExists",
    "NodeDeclaredFeatureValidator",
    "JobValidation",
    "PodResizeValidator",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionWebhook",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionWebhook",
    "ResourceQuota",
    "AlwaysDeny",
)
# Of these kube-apiserver has more than is served here.
NOT_SERVED = frozenset(
    (
        "AlwaysDeny",
        "ClusterTrustBundleAttest",
        "ImagePolicyWebhook",
        "JobValidation",
        "NodeDeclaredFeatureValidator",
        "PodGroupProtection",
        "PodGroupWorkloadExists",
        "PodResizeValidator",
    )
)
OFF_BY_DEFAULT = frozenset(
    (
        "AlwaysAdmit",
        "AlwaysDeny",
        "AlwaysPullImages",
        "DenyServiceExternalIPs",
        "EventRateLimit",
        "ExtendedResourceToleration",
        "ImagePolicyWebhook",
        "LimitPodHardAntiAffinityTopology",
        "NamespaceAutoProvision",
        "NamespaceExists",
        "OwnerReferencesPermissionEnforcement",
        "PodNodeSelector",
        "PodTolerationRestriction",
    )
)
DEFAULT = frozenset(ORDER) - OFF_BY_DEFAULT - NOT_SERVED
NODE_RESTRICTION = "NodeRestriction"
# What it counts is nowhere but in its configuration.
_NEEDS_CONFIGURATION = ("EventRateLimit",)
ENABLE, DISABLE = "enable-admission-plugins", "disable-admission-plugins"


@dataclass(frozen=True, slots=True)
class AdmissionSettings:
    """What was asked for.

    Parameters
    ----------
    enable, disable
        Plugins besides those that are on by default, and those of them that shall not be.
    configuration
        What plugins are told besides, by their names.
    not_ready_s, unreachable_s
        How long pods stay by default on nodes that are not ready, or not reachable.
    """

    enable: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()
    configuration: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    not_ready_s: int = SECONDS
    unreachable_s: int = SECONDS

    def of(self, plugin: str) -> Mapping[str, Any]:
        """Return what a plugin is told besides."""
        return self.configuration.get(plugin, {})


def enabled_plugins(settings: AdmissionSettings) -> frozenset[str]:
    """Return the plugins that are on.

    Raises
    ------
    UsageError
        Some name is not known, not served, or asked for both ways.
    """
    for flag, names in ((ENABLE, settings.enable), (DISABLE, settings.disable)):
        for name in names:
            if name not in ORDER:
                raise UsageError(f'{flag} plugin "{name}" is unknown')
    for name in settings.enable:
        if name in NOT_SERVED:
            raise UsageError(f'{ENABLE} plugin "{name}" is not served by kubeberth')
    if both := sorted({*settings.enable} & {*settings.disable}):
        raise UsageError(f"[{' '.join(both)}] in {ENABLE} and {DISABLE} overlapped")
    for name in _NEEDS_CONFIGURATION:
        if name in settings.enable and not settings.of(name):
            raise UsageError(f"{name} needs a configuration: --admission-control-config-file")
    return (DEFAULT | {*settings.enable}) - {*settings.disable}


def restriction_warning(settings: AdmissionSettings) -> str:
    """Return what everybody should know who has switched NodeRestriction off; else nothing."""
    if NODE_RESTRICTION in enabled_plugins(settings):
        return ""
    return (
        "NodeRestriction is off: every node may label itself and other nodes, take off taints, and "
        "write and evict the pods of all"
    )


def read_configuration(path: Path) -> dict[str, Mapping[str, Any]]:
    """Return what an AdmissionConfiguration tells each plugin, itself or in files of their own.

    Raises
    ------
    UsageError
        A file cannot be read, or is none.
    """
    document = _read(path)
    if document.get("kind") != "AdmissionConfiguration":
        raise UsageError(f"{path} is no AdmissionConfiguration")
    found: dict[str, Mapping[str, Any]] = {}
    for plugin in document.get("plugins") or ():
        name = plugin.get("name", "")
        if name not in ORDER:
            raise UsageError(f'{path}: plugin "{name}" is unknown')
        found[name] = plugin.get("configuration") or {}
        if own := plugin.get("path"):
            found[name] = _read(path.parent / own)
    return found


def to_configuration(settings: AdmissionSettings) -> dict[str, Any]:
    """Return the AdmissionConfiguration that tells plugins what the settings do."""
    plugins = [
        {"name": name, "configuration": told} for name, told in settings.configuration.items()
    ]
    return {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AdmissionConfiguration",
        "plugins": plugins,
    }


def _read(path: Path) -> dict[str, Any]:
    from kubeberth.api.yaml import YAMLError, parse_documents  # late: its parser loads slowly

    try:
        documents = list(parse_documents(path.read_bytes()))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except YAMLError as error:
        raise UsageError(f"{path} is not YAML: {error}") from error
    document = documents[0] if len(documents) == 1 else None
    if not isinstance(document, dict):
        raise UsageError(f"{path} must hold one object")
    return document
