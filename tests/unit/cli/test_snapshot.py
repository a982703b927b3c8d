"""Reading a live cluster for snapshots and plans: what may not be read is said."""

from __future__ import annotations

import asyncio

import msgspec
import yaml
from tests.fake_api import FakeApi
from tests.unit.planner.clusters import deployment, pod, policy, zones

from kubeberth.api.scheme import (
    CONFIG_MAPS,
    CUSTOM_RESOURCE_DEFINITIONS,
    DEPLOYMENTS,
    LIMIT_RANGES,
    NODES,
    PODS,
    STORAGE_CLASSES,
    VALIDATING_ADMISSION_POLICIES,
    VALIDATING_ADMISSION_POLICY_BINDINGS,
    VALIDATING_WEBHOOK_CONFIGURATIONS,
    Resource,
)
from kubeberth.cli.cluster_objects import left_out, read_objects
from kubeberth.cli.snapshot import written
from kubeberth.errors import ForbiddenError, NotFoundError
from kubeberth.planner.kinds import TYPES


def api_with(refusals=()):
    api = FakeApi()
    for document in zones(2):
        api.put(NODES, document)
    api.put(PODS, pod("web", node_name="n1"))
    api.put(DEPLOYMENTS, deployment("web", 2))
    api.refusals |= dict(refusals)
    return api


def read(api):
    return asyncio.run(read_objects(api.client(), TYPES))


def test_all_objects_are_read_with_their_kinds():
    documents, forbidden = read(api_with())
    assert [document["kind"] for document in documents] == ["Node", "Node", "Deployment", "Pod"]
    assert forbidden == []


def test_what_may_not_be_read_is_left_out_and_told_in_one_line():
    denied = ForbiddenError("forbidden")
    kinds = (LIMIT_RANGES, DEPLOYMENTS, VALIDATING_WEBHOOK_CONFIGURATIONS)
    documents, forbidden = read(api_with([(("list", kind), denied) for kind in kinds]))
    assert "Deployment" not in {document["kind"] for document in documents}
    assert left_out(forbidden) == (
        "not allowed to list limitranges, deployments.apps: taken for none; "
        "validatingwebhookconfigurations: what these change or refuse is not in here"
    )


def with_policy(api, api_version, kind, name):
    made = policy("true", paramKind={"apiVersion": api_version, "kind": kind})
    made[1]["spec"]["paramRef"] = {"name": name, "namespace": "default"}
    api.put(VALIDATING_ADMISSION_POLICIES, made[0])
    api.put(VALIDATING_ADMISSION_POLICY_BINDINGS, made[1])
    return api


def test_of_parameters_those_are_read_that_policies_name():
    api = with_policy(api_with(), "v1", "ConfigMap", "limit")
    for name in ("limit", "secret"):
        api.put(CONFIG_MAPS, {"metadata": {"name": name, "namespace": "default"}})
    documents, _ = read(api)
    named = [d["metadata"]["name"] for d in documents if d["kind"] == "ConfigMap"]
    assert named == ["limit"]


def test_parameters_of_the_users_own_kinds_are_found_by_their_definition():
    api = with_policy(api_with(), "example.com/v1", "Limit", "small")
    names = {"kind": "Limit", "plural": "limits"}
    spec = {"group": "example.com", "names": names, "scope": "Namespaced"}
    definition = {"metadata": {"name": "limits.example.com"}, "spec": spec}
    api.put(CUSTOM_RESOURCE_DEFINITIONS, definition)
    limits = Resource("example.com", "v1", "limits", "Limit")
    api.put(limits, {"metadata": {"name": "small", "namespace": "default"}})
    documents, _ = read(api)
    assert [d["apiVersion"] for d in documents if d["kind"] == "Limit"] == ["example.com/v1"]


def test_parameters_that_may_not_be_read_are_told():
    api = with_policy(api_with(), "v1", "ConfigMap", "limit")
    api.refusals["list", CONFIG_MAPS] = ForbiddenError("forbidden")
    assert read(api)[1] == [CONFIG_MAPS]


def test_a_server_without_a_kind_has_no_objects_of_it():
    missing = NotFoundError("the server could not find the requested resource")
    documents, forbidden = read(api_with([(("list", STORAGE_CLASSES), missing)]))
    assert (len(documents), forbidden) == (4, [])


def test_json_and_yaml_hold_the_same():
    documents, _ = read(api_with())
    as_json, as_yaml = written(documents, is_yaml=False), written(documents, is_yaml=True)
    assert msgspec.json.decode(as_json) == yaml.safe_load(as_yaml)
    assert msgspec.json.decode(as_json)["kind"] == "List"
