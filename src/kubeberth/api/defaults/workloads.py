"""Defaults of workloads and of what scales them."""

from __future__ import annotations

from kubeberth.api.defaults.pods import Document, default_pod_spec
from kubeberth.api.defaults.storage import default_claim

# As often as a job's pods may fail where each index has a limit of its own: no limit.
_NO_BACKOFF_LIMIT = 2**31 - 1
_CPU_TARGET_PERCENT = 80
_SCALING_PERIOD_SECONDS = 15
_PODS_PER_SCALE_UP = 4


def default_template(template: Document) -> None:
    """Set the defaults of a pod template."""
    default_pod_spec(template.setdefault("spec", {}))


def default_deployment(deployment: Document) -> None:
    """Set the defaults of a deployment."""
    spec = deployment.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    strategy = spec.setdefault("strategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    default_template(spec.setdefault("template", {}))


def default_replica_set(replica_set: Document) -> None:
    """Set the defaults of a replica set."""
    spec = replica_set.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    default_template(spec.setdefault("template", {}))


def default_replication_controller(controller: Document) -> None:
    """Set the defaults of a replication controller: it selects what its template makes."""
    spec = controller.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    template = spec.get("template")
    if template is None:
        return
    default_template(template)
    if labels := (template.get("metadata") or {}).get("labels"):
        metadata = controller.setdefault("metadata", {})
        if not spec.get("selector"):
            spec["selector"] = dict(labels)
        if not metadata.get("labels"):
            metadata["labels"] = dict(labels)


def default_stateful_set(stateful_set: Document) -> None:
    """Set the defaults of a stateful set."""
    spec = stateful_set.setdefault("spec", {})
    spec.setdefault("podManagementPolicy", "OrderedReady")
    strategy = spec.setdefault("updateStrategy", {})
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
        strategy.setdefault("rollingUpdate", {})
    if strategy["type"] == "RollingUpdate" and "rollingUpdate" in strategy:
        strategy["rollingUpdate"].setdefault("partition", 0)
    retention = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
    retention.setdefault("whenDeleted", "Retain")
    retention.setdefault("whenScaled", "Retain")
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    default_template(spec.setdefault("template", {}))
    for claim in spec.get("volumeClaimTemplates") or ():
        default_claim(claim)
        # As if they were the items of a list.
        claim.setdefault("apiVersion", "v1")
        claim.setdefault("kind", "PersistentVolumeClaim")


def default_daemon_set(daemon_set: Document) -> None:
    """Set the defaults of a daemon set."""
    spec = daemon_set.setdefault("spec", {})
    strategy = spec.setdefault("updateStrategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", 1)
        rolling.setdefault("maxSurge", 0)
    spec.setdefault("revisionHistoryLimit", 10)
    default_template(spec.setdefault("template", {}))


def default_job(job: Document) -> None:
    """Set the defaults of a job."""
    spec = job.setdefault("spec", {})
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    limit = _NO_BACKOFF_LIMIT if "backoffLimitPerIndex" in spec else 6
    spec.setdefault("backoffLimit", limit)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    spec.setdefault("manualSelector", False)
    fails_by_policy = spec.get("podFailurePolicy") is not None
    spec.setdefault("podReplacementPolicy", "Failed" if fails_by_policy else "TerminatingOrFailed")
    for rule in (spec.get("podFailurePolicy") or {}).get("rules") or ():
        for pattern in rule.get("onPodConditions") or ():
            pattern.setdefault("status", "True")
    template = spec.setdefault("template", {})
    default_template(template)
    metadata = job.setdefault("metadata", {})
    labels = (template.get("metadata") or {}).get("labels")
    if labels and not metadata.get("labels"):
        # The very map of the template, as upstream: the labels that the server adds to the
        # template of a new job are then the job's too.
        metadata["labels"] = labels


def default_cron_job(cron_job: Document) -> None:
    """Set the defaults of a cron job; its jobs get theirs when they are made."""
    spec = cron_job.setdefault("spec", {})
    spec.setdefault("concurrencyPolicy", "Allow")
    spec.setdefault("suspend", False)
    spec.setdefault("successfulJobsHistoryLimit", 3)
    spec.setdefault("failedJobsHistoryLimit", 1)
    job = spec.setdefault("jobTemplate", {}).setdefault("spec", {})
    default_template(job.setdefault("template", {}))


def default_pod_template(pod_template: Document) -> None:
    """Set the defaults of a pod template that is an object of its own."""
    default_template(pod_template.setdefault("template", {}))


def default_old_autoscaler(autoscaler: Document) -> None:
    """Set the defaults of an autoscaling/v1 autoscaler."""
    autoscaler.setdefault("spec", {}).setdefault("minReplicas", 1)


def default_autoscaler(autoscaler: Document) -> None:
    """Set the defaults of an autoscaler: it aims at busy, not overloaded processors."""
    default_old_autoscaler(autoscaler)
    spec = autoscaler["spec"]
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": _CPU_TARGET_PERCENT}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    behavior = spec.get("behavior")
    if behavior is None:
        return
    percent = {"type": "Percent", "value": 100, "periodSeconds": _SCALING_PERIOD_SECONDS}
    pods = {"type": "Pods", "value": _PODS_PER_SCALE_UP, "periodSeconds": _SCALING_PERIOD_SECONDS}
    up = behavior.setdefault("scaleUp", {})
    up.setdefault("stabilizationWindowSeconds", 0)
    up.setdefault("policies", [pods, dict(percent)])
    down = behavior.setdefault("scaleDown", {})
    down.setdefault("policies", [dict(percent)])
    for rules in (up, down):
        rules.setdefault("selectPolicy", "Max")
