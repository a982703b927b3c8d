"""How a new job comes to select its pods."""

from __future__ import annotations

from typing import Any

from kubeberth.api.defaults.workloads import default_job
from kubeberth.api.job_selection import select_own_pods

OWN = {
    "batch.kubernetes.io/job-name": "pi",
    "job-name": "pi",
    "batch.kubernetes.io/controller-uid": "1",
    "controller-uid": "1",
}


def a_job(template_labels: dict[str, str], **metadata: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": template_labels}, "spec": {"containers": []}}
    return {"metadata": {"name": "pi", "uid": "1", **metadata}, "spec": {"template": template}}


def test_the_labels_that_were_sent_stay_as_they_are() -> None:
    sent = {"app": "pi"}
    job = a_job(sent)
    select_own_pods(job)
    assert sent == {"app": "pi"}
    assert job["spec"]["template"]["metadata"]["labels"] == {"app": "pi", **OWN}
    assert job["spec"]["selector"]["matchLabels"] == {"batch.kubernetes.io/controller-uid": "1"}


def test_a_job_without_labels_has_those_of_its_template_on() -> None:
    job = a_job({"app": "pi"})
    default_job(job)
    select_own_pods(job)
    assert job["metadata"]["labels"] == {"app": "pi", **OWN}


def test_a_job_with_labels_keeps_to_them() -> None:
    job = a_job({"app": "pi"}, labels={"app": "pi"})
    default_job(job)
    select_own_pods(job)
    assert job["metadata"]["labels"] == {"app": "pi"}
