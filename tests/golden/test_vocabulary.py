"""The recorded answers of kube-apiserver 1.36.2, as far as they need no server.

Every POST, PUT and PATCH of a served kind goes the pure way: decode, default, validate, patch.
What only a server adds (admission, versions, addresses) is put in or taken out here, in the open;
the next step starts from the object as it was recorded.
"""

import copy
import gzip
import json
import re
from pathlib import Path

import pytest

from kubeberth.api import codec, defaults, schema, validation
from kubeberth.api.label_keys import merge_label_keys
from kubeberth.api.scheme import RESOURCES
from kubeberth.api.validation.field_error import invalid
from kubeberth.api.validation.warnings import warnings_for
from kubeberth.apiserver.patch import APPLY_PATCH, STRATEGIC_PATCH, apply_patch, go_text
from kubeberth.apiserver.table import to_table
from kubeberth.errors import ApiError, BadRequestError

RECORDINGS = Path(__file__).parent / "api"
# Kinds whose new objects the server completes before it validates them; `test_api.py` has them.
COMPLETED_BY_SERVER = ("DaemonSet", "Job", "PersistentVolume", "PersistentVolumeClaim")
BY_COLLECTION = {
    (r.path().rpartition("/")[0], r.plural): r
    for r in RESOURCES
    if r.kind not in COMPLETED_BY_SERVER
}
SOME_TIME = "2026-01-01T00:00:00Z"
# Answers of other parts: authorization and admission, storage, options of the request.
SERVER_CODES = (403, 404, 405, 409, 415)
SERVER_FIELDS = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")
KEPT_BY_SERVER = ("generation", "creationTimestamp", "namespace")
SERVER_SPEC = {
    "Pod": ("priority", "preemptionPolicy", "serviceAccount", "serviceAccountName"),
    "Service": ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"),
    "Namespace": ("finalizers",),
}
SERVER_TAINT = "node.kubernetes.io/not-ready"
# Whether the body belongs to the URL is a matter of routing.
OTHER_PLACE = re.compile("does not match the name(space)? (sent )?on the|was undeterminable")
# Steps whose recorded answer shows what these functions cannot know.
ELSEWHERE = {
    ("updates/gates-tighten", 2): "an empty map is shown as {}, and canonical documents have none",
}


