"""Columns of workloads and of what scales them."""

from __future__ import annotations

from typing import Any

from kubeberth.api.times import seconds_of
from kubeberth.apiserver.cells import NONE, age_of, age_text, joined, selector_text
from kubeberth.apiserver.columns.printer import (
    AGE,
    CONTAINERS,
    IMAGES,
    NAME,
    SELECTOR,
    Column,
    Document,
    Printer,
    name_of,
    template_cells,
)

# How many metrics of an autoscaler are told before "more".
_SHOWN_METRICS = 2
# Conditions that name a job's state, the first true one counts.
_ENDED = ("Complete", "Failed")
_UNDERWAY = ("Suspended", "FailureTarget", "SuccessCriteriaMet")


def _replicated_cells(workload: Document, now: float) -> list[Any]:
    """Return the cells of a replica set, or of a replication controller, which it replaces."""
    spec, status = workload.get("spec") or {}, workload.get("status") or {}
    return [
        name_of(workload),
        spec.get("replicas", 0),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        age_of(workload, now),
        *template_cells(spec.get("template")),
        selector_text(spec.get("selector")),
    ]


def _stateful_set_cells(stateful_set: Document, now: float) -> list[Any]:
    spec, status = stateful_set.get("spec") or {}, stateful_set.get("status") or {}
    return [
        name_of(stateful_set),
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
        age_of(stateful_set, now),
        *template_cells(spec.get("template")),
    ]


def _daemon_set_cells(daemon_set: Document, now: float) -> list[Any]:
    spec, status = daemon_set.get("spec") or {}, daemon_set.get("status") or {}
    template = spec.get("template") or {}
    return [
        name_of(daemon_set),
        status.get("desiredNumberScheduled", 0),
        status.get("currentNumberScheduled", 0),
        status.get("numberReady", 0),
        status.get("updatedNumberScheduled", 0),
        status.get("numberAvailable", 0),
        joined((template.get("spec") or {}).get("nodeSelector")),
        age_of(daemon_set, now),
        *template_cells(template),
        selector_text(spec.get("selector")),
    ]


def _job_cells(job: Document, now: float) -> list[Any]:
    spec, status = job.get("spec") or {}, job.get("status") or {}
    return [
        name_of(job),
        _job_status(job),
        _completions(spec, status),
        _duration(status, now),
        age_of(job, now),
        *template_cells(spec.get("template")),
        selector_text(spec.get("selector")),
    ]


def _job_status(job: Document) -> str:
    conditions = (job.get("status") or {}).get("conditions") or ()
    true = {c.get("type") for c in conditions if c.get("status") == "True"}
    for name in _ENDED:
        if name in true:
            return name
    if "deletionTimestamp" in job["metadata"]:
        return "Terminating"
    return next((name for name in _UNDERWAY if name in true), "Running")


def _completions(spec: Document, status: Document) -> str:
    succeeded, wanted = status.get("succeeded", 0), spec.get("completions")
    if wanted is not None:
        return f"{succeeded}/{wanted}"
    parallelism = spec.get("parallelism", 0)
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _duration(status: Document, now: float) -> str:
    if not (start := status.get("startTime")):
        return ""
    end = status.get("completionTime")
    return age_text((seconds_of(end) if end else now) - seconds_of(start))


def _cron_job_cells(cron_job: Document, now: float) -> list[Any]:
    spec, status = cron_job.get("spec") or {}, cron_job.get("status") or {}
    last = status.get("lastScheduleTime")
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    return [
        name_of(cron_job),
        spec.get("schedule", ""),
        spec.get("timeZone") or NONE,
        str(bool(spec.get("suspend"))),
        len(status.get("active") or ()),
        age_text(now - seconds_of(last)) if last else NONE,
        age_of(cron_job, now),
        *template_cells(job.get("template")),
        selector_text(job.get("selector")),
    ]


def _pod_template_cells(pod_template: Document, now: float) -> list[Any]:
    template = pod_template.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels")
    return [name_of(pod_template), *template_cells(template), joined(labels)]


def _revision_cells(revision: Document, now: float) -> list[Any]:
    owners = revision["metadata"].get("ownerReferences") or ()
    owner = next((o for o in owners if o.get("controller")), None)
    return [
        name_of(revision),
        _owner_text(owner) if owner else NONE,
        revision.get("revision", 0),
        age_of(revision, now),
    ]


def _owner_text(owner: Document) -> str:
    group = owner.get("apiVersion", "").rpartition("/")[0]
    kind = owner.get("kind", "").lower()
    return f"{kind}.{group}/{owner.get('name', '')}" if group else f"{kind}/{owner.get('name', '')}"


def _autoscaler_cells(autoscaler: Document, now: float) -> list[Any]:
    spec, status = autoscaler.get("spec") or {}, autoscaler.get("status") or {}
    target = spec.get("scaleTargetRef") or {}
    least = spec.get("minReplicas")
    return [
        name_of(autoscaler),
        f"{target.get('kind', '')}/{target.get('name', '')}",
        _targets(spec, status),
        "<unset>" if least is None else str(least),
        spec.get("maxReplicas", 0),
        status.get("currentReplicas", 0),
        age_of(autoscaler, now),
    ]


