"""Hypothesis strategies: nodes, and manifests of every kind that plans are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from tests.unit.planner.clusters import priority_class, template, workload

from kubeberth.kubelet.specs import NodeSpec

Document = dict[str, Any]

ZONE, HOST = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
NAMES = ("ant", "bee", "cat")
CLASSES = (
    priority_class("high", 1000),
    {**priority_class("patient", 500), "preemptionPolicy": "Never"},
    {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": "heavy"},
        "handler": "heavy",
        "overhead": {"podFixed": {"cpu": "300m"}},
    },
)
# In the order in which they are applied, and in which their controllers are heard: the order in
# which a live cluster sees things that are sent at once is anybody's guess.
KINDS = (
    "LimitRange",
    "ResourceQuota",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Service",
    "PodDisruptionBudget",
    "Pod",
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "Job",
    "ReplicationController",
    "ReplicaSet",
)
WITH_POLICIES = ("ValidatingAdmissionPolicy", "MutatingAdmissionPolicy", *KINDS)


GPU = "example.com/gpu"
# Of each taint, most nodes have none.
EFFECTS = (*(None,) * 6, "NoSchedule", "PreferNoSchedule", "NoExecute")


@st.composite
def node_specs(draw: st.DrawFn) -> list[NodeSpec]:
    """Return a few small nodes."""
    specs = []
    for index in range(draw(st.integers(1, 5))):
        labels = {ZONE: draw(st.sampled_from("abc")), HOST: f"node-{index}"}
        if draw(st.booleans()):
            labels["disk"] = draw(st.sampled_from(["ssd", "hdd"]))
        effects = {key: draw(st.sampled_from(EFFECTS)) for key in ("dedicated", "old")}
        capacity = {
            "cpu": draw(st.sampled_from(["2", "3", "4"])),
            "memory": "8Gi",
            "pods": draw(st.sampled_from(["10", "10", "4"])),
            **draw(st.sampled_from([{}, {GPU: "2"}])),
        }
        specs.append(
            NodeSpec(
                f"node-{index}",
                labels,
                taints=tuple(
                    {"key": key, "value": "x", "effect": effect}
                    for key, effect in effects.items()
                    if effect is not None
                ),
                capacity=capacity,
                allocatable=capacity,
                unschedulable=draw(st.integers(0, 7)) == 0,
                internal_ip=f"192.168.0.{index + 1}",
                pod_cidr=f"10.244.{index}.0/24",
            )
        )
    return specs


def _apps() -> st.SearchStrategy[Document]:
    return st.sampled_from(NAMES).map(lambda name: {"matchLabels": {"app": name}})


# What narrows down, or widens, whom a pod means that is to be near others, or far from them.
MEANT: tuple[Document, ...] = (
    *({},) * 5,
    {"namespaceSelector": {}},
    {"namespaces": ["default", "nobody"]},
    {"matchLabelKeys": ["pod-template-hash"]},
    {"mismatchLabelKeys": ["of"]},
)
# The same of those among whom it is to be spread, and of the nodes that count.
SPREAD: tuple[Document, ...] = (
    *({},) * 5,
    {"matchLabelKeys": ["pod-template-hash"]},
    {"nodeTaintsPolicy": "Honor"},
    {"nodeAffinityPolicy": "Ignore"},
)
CLAIM_SPEC = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
claims = st.sampled_from(
    [CLAIM_SPEC, CLAIM_SPEC, {**CLAIM_SPEC, "accessModes": ["ReadWriteOncePod"]}]
)
bounds = st.sampled_from(
    [
        {
            "type": "Container",
            "defaultRequest": {"memory": "1Gi"},
            "max": {"cpu": "1"},
            "default": {"cpu": "1"},
        },
        {"type": "Container", "default": {"cpu": "600m"}, "min": {"cpu": "200m"}},
        {"type": "Pod", "max": {"memory": "4Gi", "cpu": "1200m"}},
    ]
)
OF_HIGH = {"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}
quotas = st.sampled_from(
    [
        {"hard": {"pods": "4"}},
        {"hard": {"requests.cpu": "3"}},
        {"hard": {"persistentvolumeclaims": "1"}},
        {"hard": {"pods": "2"}, "scopes": ["BestEffort"]},
        {"hard": {"limits.cpu": "2"}, "scopes": ["NotTerminating"]},
        {"hard": {"pods": "2"}, "scopeSelector": {"matchExpressions": [OF_HIGH]}},
    ]
)
SCRATCH = {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"spec": CLAIM_SPEC}}}
SETUP: Document = {"name": "setup", "image": "busybox", "resources": {"requests": {"cpu": "1"}}}
# What else a container may ask for.
CONTAINERS: tuple[Document, ...] = (
    {"ports": [{"containerPort": 80, "hostPort": 80}]},
    {"ports": [{"containerPort": 80, "hostPort": 80, "hostIP": "127.0.0.1"}]},
    {"resources": {}},
    {"resources": {"requests": {"cpu": "0"}}},
    {"resources": {"limits": {"cpu": "1", "memory": "2Gi"}}},
    {"resources": {"limits": {"cpu": "500m", GPU: "1"}}},
)
# A taint that a node may get once pods are there.
CLOSING = {"key": "closing", "effect": "NoExecute"}
# And what a pod may ask for besides.
POD_FIELDS: tuple[Document, ...] = (
    {"tolerations": [{"operator": "Exists"}]},
    {"tolerations": [{"key": "old", "operator": "Exists", "effect": "NoExecute"}]},
    {"tolerations": [{**CLOSING, "operator": "Exists", "tolerationSeconds": 20}]},
    {"initContainers": [SETUP]},
    {"initContainers": [{**SETUP, "name": "beside", "restartPolicy": "Always"}, SETUP]},
    {"resources": {"requests": {"cpu": "1200m"}, "limits": {"cpu": "2"}}},
    {"runtimeClassName": "heavy"},
    {"volumes": [SCRATCH]},
    {"schedulingGates": [{"name": "example.com/wait"}]},
    {"schedulerName": "nobody"},
)


@st.composite
def pod_specs(draw: st.DrawFn, name: str) -> Document:
    """Return some fields of a pod's spec, mostly of one rule."""
    fields: Document = {}
    for rule in draw(st.sampled_from([(), *((_rules,),) * 5, (_rules, _rules)])):
        fields |= draw(rule(name))
    if draw(st.integers(0, 3)) == 0:
        fields["container"] = draw(st.sampled_from(CONTAINERS))
    elif draw(st.integers(0, 3)) == 0:
        fields |= draw(st.sampled_from(POD_FIELDS))
    return {
        "cpu": draw(st.sampled_from(["100m", "700m", "1500m"])),
        "image": draw(st.sampled_from(["nginx:1", "nginx:2"])),
        **fields,
        **draw(
            st.fixed_dictionaries(
                {}, optional={"priorityClassName": st.sampled_from(("high", "patient"))}
            )
        ),
    }


