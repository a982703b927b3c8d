"""What everybody may do from the start: every verb on every resource and part, and nothing else."""

import pytest

from kubeberth.api.scheme import RESOURCES

REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
KNOWN = ("system:authenticated",)
NODE = {"user": "system:node:n1", "groups": ["system:nodes", *KNOWN]}
ACCOUNT = {
    "user": "system:serviceaccount:default:default",
    "groups": ["system:serviceaccounts", "system:serviceaccounts:default", *KNOWN],
}
LETTERS = {
    "create": "c",
    "delete": "d",
    "deletecollection": "D",
    "get": "g",
    "list": "l",
    "patch": "p",
    "update": "u",
    "watch": "w",
}
SELF_REVIEWS = {
    "selfsubjectaccessreviews.authorization.k8s.io": "c",
    "selfsubjectreviews.authentication.k8s.io": "c",
    "selfsubjectrulesreviews.authorization.k8s.io": "c",
}
# Whatever the object's name; which of them it may really write, admission says.
ANY_NODE = {
    **SELF_REVIEWS,
    "certificatesigningrequests.certificates.k8s.io": "cglw",
    "csidrivers.storage.k8s.io": "glw",
    "csinodes.storage.k8s.io": "c",
    "endpoints": "g",
    "events": "cpu",
    "events.events.k8s.io": "cpu",
    "localsubjectaccessreviews.authorization.k8s.io": "c",
    "nodes": "cpu",
    "nodes/status": "pu",
    "pods": "cd",
    "pods/eviction": "c",
    "pods/status": "pu",
    "resourceslices.resource.k8s.io": "c",
    "runtimeclasses.node.k8s.io": "glw",
    "services": "glw",
    "subjectaccessreviews.authorization.k8s.io": "c",
    "tokenreviews.authentication.k8s.io": "c",
}
SCHEDULER = {
    **SELF_REVIEWS,
    "bindings": "c",
    "csidrivers.storage.k8s.io": "glw",
    "csinodes.storage.k8s.io": "glw",
    "csistoragecapacities.storage.k8s.io": "glw",
    "deviceclasses.resource.k8s.io": "glw",
    "events": "cpu",
    "events.events.k8s.io": "cpu",
    "leases.coordination.k8s.io": "c",
    "namespaces": "glw",
    "nodes": "glw",
    "persistentvolumeclaims": "glpuw",
    "persistentvolumes": "glpuw",
    "poddisruptionbudgets.policy": "glw",
    "pods": "dglw",
    "pods/binding": "c",
    "pods/status": "pu",
    "replicasets.apps": "glw",
    "replicationcontrollers": "glw",
    "resourceclaims.resource.k8s.io": "glw",
    "resourceslices.resource.k8s.io": "glw",
    "services": "glw",
    "statefulsets.apps": "glw",
    "storageclasses.storage.k8s.io": "glw",
    "volumeattachments.storage.k8s.io": "glw",
    "subjectaccessreviews.authorization.k8s.io": "c",
    "tokenreviews.authentication.k8s.io": "c",
}


async def rights_of(api, user, name):
    """Return the letters of the verbs that a user may do, by resource or part."""
    found = {}
    for resource in RESOURCES:
        for sub in ("", *(sub.name for sub in resource.subresources)):
            what = f"{resource.group_resource}{'/' if sub else ''}{sub}"
            letters = ""
            for verb, letter in LETTERS.items():
                attributes = {
                    "verb": verb,
                    "group": resource.group,
                    "version": resource.version,
                    "resource": resource.plural,
                    "subresource": sub,
                    "name": "" if verb in ("create", "deletecollection") and not sub else name,
                    "namespace": "default" if resource.namespaced else "",
                }
                spec = {**user, "resourceAttributes": attributes}
                answer = await api.post(REVIEWS, {"spec": spec})
                letters += letter if answer.json["status"]["allowed"] else ""
            if letters:
                found[what] = letters
    return found


@pytest.mark.parametrize(
    ("user", "name", "expected"),
    [
        pytest.param(NODE, "n2", ANY_NODE, id="a node, of others"),
        pytest.param(
            NODE,
            "n1",
            ANY_NODE | {"nodes": "cglpuw", "csinodes.storage.k8s.io": "cdgpu"},
            id="a node, of itself",
        ),
        pytest.param(
            {"user": "system:node:n1", "groups": list(KNOWN)}, "n1", SELF_REVIEWS, id="no node"
        ),
        pytest.param(ACCOUNT, "x", SELF_REVIEWS, id="a service account"),
        pytest.param({"user": "jane", "groups": list(KNOWN)}, "x", SELF_REVIEWS, id="a user"),
        pytest.param(
            {"user": "system:anonymous", "groups": ["system:unauthenticated"]}, "x", {}, id="nobody"
        ),
        pytest.param(
            {"user": "system:kube-scheduler", "groups": list(KNOWN)},
            "x",
            SCHEDULER,
            id="the scheduler",
        ),
        pytest.param(
            {"user": "system:kube-scheduler", "groups": list(KNOWN)},
            "kube-scheduler",
            SCHEDULER | {"leases.coordination.k8s.io": "cgluw"},
            id="the scheduler, of its lease",
        ),
    ],
)
def test_everybody_may_what_is_listed_and_nothing_else(run, user, name, expected):
    async def scenario(api):
        assert await rights_of(api, user, name) == expected

    run(scenario)


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({}, "can only list/watch pods with spec.nodeName field selector"),
        ({"rawSelector": "spec.nodeName=n1"}, ""),
        ({"requirements": [{"key": "spec.nodeName", "operator": "In", "values": ["n1"]}]}, ""),
        (
            {"requirements": [{"key": "spec.nodeName", "operator": "In", "values": ["n2"]}]},
            "can only list/watch pods with spec.nodeName field selector",
        ),
        (
            {"requirements": [{"key": "spec.nodeName", "operator": "In", "values": ["n1", "n2"]}]},
            "can only list/watch pods with spec.nodeName field selector",
        ),
        (
            {"requirements": [{"key": "spec.nodeName", "operator": "NotIn", "values": ["n1"]}]},
            "can only list/watch pods with spec.nodeName field selector",
        ),
    ],
)
def test_a_review_may_ask_about_a_selection(run, selector, expected):
    async def scenario(api):
        attributes = {"verb": "list", "resource": "pods", "fieldSelector": selector}
        answer = await api.post(REVIEWS, {"spec": {**NODE, "resourceAttributes": attributes}})
        status = answer.json["status"]
        assert (status["allowed"], status.get("reason", "")) == (not expected, expected)

    run(scenario)
