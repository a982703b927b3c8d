"""What a plan says is what the cluster would do."""

from __future__ import annotations

import pytest
from tests.unit.planner.clusters import (
    as_file,
    budget,
    deployment,
    node,
    plan,
    pod,
    priority_class,
    template,
    where,
    workload,
    zones,
)

from kubeberth.api.scheme import PERSISTENT_VOLUME_CLAIMS, PODS
from kubeberth.errors import InvalidObjectError, ManifestError, UsageError
from kubeberth.planner.kinds import TYPES
from kubeberth.planner.manifests import read
from kubeberth.planner.planning import RefusedError, Task, carry_out, make_plan
from kubeberth.planner.questions import NewNodes, Questions
from kubeberth.planner.snapshot import reduced
from kubeberth.planner.words import notes

HOST = "kubernetes.io/hostname"
LATE_CLASS = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "fast"},
    "provisioner": "ebs.csi.aws.com",
    "volumeBindingMode": "WaitForFirstConsumer",
}
CLAIM = {
    "metadata": {"name": "data"},
    "spec": {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "fast",
        "resources": {"requests": {"storage": "1Gi"}},
    },
}


def test_the_pods_of_a_deployment_are_spread_and_named_as_its_replica_set_names_them():
    found = plan(zones(3), deployment("web", 6))
    (web,) = found.workloads
    assert (web.wanted, web.placed, web.pending) == (6, 6, 0)
    assert web.zones == {"a": 2, "b": 2, "c": 2}
    assert all(pod.pod.startswith("default/web-") for pod in found.pods)
    assert {pod.workload for pod in found.pods} == {"Deployment/web"}
    assert found.is_good


def test_a_stateful_set_goes_on_to_the_next_pod_when_the_one_before_runs():
    found = plan([node("n1", cpu="2")], workload("StatefulSet", "db", 4))
    assert where(found) == {"db-0": "n1", "db-1": "n1", "db-2": None}


def test_a_daemon_set_has_one_pod_on_every_node_that_it_tolerates():
    tainted = node("n3")
    tainted["spec"] = {"taints": [{"key": "gpu", "effect": "NoSchedule"}]}
    found = plan([node("n1"), node("n2"), tainted], workload("DaemonSet", "agent"))
    assert sorted(pod.node for pod in found.pods) == ["n1", "n2"]


def test_a_job_starts_as_many_pods_as_run_at_a_time():
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "calc"},
        "spec": {
            "parallelism": 2,
            "completions": 5,
            "template": template("calc", restartPolicy="Never"),
        },
    }
    found = plan(zones(3), job)
    assert found.n_placed == 2
    assert found.workloads[0].wanted == 2


def test_a_cron_job_counts_as_if_its_time_had_come():
    made = template("report", restartPolicy="Never")
    cron_job = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "report"},
        "spec": {"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": made}}},
    }
    found = plan(zones(1), cron_job)
    assert [pod.workload for pod in found.pods] == ["CronJob/report"]


def test_pods_without_a_place_say_why_in_the_words_of_kube_scheduler():
    found = plan(zones(2, cpu="1"), deployment("web", 3))
    (group,) = found.pending
    assert group.message.startswith("0/2 nodes are available: 2 Insufficient cpu.")
    assert group.obstacles[0].nodes == ("n1", "n2")
    assert not found.is_good


def test_preemption_is_carried_out_and_the_victims_are_made_again():
    cluster = [*zones(1), priority_class("high", 1000), deployment("low", 4)]
    found = plan([*cluster, node("n9", cpu="1")], pod("boss", cpu="2", priorityClassName="high"))
    assert where(found)["boss"] == "n1"
    (victim,) = found.preempted
    assert (victim.workload, victim.by) == ("Deployment/low", "default/boss")
    assert [pod.node for pod in found.pods_of("Deployment/low")] == [None]


def test_pods_of_higher_priority_come_first_whatever_the_order_of_the_manifests():
    cluster = [node("n1", cpu="1"), priority_class("high", 1000)]
    found = plan(cluster, pod("low"), pod("boss", priorityClassName="high"))
    assert where(found) == {"boss": "n1", "low": None}
    assert not found.removed