def scenarios(theme):
    with gzip.open(RECORDINGS / f"{theme}.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            scenario = json.loads(line.replace("<time>", SOME_TIME))
            yield pytest.param(scenario, id=scenario["id"])


def target(path):
    """Return resource, namespace, name and subresource of a request's path."""
    path = path.partition("?")[0]
    scope = re.match(r"(/api/v1|/apis/[^/]+/[^/]+)(?:/namespaces/([^/]+))?/(.+)", path)
    if scope is None:
        space = re.fullmatch(r"(/api/v1)/namespaces(?:/([^/]+))?", path)
        return (BY_COLLECTION[space[1], "namespaces"], None, space[2], "") if space else None
    prefix, namespace, rest = scope.groups()
    plural, name, sub = [*rest.split("/"), None, None][:3]
    if namespace and plural in ("status", "finalize"):
        return BY_COLLECTION[prefix, "namespaces"], None, namespace, plural
    resource = BY_COLLECTION.get((prefix, plural))
    return (resource, namespace, name, sub or "") if resource else None


def request_body(step):
    return step["rawBody"].encode() if "rawBody" in step else json.dumps(step["body"]).encode()


def content_type(step):
    return (step.get("headers") or {}).get("Content-Type", codec.JSON) or ""


def refuse(resource, name, errors):
    if errors:
        raise validation.invalid_error(resource, name, errors)


def created(step, resource, namespace):
    """Create an object the pure way."""
    decoded = codec.decode(request_body(step), content_type(step), resource)
    document = decoded.document
    if "fieldValidation=Strict" in step["path"] and decoded.strict_error:
        version = resource.version
        raise BadRequestError(
            f'{resource.kind} in version "{version}" cannot be handled as a {resource.kind}: '
            f"{decoded.strict_error}"
        )
    defaults.apply_defaults(resource, document)
    metadata = document["metadata"]
    if namespace:
        metadata.setdefault("namespace", namespace)
    if metadata.get("generateName") and "name" not in metadata:
        metadata["name"] = metadata["generateName"] + "<rand-1>"
    if resource.kind == "Pod":
        merge_label_keys(document)
        document["spec"] |= {"priority": 0, "preemptionPolicy": "PreemptLowerPriority"}
        document["status"] = {"phase": "Pending", "qosClass": "BestEffort"}
    elif resource.has_status and resource.kind != "Node":
        document["status"] = {"phase": "Active"} if resource.kind == "Namespace" else {}
    refuse(resource, metadata.get("name", ""), validation.validate(resource, document))
    metadata |= {"uid": "<uid-1>", "resourceVersion": "<rv-1>", "creationTimestamp": SOME_TIME}
    return document, [] if "fieldValidation=Ignore" in step["path"] else decoded.warnings


def changed(step, resource, name, sub, old):
    """Change an object the pure way."""
    body, media_type = request_body(step), content_type(step)
    if step["method"] == "PUT":
        new, warnings = codec.decode(body, media_type, resource).document, []
    else:
        new, warnings = patched(step, resource, old, body, media_type)
    defaults.apply_defaults(resource, new)
    new["metadata"] |= {k: v for k, v in old["metadata"].items() if k in KEPT_BY_SERVER}
    for field in ("resourceVersion", "uid"):
        new["metadata"].setdefault(field, old["metadata"][field])
    if resource.kind == "Pod":
        admit(new["spec"])
    own = ("metadata", "status") if sub == "status" else ("status",)
    for field in {*new, *old}:
        if (field in own) != (sub == "status") and (resource.has_status or sub):
            new[field] = old.get(field)
    if sub == "status" and resource.kind == "Pod":
        new["status"].setdefault("qosClass", old["status"]["qosClass"])
    if resource.kind == "Namespace":
        new["spec"] = old["spec"]
    new = {field: value for field, value in new.items() if value is not None}
    refuse(resource, name, validation.validate_update(resource, new, old, sub))
    return new, warnings


def admit(spec):
    """Do what DefaultTolerationSeconds does."""
    tolerations = spec.setdefault("tolerations", [])
    for state in ("not-ready", "unreachable"):
        taint = {"key": f"node.kubernetes.io/{state}", "effect": "NoExecute"}
        if not any(t.get("key", taint["key"]) == taint["key"] for t in tolerations):
            tolerations.append({**taint, "operator": "Exists", "tolerationSeconds": 300})


def patched(step, resource, old, body, media_type):
    before = json.dumps(old)
    document = apply_patch(media_type, resource, old, body)
    assert json.dumps(old) == before
    try:
        decoded = codec.decode_document(document, resource)
    except BadRequestError as error:
        why = error.message.partition(" cannot be handled as a ")[2].partition(": ")[2]
        refuse("", "", [not_a_result(media_type, body, why)])
    warnings = decoded.warnings + [f'duplicate field "{p}"' for p in codec.duplicate_fields(body)]
    if "fieldValidation=Strict" in step["path"] and warnings:
        why = "strict decoding error: " + ", ".join(warnings)
        refuse("", "", [not_a_result(media_type, body, why)])
    return decoded.document, [] if "fieldValidation=Ignore" in step["path"] else warnings


def not_a_result(media_type, body, why):
    shown = go_text(json.loads(body)) if media_type == STRATEGIC_PATCH else "<object>"
    return invalid("patch", shown, why)


def comparable(document, kind):
    """Return an object without what the server itself writes into it."""
    document = copy.deepcopy(document)
    document.pop("status", None)
    for field in SERVER_FIELDS:
        document["metadata"].pop(field, None)
    spec = document.setdefault("spec", {})
    for field in SERVER_SPEC.get(kind, ()):
        spec.pop(field, None)
    if kind == "Pod":
        forget_admission(spec)
    taints = [taint for taint in spec.pop("taints", ()) if taint["key"] != SERVER_TAINT]
    return document | {"spec": spec | {"taints": taints}}


def forget_admission(spec):
    added = [t for t in spec.get("tolerations", ()) if t.get("tolerationSeconds") == 300]
    spec["tolerations"] = [t for t in spec.get("tolerations", ()) if t not in added]
    names = ("volumes", "containers", "initContainers")
    volumes, *lists = (spec.setdefault(name, []) for name in names)
    volumes[:] = [v for v in volumes if not v["name"].startswith("kube-api-access")]
    for container in (container for containers in lists for container in containers):
        mounts = container.setdefault("volumeMounts", [])
        mounts[:] = [m for m in mounts if not m["name"].startswith("kube-api-access")]


def comparable_status(status):
    """Return a refusal; the difference that follows the first line is for people."""
    text = json.dumps(status, sort_keys=True)
    text = re.sub(r'(previously negative\)\\n)(?:[^"\\]|\\.)*"', r'\1<diff>"', text)
    answer = json.loads(text)
    answer.pop("details", None) if not answer.get("details") else None
    return answer


def is_pure(step, found):
    """Tell whether a step can be answered without a server."""
    if step["method"] not in ("POST", "PUT", "PATCH") or "bodyFrom" in step or found is None:
        return False
    resource, _, name, sub = found
    wants_version = "resourceVersion" in json.dumps(step.get("body"))
    # What the server drops before it stores an object, and not the vocabulary.
    is_dropped = "configSource" in json.dumps(step.get("body"))
    return (
        step["expect"]["code"] not in SERVER_CODES
        and content_type(step) != APPLY_PATCH
        and sub in ("", "status")
        and (step["method"] != "POST" or not name)
        and resource.plural != "bindings"
        and not re.search(r"dryRun=(?!All)|fieldValidation=Loud|force=", step["path"])
        and not wants_version
        and not is_dropped
        and not OTHER_PLACE.search(json.dumps(step["expect"].get("body")))
    )


class Play:
    """One scenario: the objects so far, as they were recorded."""

    def __init__(self, scenario):
        self.objects = {}
        self.n_compared = 0
        for request in scenario["setup"]:
            if is_pure(request | {"expect": {"code": 201}}, found := target(request["path"])):
                self.keep(found, self.answer(request, found)[0])

    def answer(self, step, found):
        resource, namespace, name, sub = found
        if step["method"] == "POST":
            return created(step, resource, namespace)
        old = self.objects[resource.group_resource, namespace, name]
        return changed(step, resource, name, sub, copy.deepcopy(old))

    def keep(self, found, document):
        resource, namespace, name, _ = found
        name = name or document["metadata"]["name"]
        self.objects[resource.group_resource, namespace, name] = document

    def step(self, step, is_elsewhere):
        found, expect = target(step["path"]), step["expect"]
        body = expect["body"]
        if is_pure(step, found) and not is_elsewhere:
            self.compare(step, found, expect)
        is_object = found and isinstance(body, dict) and body.get("kind") == found[0].kind
        if is_object and "dryRun" not in step["path"]:
            self.keep(found, body)

    def compare(self, step, found, expect):
        self.n_compared += 1
        if expect["code"] >= 400:
            with pytest.raises(ApiError) as refusal:
                self.answer(step, found)
            ours = comparable_status(refusal.value.status)
            assert ours == comparable_status(expect["body"])
            return
        document, warnings = self.answer(step, found)
        kind = found[0].kind
        assert comparable(document, kind) == comparable(expect["body"], kind)
        recorded = (expect.get("headers") or {}).get("Warning", [])
        old = self.objects.get((found[0].group_resource, *found[1:3]))
        warnings = [*warnings, *warnings_for(found[0], document, old)]
        assert [f"299 - {json.dumps(text)}" for text in warnings] == recorded


@pytest.mark.parametrize(
    "scenario", [*scenarios("validation"), *scenarios("updates"), *scenarios("patches")]
)
def test_answers_are_those_of_the_real_server(scenario):
    play = Play(scenario)
    for index, step in enumerate(scenario["steps"]):
        play.step(step, (scenario["id"], index) in ELSEWHERE)


def test_most_recorded_requests_of_served_kinds_are_compared():
    n_compared = 0
    for param in [*scenarios("validation"), *scenarios("updates"), *scenarios("patches")]:
        for step in param.values[0]["steps"]:
            n_compared += bool(is_pure(step, target(step["path"])))
    assert n_compared >= 850


@pytest.mark.parametrize(
    "scenario", [s for s in scenarios("lists") if s.values[0]["id"].startswith("lists/table")]
)
def test_tables_have_the_columns_of_the_real_server(scenario):
    for step in scenario["steps"]:
        found, table = target(step["path"]), step["expect"]["body"]
        if found is None or not isinstance(table, dict) or not table.get("columnDefinitions"):
            continue
        if found[3]:
            continue
        ours = to_table(found[0], [])["columnDefinitions"]
        recorded = [{**column, "description": ""} for column in table["columnDefinitions"]]
        assert [{**column, "description": ""} for column in ours] == recorded


def test_every_served_kind_is_in_the_schema_table():
    missing = [r.kind for r in RESOURCES if schema.definition_of(r.api_version, r.kind) is None]
    assert missing == []