@st.composite
def _rules(draw: st.DrawFn, name: str) -> Document:
    """Return what a pod demands, or wishes for, of its place."""
    own = {"matchLabels": {"app": name}}
    selector = draw(st.one_of(st.just(own), _apps()))
    term = {"topologyKey": draw(st.sampled_from([ZONE, HOST])), "labelSelector": selector}
    term |= draw(st.sampled_from(MEANT))
    weighted = {"weight": 50, "podAffinityTerm": term}
    disk = {"key": "disk", "operator": draw(st.sampled_from(["In", "NotIn"])), "values": ["ssd"]}
    expression = {"matchExpressions": [disk]}
    spread = {
        "maxSkew": draw(st.integers(1, 2)),
        "topologyKey": term["topologyKey"],
        "whenUnsatisfiable": draw(st.sampled_from(["DoNotSchedule", "ScheduleAnyway"])),
        "labelSelector": own,
        **draw(st.sampled_from(SPREAD)),
    }
    if spread["whenUnsatisfiable"] == "DoNotSchedule":
        spread |= draw(st.sampled_from([{}, {}, {"minDomains": 3}]))
    other = ZONE if spread["topologyKey"] == HOST else HOST
    also = {**spread, "topologyKey": other, "whenUnsatisfiable": "ScheduleAnyway"}
    also.pop("minDomains", None)
    rules: Document = draw(
        st.sampled_from(
            [
                {"nodeSelector": {"disk": "ssd"}},
                {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [expression]}}}},
                {
                    "affinity": {
                        "nodeAffinity": {PREFERRED: [{"weight": 9, "preference": expression}]}
                    }
                },
                {"affinity": {"podAffinity": {REQUIRED: [term]}}},
                {"affinity": {"podAffinity": {PREFERRED: [weighted]}}},
                {"affinity": {"podAntiAffinity": {REQUIRED: [term]}}},
                {"affinity": {"podAntiAffinity": {PREFERRED: [weighted]}}},
                {"topologySpreadConstraints": [spread]},
                {"topologySpreadConstraints": [spread, also]},
                {"tolerations": [{"key": "dedicated", "operator": "Exists"}]},
            ]
        )
    )
    return rules