def test_a_pod_that_is_there_may_be_applied_again():
    world, _ = carry_out(Task(zones(1), read([as_file(pod("lone"))])))
    stored = world.objects.document(PODS, "default/lone")
    assert stored["spec"]["nodeName"] == "n1"
    waiting = {**stored, "spec": {**stored["spec"]}, "status": {"phase": "Pending"}}
    del waiting["spec"]["nodeName"]
    for there in (stored, reduced(PODS, stored), waiting, reduced(PODS, waiting)):
        assert plan([*zones(1), there], pod("lone")).unchanged == ("Pod/lone",)
        changed = plan([*zones(1), there], pod("lone", image="nginx:2"))
        assert (changed.unchanged, changed.n_pending) == ((), 0)


def test_a_pod_that_is_there_keeps_its_priority_whatever_the_classes_say_by_now():
    world, _ = carry_out(Task(zones(1), read([as_file(pod("lone"))])))
    stored = reduced(PODS, world.objects.document(PODS, "default/lone"))
    usual = {**priority_class("usual", 100), "globalDefault": True}
    found = plan([*zones(1), usual, stored], pod("lone"))
    assert found.unchanged == ("Pod/lone",)
    with pytest.raises(RefusedError, match="pod updates may not change fields"):
        plan([*zones(1), usual, stored], pod("lone", priorityClassName="usual"))


def test_priority_classes_may_stand_behind_the_pods_that_name_them():
    boss = pod("boss", priorityClassName="high")
    assert plan(zones(1), boss, priority_class("high", 7)).pods[0].priority == 7


def test_claims_of_a_stateful_set_get_volumes_in_the_zone_of_their_pod():
    db = workload("StatefulSet", "db", 3, volumeClaimTemplates=[CLAIM])
    found = plan(zones(3), LATE_CLASS, db, drain=("n2",))
    drained = [pod for pod in found.pods if pod.node is None]
    assert [pod.pod for pod in drained] == [found.removed[0].pod]
    assert "didn't match PersistentVolume's node affinity" in drained[0].message


def test_a_pod_runs_a_round_later_if_its_volumes_are_yet_to_be_made():
    """So that of two sets that are started pod by pod, the one without claims is ahead."""
    db = workload("StatefulSet", "db", 9, volumeClaimTemplates=[CLAIM])
    found = plan([node("n1", cpu="6")], LATE_CLASS, db, workload("StatefulSet", "web", 9))
    assert {each.name: each.placed for each in found.workloads} == {"db": 2, "web": 4}


def test_claims_without_a_class_get_the_default_one():
    storage_class = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": "usual",
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "ebs.csi.aws.com",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    claims = [{"metadata": {"name": "data"}, "spec": spec}]
    db = workload("StatefulSet", "db", 2, volumeClaimTemplates=claims)
    assert plan([*zones(2), storage_class], db).n_placed == 2
    assert plan(zones(2), db).n_placed == 0


def ephemeral(name: str) -> dict[str, object]:
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "local",
        "resources": {"requests": {"storage": "1Gi"}},
    }
    template = {"metadata": {"annotations": {"example.com/secret": "x"}}, "spec": claim}
    return {"name": name, "ephemeral": {"volumeClaimTemplate": template}}


def test_pods_that_bring_a_claim_have_a_volume_each_and_it_goes_with_them():
    storage_class = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "local"},
        "provisioner": "simulated.kubeberth.io",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    web = workload("StatefulSet", "web", 2, volumes=[ephemeral("scratch")])
    world, _ = carry_out(Task([*zones(2), storage_class], read([as_file(web)])))
    cluster = [
        reduced(resource, world.objects.document(resource, item.metadata.key))
        for resource in TYPES
        for item in world.objects.all(resource)
    ]
    assert "example.com/secret" not in str(cluster)
    # A claim that stayed would be that of another pod, and hold the next one of its name up.
    world, _ = carry_out(Task(cluster, questions=Questions(without=("a",))))
    claims = {claim.metadata.name for claim in world.objects.all(PERSISTENT_VOLUME_CLAIMS)}
    assert claims == {"web-0-scratch", "web-1-scratch"}
    assert [pod.spec.node_name for pod in world.objects.all(PODS)] == ["n2", "n2"]