def _old_autoscaler_cells(autoscaler: Document, now: float) -> list[Any]:
    """Return the cells of an autoscaling/v1 autoscaler, which speaks of the cpu alone."""
    cells = _autoscaler_cells(autoscaler, now)
    wanted = (autoscaler.get("spec") or {}).get("targetCPUUtilizationPercentage")
    if wanted is not None:
        current = (autoscaler.get("status") or {}).get("currentCPUUtilizationPercentage")
        cells[2] = f"cpu: {_percent(current)}/{wanted}%"
    return cells


def _percent(value: int | None) -> str:
    return "<unknown>" if value is None else f"{value}%"


def _targets(spec: Document, status: Document) -> str:
    metrics = spec.get("metrics") or []
    if not metrics:
        return NONE
    currents = status.get("currentMetrics") or []
    texts = [
        _metric_text(metric, currents[index] if index < len(currents) else {})
        for index, metric in enumerate(metrics)
    ]
    shown = ", ".join(texts[:_SHOWN_METRICS])
    n_more = len(texts) - _SHOWN_METRICS
    return f"{shown} + {n_more} more..." if n_more > 0 else shown


def _metric_text(metric: Document, current: Document) -> str:
    field = {"Resource": "resource", "ContainerResource": "containerResource"}.get(
        metric.get("type", ""), metric.get("type", "").lower()
    )
    source, found = metric.get(field) or {}, (current.get(field) or {}).get("current") or {}
    target = source.get("target") or {}
    prefix = f"{source['name']}: " if source.get("name") else ""
    if (share := target.get("averageUtilization")) is not None:
        return f"{prefix}{_percent(found.get('averageUtilization'))}/{share}%"
    if (average := target.get("averageValue")) is not None:
        now = found.get("averageValue", "<unknown>")
        suffix = " (avg)" if field in ("object", "external") else ""
        return f"{prefix}{now}/{average}{suffix}"
    return f"{prefix}{found.get('value', '<unknown>')}/{target.get('value', '<unknown>')}"


def _scale_cells(scale: Document, now: float) -> list[Any]:
    spec, status = scale.get("spec") or {}, scale.get("status") or {}
    return [
        name_of(scale),
        spec.get("replicas", 0),
        status.get("replicas", 0),
        age_of(scale, now),
    ]


SCALE = Printer(
    (
        Column("Name", "the workload's name"),
        Column("Desired", "pods wanted", type="integer"),
        Column("Available", "pods there are", type="integer"),
        AGE,
    ),
    _scale_cells,
)
_REPLICATED = Printer(
    (
        NAME,
        Column("Desired", "pods wanted", type="integer"),
        Column("Current", "pods there are", type="integer"),
        Column("Ready", "ready pods", type="integer"),
        AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ),
    _replicated_cells,
)
_AUTOSCALER_COLUMNS = (
    NAME,
    Column("Reference", "what is scaled"),
    Column("Targets", "the metrics as they are, and as they shall be"),
    Column("MinPods", "never fewer pods than this"),
    Column("MaxPods", "never more pods than this"),
    Column("Replicas", "pods there are"),
    AGE,
)
PRINTERS: dict[str, Printer] = {
    "replicationcontrollers": _REPLICATED,
    "replicasets.apps": _REPLICATED,
    "statefulsets.apps": Printer(
        (NAME, Column("Ready", "ready pods of those wanted"), AGE, CONTAINERS, IMAGES),
        _stateful_set_cells,
    ),
    "daemonsets.apps": Printer(
        (
            NAME,
            Column("Desired", "nodes that should run a pod of it", type="integer"),
            Column("Current", "nodes that have a pod of it", type="integer"),
            Column("Ready", "nodes whose pod is ready", type="integer"),
            Column("Up-to-date", "nodes whose pod is of the current template", type="integer"),
            Column("Available", "nodes whose pod has been ready long enough", type="integer"),
            Column("Node Selector", "labels that the nodes must have"),
            AGE,
            CONTAINERS,
            IMAGES,
            SELECTOR,
        ),
        _daemon_set_cells,
    ),
    "jobs.batch": Printer(
        (
            NAME,
            Column("Status", "what the job is doing"),
            Column("Completions", "pods that succeeded, of those that must"),
            Column("Duration", "how long the job ran, or has been running"),
            AGE,
            CONTAINERS,
            IMAGES,
            SELECTOR,
        ),
        _job_cells,
    ),
    "cronjobs.batch": Printer(
        (
            NAME,
            Column("Schedule", "when jobs are made"),
            Column("Timezone", "of the schedule"),
            Column("Suspend", "whether no jobs are made for now", type="boolean"),
            Column("Active", "jobs that are running", type="integer"),
            Column("Last Schedule", "time since a job was made"),
            AGE,
            CONTAINERS,
            IMAGES,
            SELECTOR,
        ),
        _cron_job_cells,
    ),
    "podtemplates": Printer(
        (
            NAME,
            Column("Containers", "names of the template's containers"),
            Column("Images", "images of the template's containers"),
            Column("Pod Labels", "labels of its pods"),
        ),
        _pod_template_cells,
    ),
    "controllerrevisions.apps": Printer(
        (
            NAME,
            Column("Controller", "whose state it is"),
            Column("Revision", "the how-manieth state it is", type="integer"),
            AGE,
        ),
        _revision_cells,
    ),
    "horizontalpodautoscalers.autoscaling": Printer(_AUTOSCALER_COLUMNS, _autoscaler_cells),
    "horizontalpodautoscalers.v1.autoscaling": Printer(_AUTOSCALER_COLUMNS, _old_autoscaler_cells),
}