ADMISSION = "admissionregistration.k8s.io/v1"
# What policies are about, and what they say of it.
PODS, MAKERS = (("", "pods"),), (("apps", "*"), ("batch", "jobs"), ("", "replicationcontrollers"))
RULES = (
    (PODS, "object.spec.containers.all(c, c.image != 'nginx:2')"),
    (PODS, "!has(object.spec.affinity)"),
    (PODS, "object.metadata.name.startsWith(variables.first)"),
    (PODS, "oldObject != null || object.spec.priority < 1000"),
    (MAKERS, "!has(object.spec.replicas) || object.spec.replicas <= 3"),
    (MAKERS, "oldObject == null || object.spec.template == oldObject.spec.template"),
    (MAKERS, "namespaceObject.metadata.name != 'default' || object.metadata.name != 'bee'"),
    (MAKERS, "object.spec.missing == 1"),
)
CHANGES = (
    '[JSONPatch{op: "add", path: "/spec/tolerations", value: [{"operator": "Exists"}]}]',
    '[JSONPatch{op: "add", path: "/spec/nodeSelector", value: {"disk": "ssd"}}]',
    '[JSONPatch{op: "replace", path: "/spec/containers/0/image", value: "nginx:3"}]',
    '[JSONPatch{op: "remove", path: "/spec/tolerations/7"}]',
)


@st.composite
def policies(draw: st.DrawFn, kind: str, name: str) -> list[Document]:
    """Return an admission policy, and what binds it."""
    about, expression = draw(st.sampled_from(RULES))
    spec: Document = {
        "failurePolicy": draw(st.sampled_from(["Fail", "Ignore"])),
        "variables": [{"name": "first", "expression": "'ant'"}],
    }
    bound: Document = {"policyName": name}
    if kind == "MutatingAdmissionPolicy":
        about = PODS
        change = {"expression": draw(st.sampled_from(CHANGES))}
        spec |= {
            "reinvocationPolicy": draw(st.sampled_from(["Never", "IfNeeded"])),
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": change}],
        }
    else:
        spec["validations"] = [{"expression": expression}]
        bound["validationActions"] = draw(st.sampled_from([["Deny"], ["Deny"], ["Warn"]]))
    operations = draw(st.sampled_from([["CREATE"], ["CREATE", "UPDATE"]]))
    spec["matchConstraints"] = {
        "resourceRules": [
            {
                "apiGroups": [group],
                "apiVersions": ["*"],
                "operations": operations,
                "resources": [plural],
            }
            for group, plural in about
        ]
    }
    if draw(st.integers(0, 2)) == 0:
        bound["matchResources"] = {"objectSelector": {"matchLabels": {"app": name}}}
    return [
        {"apiVersion": ADMISSION, "kind": of, "metadata": {"name": name}, "spec": fields}
        for of, fields in ((kind, spec), (f"{kind}Binding", bound))
    ]


# Of the kinds that make pods, those that take pods of others for theirs.
ADOPTING = ("ReplicaSet", "ReplicationController", "DaemonSet")
ready_s = st.sampled_from([5, 20])
retention = st.fixed_dictionaries(
    {
        "whenScaled": st.sampled_from(["Retain", "Delete"]),
        "whenDeleted": st.sampled_from(["Retain", "Delete"]),
    }
)


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Document]:
    """Return a strategy for documents that have some of these fields, mostly few."""
    one = [st.just({}), st.just({})]
    one += [each.map(lambda value, name=name: {name: value}) for name, each in fields.items()]
    return st.one_of(*one, st.fixed_dictionaries({}, optional=fields))


def rolling(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Document]:
    """Return a strategy for how pods are replaced, one after the other."""
    how = st.fixed_dictionaries({}, optional=fields)
    return how.map(lambda given: {"type": "RollingUpdate", "rollingUpdate": given})