def test_limit_ranges_say_what_containers_ask_for_and_what_is_too_little():
    limits = {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "bounds", "namespace": "default"},
        "spec": {
            "limits": [{"type": "Container", "defaultRequest": {"cpu": "3"}, "min": {"cpu": "1"}}]
        },
    }
    silent = pod("silent")
    del silent["spec"]["containers"][0]["resources"]
    cluster = [node("n1"), limits]
    assert plan(cluster, silent).nodes[0].resources["cpu"].after == 3000
    with pytest.raises(
        RefusedError, match="minimum cpu usage per Container is 1, but request is 100m"
    ):
        plan(cluster, pod("tiny", cpu="100m"))


def test_a_pod_that_was_there_before_a_limit_range_may_be_applied_again():
    limits = {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "bounds", "namespace": "default"},
        "spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}}]},
    }
    old = pod("old", cpu="2")
    assert plan([node("n1"), limits, pod("old", cpu="2", node_name="n1")], old).is_good
    with pytest.raises(RefusedError, match="must be less than or equal to cpu limit of 1"):
        plan([node("n1"), limits], old)


def test_a_rollout_goes_through_when_there_is_room_for_a_surge():
    cluster = [*zones(3), deployment("web", 6)]
    found = plan(cluster, deployment("web", 6, image="nginx:2"))
    (web,) = found.workloads
    assert (web.rollout, web.placed, found.is_good) == ("", 6, True)


def test_a_rollout_goes_on_once_its_pods_have_been_ready_for_long_enough():
    slow = {"minReadySeconds": 10, "strategy": {"rollingUpdate": {"maxUnavailable": 0}}}
    cluster = [*zones(3), deployment("web", 6, **slow)]
    found = plan(cluster, deployment("web", 6, image="nginx:2", **slow))
    (web,) = found.workloads
    assert (web.rollout, web.placed, found.is_good) == ("", 6, True)


def test_a_pod_that_goes_is_gone_after_its_grace_period_however_busy_the_others_are():
    cluster = [node("n1", cpu="2"), node("n2", cpu="8"), priority_class("high", 1000)]
    held = pod("held", cpu="2", nodeSelector={HOST: "n1"})
    urgent = pod("urgent", cpu="2", priorityClassName="high", nodeSelector={HOST: "n1"})
    many = workload("StatefulSet", "many", 40, cpu="100m", nodeSelector={HOST: "n2"})
    world, _ = carry_out(Task([*cluster, held], read([as_file(urgent, many)])))

    def started(name: str) -> str:
        return world.objects.get(PODS, f"default/{name}").status.start_time

    assert started("many-28") < started("urgent") < started("many-39")


def test_a_rollout_is_stuck_when_there_is_no_room_for_the_surge():
    strategy = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    cluster = [*zones(2), deployment("web", 8, strategy=strategy)]
    found = plan(cluster, deployment("web", 8, image="nginx:2", strategy=strategy))
    (web,) = found.workloads
    assert web.rollout == "1 of 8 pods are of the new version, 8 of an old one remain"
    assert not found.is_good


def test_a_manifest_that_says_nothing_of_replicas_leaves_the_size_alone():
    changed = deployment("web", 1, image="nginx:2")
    del changed["spec"]["replicas"]
    found = plan([*zones(3), deployment("web", 5)], changed)
    assert found.workloads[0].wanted == 5


def test_a_drain_waits_for_budgets_and_says_which_pods_stay():
    cluster = [*zones(2), deployment("web", 4), budget("web", 4)]
    found = plan(cluster, drain=("n1",))
    assert not found.removed
    assert {stuck.what for stuck in found.stuck} == {"drain of n1"}
    assert "The disruption budget web needs 4 healthy pods and has 4" in found.stuck[0].why
    assert plan([*cluster[:3], budget("web", 3)], drain=("n1",)).is_good


