"""Every kind that is served, by kubectl: created, printed, explained, described, removed.

And the kinds for which `kubectl create` has a command of its own: those it posts as protobuf, so
what is stored must be what the same object as JSON is.
"""

from __future__ import annotations

import copy
import json
import re

import pytest

from kubeberth.api.scheme import RESOURCES
from tests.e2e.conftest import kubectl_programs
from tests.unit.api.validation.test_objects import VALID

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

# A definition is made by its own tests; it needs names that fit together.
LEFT_OUT = ("customresourcedefinitions",)
STORED = [r for r in RESOURCES if "delete" in r.verbs and r.plural not in LEFT_OUT]
POD = {"spec": {"containers": [{"name": "c", "image": "nginx"}]}}
MORE = {
    "pods": POD,
    "podtemplates": {"template": POD},
    "volumeattributesclasses": {"driverName": "csi.example.com"},
}
TYPED = (
    "clusterrole typed --verb=get,list --resource=pods,deployments.apps --resource-name=a",
    "clusterrolebinding typed --clusterrole=view --user=jane --group=dev --serviceaccount=a:b",
    "configmap typed --from-literal=a=b --from-literal=empty=",
    "cronjob typed --image=busybox --schedule='*/5 * * * *' -- date",
    "deployment typed --image=nginx --image=redis --port=80 --replicas=0",
    "ingress typed --class=x --rule=a.example.com/p*=web:80,tls=secret --annotation=a=b",
    "job typed --image=busybox -- sleep 5",
    "namespace typed-namespace",
    "poddisruptionbudget typed --selector=app=x --min-available=50%",
    "priorityclass typed --value=7 --description=text --preemption-policy=Never",
    "quota typed --hard=pods=100,requests.cpu=500m --scopes=NotTerminating",
    "role typed --verb=get --resource=pods --resource=pods/log",
    "rolebinding typed --role=typed --user=jane",
    "secret generic typed --from-literal=a=b --type=example.com/t",
    "service clusterip typed --tcp=80:8080 --tcp=443",
    "service externalname typed-away --external-name=a.example.com --tcp=80",
    "service nodeport typed-port --tcp=80 --node-port=30123",
    "serviceaccount typed-account",
)
SERVERS_OWN = (
    "creationTimestamp", "resourceVersion", "uid", "managedFields", "generation", "ownerReferences",
)  # fmt: skip


@pytest.fixture(scope="module")
def kubectl(cluster):
    return cluster.kubectl()


def done(kubectl, command):
    answer = kubectl.run(f"kubectl {command}")
    assert answer.returncode == 0, f"{command}: {answer.stderr}"
    return answer.stdout


def manifest(resource):
    name = "every-kind"
    body = copy.deepcopy(VALID.get(resource, {}) | MORE.get(resource.plural, {}))
    for field in ("involvedObject", "regarding"):
        if field in body:
            body[field]["namespace"] = "default"
    # What kubectl would send again each time, as the list is compared as one value.
    for rule in body.get("spec", {}).get("matchConstraints", {}).get("resourceRules", ()):
        rule["scope"] = "*"
    meta = {"name": name} | ({"namespace": "default"} if resource.namespaced else {})
    return {"apiVersion": resource.api_version, "kind": resource.kind, **body, "metadata": meta}


@pytest.mark.parametrize("resource", STORED, ids=lambda r: f"{r.rules_key}")
def test_a_kind_is_created_printed_explained_described_and_removed(kubectl, tmp_path, resource):
    path = tmp_path / "object.json"
    path.write_text(json.dumps(manifest(resource)))
    named = f"{resource.plural}.{resource.version}.{resource.group}"
    named = resource.plural if not resource.group else named
    qualified = resource.group_resource if not resource.stored_as else named
    assert done(kubectl, f"create -f {path}").endswith("/every-kind created\n")
    try:
        assert len(done(kubectl, f"get {qualified} every-kind").splitlines()) == 2
        assert "every-kind" in done(kubectl, f"get {qualified} every-kind -o wide")
        found = json.loads(done(kubectl, f"get {named} every-kind -o json"))
        assert (found["apiVersion"], found["kind"]) == (resource.api_version, resource.kind)
        assert done(kubectl, f"apply -f {path}").endswith(" configured\n")
        assert done(kubectl, f"apply -f {path}").endswith(" unchanged\n")
        explained = done(kubectl, f"explain {resource.plural} --api-version={resource.api_version}")
        assert re.search(rf"(?m)^KIND: +{resource.kind}$", explained)
        assert "every-kind" in done(kubectl, f"describe {qualified} every-kind")
        assert done(kubectl, f"label {qualified} every-kind a=b").endswith(" labeled\n")
    finally:
        done(kubectl, f"delete {qualified} every-kind --wait=false")


@pytest.mark.parametrize("command", TYPED, ids=lambda command: command.partition(" typed")[0])
@pytest.mark.parametrize("program", kubectl_programs())
def test_an_object_posted_as_protobuf_is_stored_as_its_json_is(cluster, tmp_path, command, program):
    kubectl = cluster.kubectl(program)
    text = done(kubectl, f"create --dry-run=client -o json {command}")
    document = json.loads(text)
    kind, name = document["kind"], document["metadata"]["name"]
    path = tmp_path / "object.json"
    path.write_text(text)
    found = []
    for way in (command, f"-f {path}"):
        found.append(json.loads(done(kubectl, f"create -o json {way}")))
        done(kubectl, f"delete {kind} {name}")
    typed, plain = (without_what_differs(document) for document in found)
    assert typed == plain


def without_what_differs(document):
    """Return an object without what no two have in common."""
    if isinstance(document, dict):
        return {
            key: without_what_differs(value)
            for key, value in document.items()
            if key not in SERVERS_OWN and not key.endswith("controller-uid")
        } | (
            {"clusterIP": 1, "clusterIPs": 1} if document.get("clusterIP", "None") != "None" else {}
        )
    if isinstance(document, list):
        return [without_what_differs(item) for item in document]
    return document
