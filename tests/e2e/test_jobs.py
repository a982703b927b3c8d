"""Jobs, cron jobs, quotas and endpoints on a whole cluster, with a real kubectl."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.e2e.test_lifecycle import pods, wait_for

pytestmark = pytest.mark.e2e

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TRACKING = "batch.kubernetes.io/job-tracking"

JOB = """
apiVersion: batch/v1
kind: Job
metadata: {name: %(name)s}
spec:
  %(spec)s
  template:
    metadata: {annotations: {%(annotations)s}}
    spec:
      restartPolicy: Never
      containers: [{name: main, image: busybox}]
"""


def job(name, *, annotations="", **spec):
    lines = [f"{field}: {json.dumps(value)}" for field, value in spec.items()]
    fields = {"name": name, "spec": "\n  ".join(lines), "annotations": annotations}
    return JOB % fields


def exits(after_s=0.2, code=0):
    return f'kubeberth.io/exit-after-seconds: "{after_s}", kubeberth.io/exit-code: "{code}"'


def succeed(kubectl, command):
    done = kubectl.run(command)
    assert done.returncode == 0, done.stderr
    return done.stdout


def get(kubectl, name):
    [found] = kubectl.items(f"job {name}")
    return found


def conditions(kubectl, name):
    told = get(kubectl, name).get("status", {}).get("conditions", [])
    return {each["type"]: each["reason"] for each in told if each["status"] == "True"}


def of(kubectl, name):
    """Return the pods of a job."""
    return [
        pod
        for pod in pods(kubectl).values()
        if pod["metadata"]["labels"].get("batch.kubernetes.io/job-name") == name
    ]


def is_held(pod):
    return TRACKING in pod["metadata"].get("finalizers", ())


def reasons(kubectl, kind, name):
    selector = f"involvedObject.kind={kind},involvedObject.name={name}"
    events = kubectl.items(f"events --field-selector {selector}")
    return [event["reason"] for event in events]


def test_an_indexed_job_runs_each_index_once(cluster):
    kubectl = cluster.kubectl()
    succeed(kubectl, f"kubectl apply -f {EXAMPLES / 'batch' / 'render.yaml'}")
    succeed(kubectl, "kubectl wait --for=condition=complete job/render --timeout=60s")
    status = get(kubectl, "render")["status"]
    assert (status["succeeded"], status["completedIndexes"]) == (10, "0-9")
    made = of(kubectl, "render")
    assert {pod["spec"]["hostname"] for pod in made} == {f"render-{i}" for i in range(10)}
    assert len(made) == 10
    assert not any(map(is_held, made))
    assert "10/10" in succeed(kubectl, "kubectl get job render")


def test_a_suspended_job_runs_when_it_is_resumed(cluster, apply):
    kubectl = cluster.kubectl()
    apply(job("later", suspend=True))
    wait_for(lambda: conditions(kubectl, "later") == {"Suspended": "JobSuspended"})
    assert of(kubectl, "later") == []
    succeed(kubectl, """kubectl patch job later -p '{"spec": {"suspend": false}}'""")
    succeed(kubectl, "kubectl wait --for=condition=complete job/later --timeout=30s")
    wait_for(lambda: "Completed" in reasons(kubectl, "Job", "later"))
    assert {"Suspended", "Resumed", "SuccessfulCreate"} <= set(reasons(kubectl, "Job", "later"))


def test_a_fatal_exit_code_ends_a_job_at_once(cluster, apply):
    kubectl = cluster.kubectl()
    codes = {"operator": "In", "values": [42]}
    policy = {"rules": [{"action": "FailJob", "onExitCodes": codes}]}
    fatal = exits(code=42)
    apply(job("fatal", annotations=fatal, backoffLimit=6, podFailurePolicy=policy))
    succeed(kubectl, "kubectl wait --for=condition=failed job/fatal --timeout=30s")
    assert conditions(kubectl, "fatal")["Failed"] == "PodFailurePolicy"
    [pod] = of(kubectl, "fatal")
    [failed] = [e for e in get(kubectl, "fatal")["status"]["conditions"] if e["type"] == "Failed"]
    assert failed["message"] == (
        f"Container main for pod default/{pod['metadata']['name']} failed with exit code 42 "
        "matching FailJob rule at index 0"
    )


def test_a_job_is_over_at_its_deadline_and_goes_in_time(cluster, apply):
    kubectl = cluster.kubectl()
    endless = 'kubeberth.io/exit-after-seconds: "1000"'
    limits = {"activeDeadlineSeconds": 1, "ttlSecondsAfterFinished": 2}
    apply(job("short", annotations=endless, **limits))
    succeed(kubectl, "kubectl wait --for=condition=failed job/short --timeout=30s")
    assert conditions(kubectl, "short")["Failed"] == "DeadlineExceeded"
    succeed(kubectl, "kubectl wait --for=delete job/short --timeout=30s")
    wait_for(lambda: of(kubectl, "short") == [])


def test_a_cron_job_makes_jobs_in_time_and_by_hand(cluster):
    kubectl = cluster.kubectl()
    command = 'kubectl create cronjob tick --image=busybox --schedule="@every 1s" -- true'
    succeed(kubectl, command)
    wait_for(lambda: "SawCompletedJob" in reasons(kubectl, "CronJob", "tick"))
    [cron_job] = kubectl.items("cronjob tick")
    assert cron_job["status"]["lastSuccessfulTime"]
    succeed(kubectl, "kubectl create job by-hand --from=cronjob/tick")
    succeed(kubectl, "kubectl wait --for=condition=complete job/by-hand --timeout=30s")
    succeed(kubectl, "kubectl delete cronjob tick")
    wait_for(lambda: not any(is_of_cron_job(each) for each in kubectl.items("jobs")))


def is_of_cron_job(item):
    owners = item["metadata"].get("ownerReferences", ())
    return any(owner["kind"] == "CronJob" for owner in owners)


def test_a_deleted_job_takes_its_pods_along_or_leaves_them_free(cluster, apply):
    kubectl = cluster.kubectl()
    for name in ("taken", "left"):
        apply(job(name, annotations='kubeberth.io/exit-after-seconds: "1000"', completions=1))
        wait_for(lambda name=name: len(of(kubectl, name)) == 1)
    succeed(kubectl, "kubectl delete job taken")
    wait_for(lambda: of(kubectl, "taken") == [])
    succeed(kubectl, "kubectl delete job left --cascade=orphan")
    wait_for(lambda: not of(kubectl, "left")[0]["metadata"].get("finalizers"))
    assert not of(kubectl, "left")[0]["metadata"].get("ownerReferences")
    succeed(kubectl, "kubectl delete pod -l batch.kubernetes.io/job-name=left --now")


def test_a_namespace_gets_no_more_pods_than_its_quota_allows(cluster):
    kubectl = cluster.kubectl()
    succeed(kubectl, "kubectl create namespace small")
    succeed(kubectl, "kubectl -n small create quota few --hard=pods=3")

    def used():
        [quota] = kubectl.items("-n small resourcequota few")
        return quota.get("status", {}).get("used", {}).get("pods")

    wait_for(lambda: used() == "0")
    for name in ("one", "two", "three"):
        succeed(kubectl, f"kubectl -n small create deployment {name} --image=nginx --replicas=4")
    wait_for(lambda: len(kubectl.items("-n small pods")) == 3)
    wait_for(lambda: used() == "3")
    succeed(kubectl, "kubectl -n small delete deployment one two three")
    wait_for(lambda: used() == "0")
    succeed(kubectl, "kubectl -n small run again --image=nginx")
    succeed(kubectl, "kubectl delete namespace small --timeout=60s")


def test_a_service_knows_where_its_pods_are(cluster):
    kubectl = cluster.kubectl()
    succeed(kubectl, "kubectl create deployment shop --image=nginx --replicas=2")
    succeed(kubectl, "kubectl expose deployment shop --port=80 --target-port=8080")

    def shown():
        slices = kubectl.items("endpointslices -l kubernetes.io/service-name=shop")
        return {
            endpoint["addresses"][0]
            for each in slices
            for endpoint in each.get("endpoints") or ()
            if endpoint["conditions"]["ready"]
        }

    def ready():
        selected = kubectl.items("pods -l app=shop")
        return {pod["status"].get("podIP") for pod in selected if is_ready(pod)}

    wait_for(lambda: len(ready()) == 2 and shown() == ready())
    succeed(kubectl, "kubectl scale deployment shop --replicas=4")
    wait_for(lambda: len(ready()) == 4 and shown() == ready())
    assert "8080" in succeed(kubectl, "kubectl get endpoints shop")
    succeed(kubectl, "kubectl delete deployment/shop service/shop")
    wait_for(lambda: not kubectl.items("endpointslices -l kubernetes.io/service-name=shop"))
    assert kubectl.run("kubectl get endpoints shop").returncode == 1


def is_ready(pod):
    told = pod["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in told)


@pytest.mark.slow
def test_controllers_that_are_killed_again_and_again_count_every_pod_of_twenty_jobs(
    berth, tmp_path
):
    berth.up("--nodes", "4")
    kubectl = berth.kubectl()
    names = [f"job-{number:02}" for number in range(20)]
    modes = ("NonIndexed", "Indexed")
    manifests = [
        job(
            name,
            annotations=exits(after_s=0.5 + number % 4 / 4),
            completions=8,
            parallelism=3,
            completionMode=modes[number % 2],
        )
        for number, name in enumerate(names)
    ]
    (tmp_path / "jobs.yaml").write_text("---".join(manifests))
    succeed(kubectl, f"kubectl apply -f {tmp_path / 'jobs.yaml'}")
    chance = random.Random(7)
    killed = set()
    while len(killed) < 8:
        time.sleep(chance.uniform(0.3, 1.5))
        pid = berth.pids().get("controllers")
        if pid is not None and pid not in killed:
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)

    def all_are_complete():
        told = {
            found["metadata"]["name"]: found.get("status", {}) for found in kubectl.items("jobs")
        }
        return all(is_complete(told[name]) for name in names)

    wait_for(all_are_complete, timeout_s=120)
    by_job = {name: of(kubectl, name) for name in names}
    for name in names:
        status = get(kubectl, name)["status"]
        assert (status["succeeded"], status.get("failed", 0)) == (8, 0), name
        assert status["uncountedTerminatedPods"] == {}, name
        assert [pod["status"]["phase"] for pod in by_job[name]] == ["Succeeded"] * 8, name
    assert not any(map(is_held, pods(kubectl).values()))


def is_complete(status):
    return any(each["type"] == "Complete" for each in status.get("conditions", []))