def test_a_drained_pod_keeps_others_away_for_its_grace_period():
    """A Job makes another pod ten seconds after one was evicted; others end after thirty."""
    term = {
        "labelSelector": {"matchLabels": {"app": "batch"}},
        "topologyKey": "topology.kubernetes.io/zone",
    }
    anti = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    cluster = [node("n1", "a"), node("n2", "a"), node("n3", "b")]
    for grace_s, node_name in ((None, "n3"), (5, "n2")):
        spec = template("batch", affinity=anti, restartPolicy="Never")
        spec["spec"]["terminationGracePeriodSeconds"] = grace_s
        job = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "batch"},
            "spec": {"parallelism": 1, "completions": 2, "template": spec},
        }
        found = plan([*cluster, job], drain=("n1",))
        assert found.workloads[0].nodes == {node_name: 1}


def test_a_drained_pod_that_tolerates_everything_may_come_back():
    cluster = [node("n1"), deployment("web", 1, tolerations=[{"operator": "Exists"}])]
    found = plan(cluster, drain=("n1",))
    assert [gone.why for gone in found.removed] == ["drained"]
    assert found.workloads[0].nodes == {"n1": 1}


def test_a_lost_zone_takes_lone_pods_with_it():
    cluster = [*zones(3), deployment("web", 3), pod("lone", node_name="n1")]
    found = plan(cluster, without=("a",))
    lone = next(gone for gone in found.removed if gone.pod == "default/lone")
    assert (lone.why, lone.returns) == ("lost", False)
    assert found.workloads[0].zones == {"b": 2, "c": 1}


def test_a_job_that_forgives_no_failure_is_over_when_a_zone_takes_one_of_its_pods():
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "sum"},
        "spec": {
            "parallelism": 2,
            "completions": 2,
            "backoffLimit": 0,
            "template": template("sum", restartPolicy="Never"),
        },
    }
    found = plan(zones(2), job, without=("a",))
    assert found.workloads[0].placed == 0
    job["spec"]["backoffLimit"] = 1
    found = plan(zones(2), job, without=("a",))
    assert found.workloads[0].nodes == {"n2": 2}


def test_room_that_a_lost_zone_leaves_is_for_those_first_who_wait_already():
    spread = {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "even"}},
    }
    even = deployment("even", 2, cpu="3", topologySpreadConstraints=[spread])
    there = {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["a"]}
    wish = [{"weight": 100, "preference": {"matchExpressions": [there]}}]
    preferred = {"preferredDuringSchedulingIgnoredDuringExecution": wish}
    asked = {"priorityClassName": "urgent", "affinity": {"nodeAffinity": preferred}}
    urgent = deployment("urgent", 1, cpu="2", **asked)
    urgency = {**priority_class("urgent", 500), "preemptionPolicy": "Never"}
    nodes = [node("n1", "a", cpu="4"), node("n2", "b", cpu="6")]
    found = plan([*nodes, urgency, urgent, even], without=("a",))
    assert [(pod.workload, pod.node) for pod in found.pods] == [
        ("Deployment/even", "n2"),
        ("Deployment/urgent", None),
    ]


def test_a_pod_whose_controller_is_not_in_the_picture_comes_again():
    orphan = pod("web-x", node_name="n1")
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "u"}
    orphan["metadata"] |= {
        "generateName": "web-",
        "ownerReferences": [{**owner, "controller": True}],
    }
    found = plan([*zones(2), orphan], drain=("n1",))
    assert [(pod.workload, pod.node) for pod in found.pods] == [("ReplicaSet/web", "n2")]


def test_more_nodes_of_the_same_make_give_room():
    assert plan(zones(1, cpu="1"), deployment("web", 3)).n_pending == 2
    found = plan(zones(1, cpu="1"), deployment("web", 3), add_nodes=(NewNodes(2, "n1"),))
    assert found.n_pending == 0
    assert [n.name for n in found.nodes if n.change == "added"] == ["n1-new-0", "n1-new-1"]


def test_a_workload_gets_another_size():
    found = plan([*zones(3), deployment("web", 2)], scale=(("deploy/web", 5),))
    assert found.workloads[0].placed == 5