ON_DELETE: Document = {"type": "OnDelete"}
most_unavailable = st.sampled_from([1, 2, "50%"])
stateful_strategies = rolling(partition=st.integers(0, 4), maxUnavailable=most_unavailable)
daemon_strategies = st.one_of(
    st.just(ON_DELETE),
    rolling(maxUnavailable=most_unavailable),
    rolling(maxSurge=st.sampled_from([1, "50%"]), maxUnavailable=st.just(0)),
)


@st.composite
def manifests(draw: st.DrawFn, kind: str, name: str) -> Document:
    """Return an object of a kind; no two workloads have a claim to the same pods."""
    fields = draw(pod_specs(name))
    own = {"of": f"{kind}-{name}"}

    def of_pods(**given: Any) -> Document:
        made = workload(kind, name, **given)
        made["spec"]["selector"]["matchLabels"] |= own
        made["spec"]["template"]["metadata"]["labels"] |= own
        return made

    size = draw(st.integers(0, 6))
    match kind:
        case "Pod":
            made = template(name, **fields)
            # Before any name that is drawn: of pods of one age, a daemon set keeps the first one.
            made["metadata"]["name"] = f"{name}-0-lone"
            # Whoever makes pods like it takes it for one of his.
            taken_by = draw(st.sampled_from([None, None, *ADOPTING]))
            if taken_by is not None:
                made["metadata"]["labels"]["of"] = f"{taken_by}-{name}"
            if draw(st.integers(0, 3)) == 0:
                made["spec"]["nodeName"] = "node-0"
            if draw(st.integers(0, 3)) == 0:
                claim = {"claimName": name}
                made["spec"]["volumes"] = [{"name": "data", "persistentVolumeClaim": claim}]
            return {"apiVersion": "v1", "kind": kind, **made}
        case "Deployment":
            rolling = draw(
                st.sampled_from(
                    [
                        {"maxSurge": 1, "maxUnavailable": 0},
                        {"maxSurge": 0, "maxUnavailable": 1},
                        {"maxSurge": "25%", "maxUnavailable": "25%"},
                    ]
                )
            )
            strategy = draw(
                st.sampled_from(
                    [{"type": "RollingUpdate", "rollingUpdate": rolling}, {"type": "Recreate"}]
                )
            )
            given = draw(some(minReadySeconds=ready_s, paused=st.just(True)))
            # It is told to have failed while it is waited for, or long after.
            given["progressDeadlineSeconds"] = draw(st.sampled_from([600, 25]))
            return of_pods(replicas=size, strategy=strategy, **given, **fields)
        case "StatefulSet":
            given = draw(
                some(
                    minReadySeconds=ready_s,
                    updateStrategy=stateful_strategies,
                    ordinals=st.integers(0, 2).map(lambda start: {"start": start}),
                )
            )
            # That of none is another one later: of the other kind, what the server has filled in
            # would stay, and be refused.
            if name == NAMES[-1]:
                given["updateStrategy"] = ON_DELETE
            if draw(st.integers(0, 3)) == 0:
                given["volumeClaimTemplates"] = [{"metadata": {"name": "data"}, "spec": CLAIM_SPEC}]
                given |= draw(some(persistentVolumeClaimRetentionPolicy=retention))
            policy = draw(st.sampled_from(["OrderedReady", "Parallel"]))
            return of_pods(replicas=size, podManagementPolicy=policy, **given, **fields)
        case "DaemonSet":
            given = draw(some(minReadySeconds=ready_s, updateStrategy=daemon_strategies))
            return of_pods(**given, **fields)
        case "ReplicaSet":
            return of_pods(replicas=size, **draw(some(minReadySeconds=ready_s)), **fields)
        case "ReplicationController":
            made = template(name, **fields)
            made["metadata"]["labels"] |= own
            spec = {"replicas": size, "selector": own, "template": made}
            spec |= draw(some(minReadySeconds=ready_s))
            return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
        case "Job":
            made = template(name, **fields, restartPolicy="Never")
            # It outlives every test: that jobs end is nothing that a plan knows of.
            made["spec"]["containers"][0]["command"] = ["sleep", "1000000"]
            spec = {
                "parallelism": size,
                "completions": draw(st.sampled_from([size + 1, max(size, 1)])),
                "suspend": draw(st.integers(0, 3)) == 0,
                "template": made,
            }
            if draw(st.integers(0, 2)) == 0:
                spec["completionMode"] = "Indexed"
                spec |= draw(some(backoffLimitPerIndex=st.integers(0, 1)))
            if draw(st.integers(0, 2)) == 0:
                action = draw(st.sampled_from(["Ignore", "FailJob", "Count"]))
                rule = {"action": action, "onPodConditions": [{"type": "DisruptionTarget"}]}
                spec |= {"backoffLimit": 0, "podFailurePolicy": {"rules": [rule]}}
            else:
                replaced = st.sampled_from(["Failed", "TerminatingOrFailed"])
                spec |= draw(some(podReplacementPolicy=replaced))
            return {
                "apiVersion": "batch/v1",
                "kind": kind,
                "metadata": {"name": name},
                "spec": spec,
            }
        case "Service":
            spec = {"selector": {"app": name}, "ports": [{"port": 80}]}
            return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
        case "PodDisruptionBudget":
            bound = draw(
                st.sampled_from(
                    [
                        {"minAvailable": 1},
                        {"maxUnavailable": 0},
                        {"minAvailable": "50%"},
                        {"maxUnavailable": "50%"},
                    ]
                )
            )
            return {
                "apiVersion": "policy/v1",
                "kind": kind,
                "metadata": {"name": name},
                "spec": {"selector": {"matchLabels": {"app": name}}, **bound},
            }
        case "PersistentVolumeClaim":
            return {
                "apiVersion": "v1",
                "kind": kind,
                "metadata": {"name": name},
                "spec": draw(claims),
            }
        case "LimitRange":
            limits = {"limits": [draw(bounds)]}
            return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "spec": limits}
        case "ResourceQuota":
            return {
                "apiVersion": "v1",
                "kind": kind,
                "metadata": {"name": name},
                "spec": draw(quotas),
            }
        case "StorageClass":
            return {
                "apiVersion": "storage.k8s.io/v1",
                "kind": kind,
                "metadata": {"name": name},
                "provisioner": "kubernetes.io/no-provisioner",
                "volumeBindingMode": "WaitForFirstConsumer",
            }
        case "PersistentVolume":
            zone = {"key": ZONE, "operator": "In", "values": [draw(st.sampled_from("abc"))]}
            there = {"required": {"nodeSelectorTerms": [{"matchExpressions": [zone]}]}}
            spec = {
                "accessModes": ["ReadWriteOnce"],
                "capacity": {"storage": "2Gi"},
                "hostPath": {"path": "/data"},
                "storageClassName": draw(st.sampled_from(["standard", name])),
                "nodeAffinity": there,
            }
            return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
    raise ValueError(kind)