@pytest.mark.parametrize(
    ("question", "says"),
    [
        pytest.param({"drain": ("n7",)}, 'no node is called "n7"', id="drain"),
        pytest.param(
            {"without": ("z",)}, 'no node is in the zone "z"; the zones are: a, b', id="zone"
        ),
        pytest.param({"scale": (("cache", 2),)}, 'no workload is called "cache"', id="scale"),
    ],
)
def test_a_question_about_what_is_not_there_is_refused(question, says):
    with pytest.raises(UsageError, match=says):
        plan(zones(2), **question)


def test_what_an_api_server_refuses_is_refused_with_file_and_line_for_every_object():
    first, second = deployment("web", 2), pod("Bad_Name")
    first["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "-1"
    with pytest.raises(RefusedError) as caught:
        plan(zones(1), first, second)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("app.yaml:20: Deployment")
    assert "requests[cpu]" in lines[0]
    assert lines[1].startswith('app.yaml:27: Pod "default/Bad_Name": metadata.name')


def test_a_namespace_that_is_not_there_is_refused_where_namespaces_are_known():
    wanted = pod("web")
    wanted["metadata"]["namespace"] = "team"
    there = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}}
    assert plan(zones(1), wanted).n_placed == 1
    with pytest.raises(RefusedError, match='namespaces "team" not found'):
        plan([*zones(1), there], wanted)


def test_objects_that_no_pod_is_placed_by_are_checked_and_counted():
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
    own = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"}}
    found = plan(zones(1), config, own)
    assert found.passed_over == {"v1 ConfigMap": 1, "example.com/v1 Thing": 1}


def test_a_version_that_is_gone_is_refused_as_kubectl_does():
    old = deployment("web", 1) | {"apiVersion": "extensions/v1beta1"}
    says = 'no matches for kind "Deployment" in version "extensions/v1beta1"'
    with pytest.raises(ManifestError, match=says):
        read([as_file(old)])


def test_pods_that_were_pending_before_do_not_make_a_plan_bad():
    found = plan([*zones(1, cpu="1"), pod("huge", cpu="9")], pod("web"))
    assert found.is_good
    assert [pod.was_pending for pod in found.pods if pod.node is None] == [True]


def test_pods_of_the_old_version_that_a_new_size_makes_have_nodes_before_the_new_version_has():
    cluster = [*zones(2, cpu="3"), deployment("web", 1)]
    found = plan(cluster, deployment("web", 5, cpu="100m", image="nginx:2"))
    # Old ones are there, or about to go, when the new ones are placed: n1 has three of them.
    assert set(where(found).values()) == {"n2"}


def test_the_same_input_gives_the_same_plan():
    cluster, wanted = zones(5), [deployment("web", 7), workload("StatefulSet", "db", 2)]
    assert plan(cluster, *wanted) == plan(cluster, *wanted)


def test_a_plan_leaves_what_it_is_given_as_it_is():
    cluster = [*zones(2), deployment("web", 2)]
    before = repr(cluster)
    make_plan(Task(cluster))
    assert repr(cluster) == before


def test_a_job_whose_pods_are_refused_is_told_of_once_and_the_plan_comes_to_rest():
    made = {"template": template("job", restartPolicy="Never"), "parallelism": 2}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}, "spec": made}
    bounds = {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "bounds"},
        "spec": {"limits": [{"type": "Container", "default": {"cpu": "500m"}}]},
    }
    found = plan(zones(1), bounds, job)
    assert found.came_to_rest
    assert [stuck.what for stuck in found.stuck] == ["job-controller default/job"]


def test_a_quota_holds_from_the_start_for_a_job_that_comes_with_it():
    made = {"template": template("job", restartPolicy="Never"), "parallelism": 5}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}, "spec": made}
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "few"},
        "spec": {"hard": {"pods": "4"}},
    }
    found = plan(zones(3), quota, job)
    assert len(found.pods) == 4
    assert [stuck.what for stuck in found.stuck] == ["job-controller default/job"]


def test_a_job_makes_pods_again_that_were_preempted():
    made = {"template": template("job", "3", restartPolicy="Never")}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}, "spec": made}
    urgent = pod("urgent", "3", priorityClassName="urgent")
    found = plan([*zones(1), job], priority_class("urgent", 9), urgent)
    assert [gone.workload for gone in found.removed] == ["Job/job"]
    assert [pending.workload for pending in found.pending] == ["Job/job"]


def test_a_pod_whose_victims_are_on_their_way_out_takes_no_others():
    classes = [priority_class(f"p{value}", value) for value in (2, 5, 9)]
    there = [
        pod("one", "3", node_name="n1", priorityClassName="p2"),
        pod("two", "2", node_name="n2"),
        pod("three", "2", "n2", priorityClassName="p5", terminationGracePeriodSeconds=5),
    ]
    term = {"labelSelector": {"matchLabels": {"app": "three"}}, "topologyKey": HOST}
    alone = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    bosses = [
        pod("boss", "3", priorityClassName="p9"),
        pod("clerk", "100m", priorityClassName="p9", affinity=alone, nodeSelector={HOST: "n2"}),
    ]
    # Once the third has made way for the clerk, the boss would do less harm in the place of the
    # second one; but the first has been told to go already.
    found = plan([*zones(2), *classes, *there], *bosses)
    gone = {each.pod: each.by for each in found.preempted}
    assert gone == {"default/one": "default/boss", "default/three": "default/clerk"}


def test_pods_that_name_their_node_run_if_it_takes_them_and_fail_otherwise():
    tainted = node("n2")
    tainted["spec"] = {"taints": [{"key": "out", "effect": "NoExecute"}]}
    lost = node("n3")
    lost["status"]["conditions"] = [{"type": "Ready", "status": "Unknown"}]
    pods = [
        pod("big", "3", node_name="n1"),
        pod("too-big", "2", node_name="n1"),
        pod("small", "1", node_name="n1"),
        pod("picky", "0", node_name="n1", nodeSelector={"disk": "ssd"}),
        pod("out", "0", node_name="n2"),
        pod("late", "0", node_name="n3"),
        pod("nowhere", "0", node_name="n4"),
    ]
    found = plan([node("n1"), tainted, lost], *pods)
    assert {f"{each.kind}/{each.name}": each.placed for each in found.workloads if each.placed} == {
        "Pod/big": 1,
        "Pod/small": 1,
    }
    assert (found.n_placed, found.n_pending) == (2, 5)
    assert {each.workload: each.message for each in found.pending} == {
        "Pod/too-big": "OutOfcpu: Node didn't have enough resource: cpu, requested: 2000, "
        "used: 3000, capacity: 4000",
        "Pod/picky": "NodeAffinity: Predicate NodeAffinity failed: node(s) didn't match Pod's "
        "node affinity/selector",
        "Pod/out": "TaintToleration: Predicate TaintToleration failed: node(s) had taints that "
        "the pod didn't tolerate",
        "Pod/late": 'node "n3" is not ready',
        "Pod/nowhere": 'there is no node "n4"',
    }


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet", "StatefulSet"])
def test_controllers_make_no_pods_that_the_node_of_their_template_lets_fail(kind):
    found = plan([node("n1")], workload(kind, "web", 3, cpu="1500m", nodeName="n1"))
    (web,) = found.workloads
    assert (web.wanted, web.placed, web.pending, web.nodes) == (3, 2, 0, {"n1": 2})
    (stuck,) = found.stuck
    assert stuck.why.startswith('node "n1" lets such pods fail: OutOfcpu: ')


def test_a_node_that_is_not_there_gets_no_pods():
    found = plan([node("n1")], deployment("web", 3, nodeName="n2"))
    (stuck,) = found.stuck
    assert stuck.why == 'there is no node "n2": its pods are deleted again'


def test_room_that_comes_is_for_the_pods_that_wait_to_be_made():
    low = [node("n1"), deployment("low", 4), priority_class("high", 9)]
    boss = deployment("boss", 2, nodeName="n1", priorityClassName="high")
    assert plan(low, boss).workloads[0].placed == 0
    assert plan(low, boss, scale=(("low", 1),)).workloads[0].placed == 2