@st.composite
def releases(draw: st.DrawFn, kinds: Sequence[str] = KINDS) -> list[Document]:
    """Return manifests that are applied together, each object once."""
    places = st.tuples(st.sampled_from(kinds), st.sampled_from(NAMES))
    chosen = draw(st.lists(places, min_size=1, max_size=5, unique=True))
    found: list[Document] = []
    for kind, name in sorted(chosen, key=lambda place: kinds.index(place[0])):
        is_policy = kind.endswith("Policy")
        found += draw(policies(kind, name)) if is_policy else [draw(manifests(kind, name))]
    return found


@st.composite
def stories(draw: st.DrawFn, kinds: Sequence[str] = WITH_POLICIES) -> list[list[Document]]:
    """Return manifests for several times.

    Pods, of which nothing may change, stay as they are; of jobs there may be more, or less.
    """
    known: dict[tuple[str, str], Document] = {}
    return [
        [_as_before(known, item) for item in release]
        for release in draw(st.lists(releases(kinds), min_size=1, max_size=3))
    ]


def _as_before(known: dict[tuple[str, str], Document], item: Document) -> Document:
    first = known.setdefault((item["kind"], item["metadata"]["name"]), item)
    if item["kind"] == "Pod":
        return first
    if item["kind"] != "Job":
        return item
    old, new = first["spec"], item["spec"]
    spec = {**old, "parallelism": new["parallelism"], "suspend": new["suspend"]}
    if "completionMode" in old and old["parallelism"] == old["completions"]:
        spec["completions"] = spec["parallelism"] = max(1, new["parallelism"])
    return {**item, "spec": spec}