def test_critical_pods_that_name_their_node_make_the_others_go():
    there = [node("n1"), deployment("low", 4)]
    proxy = pod("proxy", "2", node_name="n1", priorityClassName="system-node-critical")
    proxy["metadata"]["namespace"] = "kube-system"
    found = plan(there, proxy)
    assert [(gone.workload, gone.by) for gone in found.preempted] == [
        ("Deployment/low", "kube-system/proxy"),
        ("Deployment/low", "kube-system/proxy"),
    ]
    assert [each.placed for each in found.workloads if each.name == "proxy"] == [1]


def test_pods_on_their_way_out_are_gone_before_anything_is_planned():
    there = pod("web", "3", node_name="n1")
    there["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:30Z"
    found = plan([*zones(1), there], pod("next", "3"))
    assert where(found) == {"next": "n1"}
    assert found.removed == ()


def test_pods_on_their_way_out_stay_where_no_kubelet_tells_that_they_have_ended():
    there = pod("web", "3", node_name="n1")
    there["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:30Z"
    (lost,) = zones(1)
    lost["status"]["conditions"] = [{"type": "Ready", "status": "Unknown"}]
    assert where(plan([lost, there], pod("next", "3"))) == {"next": None}


def test_who_is_missed_comes_again_once_whatever_controller_is_not_here():
    owners = [{"apiVersion": "v1", "kind": "ReplicationController", "name": "web", "uid": "1"}]
    there = pod("web", "3", node_name="n1", terminationGracePeriodSeconds=5)
    going = pod("gone", "1", node_name="n1")
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:30Z"
    for each in (there, going):
        each["metadata"]["ownerReferences"] = [{**owners[0], "controller": True}]
    found = plan([*zones(2), there, going], drain=("n1",))
    assert [each.node for each in found.pods] == ["n2"]


@pytest.mark.parametrize("asked", [{}, {"drain": ("n1",)}], ids=["preempted", "evicted"])
def test_a_job_that_minds_no_disruption_makes_pods_again(asked):
    ignore = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}
    spec = {
        "template": template("job", "3", restartPolicy="Never"),
        "backoffLimit": 0,
        "podFailurePolicy": {"rules": [ignore]},
    }
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}, "spec": spec}
    urgent = [] if asked else [pod("urgent", "3", priorityClassName="urgent")]
    found = plan([*zones(1), job, priority_class("urgent", 9)], *urgent, **asked)
    assert [pending.workload for pending in found.pending] == ["Job/job"]


def test_a_service_that_the_cluster_has_keeps_its_address():
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
    }
    there = {**service, "spec": {**service["spec"], "clusterIP": "10.96.0.7"}}
    there["spec"]["clusterIPs"] = ["10.96.0.7"]
    assert plan([*zones(1), there], service).unchanged == ("Service/web",)


def test_what_may_not_change_of_a_pod_is_refused_as_a_server_does():
    before = pod("web")
    with pytest.raises(RefusedError, match="pod updates may not change fields other than"):
        plan([*zones(1), before], pod("web", nodeSelector={"disk": "ssd"}))


def test_a_job_gets_another_parallelism():
    made = {"template": template("job", restartPolicy="Never"), "parallelism": 1, "completions": 9}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}, "spec": made}
    more = {**job, "spec": {**made, "parallelism": 3}}
    assert plan([*zones(1), job], more).n_placed == 2


def test_jobs_of_a_file_have_pods_of_their_own():
    made = {"template": template("job", restartPolicy="Never")}
    jobs = [
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": made}
        for name in ("one", "two")
    ]
    agent = deployment("web", 1)
    found = plan([*zones(1), *jobs], agent, scale=(("one", 2),))
    assert {w.name: w.placed for w in found.workloads} == {"web": 1, "one": 1}


def test_pods_of_a_cluster_that_wait_are_tried_by_age_whatever_they_are_called():
    older, younger = pod("z", "3"), pod("a", "3")
    for number, waiting in enumerate((older, younger), start=1):
        stamp = f"2026-01-01T00:00:0{number}Z"
        waiting["metadata"] |= {"creationTimestamp": stamp, "namespace": "default"}
        waiting["metadata"] |= {"uid": str(number), "resourceVersion": "1"}
    found = plan([younger, older], zones(1)[0])
    assert where(found) == {"z": "n1", "a": None}


def test_of_pods_of_one_second_the_last_to_be_written_is_the_victim():
    there = []
    for name, revision in (("z", "9"), ("a", "10")):
        running = pod(name, "2", node_name="n1")
        running["metadata"] |= {"creationTimestamp": "2026-01-01T00:00:01Z", "uid": name}
        running["metadata"] |= {"namespace": "default", "resourceVersion": revision}
        there.append({**running, "status": {"phase": "Running"}})
    urgent = pod("urgent", "1", priorityClassName="urgent")
    found = plan([zones(1)[0], *there], priority_class("urgent", 9), urgent)
    assert [gone.pod for gone in found.removed] == ["default/a"]


def test_a_time_that_is_none_is_told():
    broken = node("n1")
    broken["metadata"]["creationTimestamp"] = "yesterday"
    with pytest.raises(InvalidObjectError, match=r'Node "n1": metadata.creationTimestamp: Invalid'):
        plan([broken])


def test_a_pod_that_gets_the_name_of_one_that_waited_has_not_waited():
    made = {"template": template("web", restartPolicy="Never")}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "web"}, "spec": made}
    world, _ = carry_out(Task([*zones(1), workload("DaemonSet", "web", cpu="9"), job]))
    there = [
        {"apiVersion": resource.api_version, "kind": resource.kind, **document}
        for resource in TYPES
        for document in world.objects.find_all(resource)
    ]
    [waiting] = plan(there).pending
    found = plan(there, without=("a",))
    # Each plan draws the same letters, and the pod of the DaemonSet went with the node.
    assert [pod.pod for pod in found.pods] == list(waiting.pods)
    assert (found.n_pending, found.is_good) == (1, False)


def test_each_fault_of_a_manifest_is_told_with_its_line():
    bad = pod("web", colour="red", cpu="-1")
    bad["metadata"]["labels"] = {"app": "not a value"}
    with pytest.raises(RefusedError) as refused:
        plan(zones(1), bad)
    text = as_file(bad).getvalue().splitlines()
    told = [line.partition(": ")[0] for line in str(refused.value).splitlines()]
    places = [
        f"app.yaml:{number}"
        for number, line in enumerate(text, start=1)
        if any(word in line for word in ("red", "-1", "labels:"))
    ]
    assert sorted(told) == sorted(places)


def test_of_many_faults_the_first_are_told_and_the_rest_counted():
    bad = pod("web", **{f"field{number}": 1 for number in range(30)})
    with pytest.raises(RefusedError, match=r"\(and 20 more faults\)$") as refused:
        plan(zones(1), bad)
    assert len(refused.value.errors) == 10


def test_what_a_chart_makes_only_for_its_tests_is_left_out_and_named():
    hooks = {"migrate": "pre-install, pre-upgrade", "try": "test", "undo": "pre-delete"}
    pods = {name: pod(name) for name in hooks}
    for name, hook in hooks.items():
        pods[name]["metadata"]["annotations"] = {"helm.sh/hook": hook}
    found = plan(zones(1), pod("web"), *pods.values())
    assert set(where(found)) == {"web", "migrate"}
    assert found.left_out == ("Pod/try (test)", "Pod/undo (pre-delete)")
    [note] = notes(found)
    assert note == (
        "left out, as helm install and upgrade do not make them: "
        "Pod/try (test), Pod/undo (pre-delete)"
    )


def test_what_a_chart_makes_only_for_its_tests_is_checked_all_the_same():
    bad = pod("try", colour="red")
    bad["metadata"]["annotations"] = {"helm.sh/hook": "test"}
    with pytest.raises(InvalidObjectError, match=r"app.yaml:\d+: Pod .*spec.colour: unknown field"):
        plan(zones(1), bad)


def test_resources_of_somebodys_own_in_a_group_of_kubernetes_are_passed_over():
    route = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "web"},
    }
    assert plan(zones(1), route).passed_over == {"gateway.networking.k8s.io/v1 HTTPRoute": 1}


def test_an_object_that_is_passed_over_may_have_a_generated_name():
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "web-"}}
    assert plan(zones(1), settings).passed_over == {"v1 ConfigMap": 1}
