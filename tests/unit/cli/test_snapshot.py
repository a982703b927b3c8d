"""Reading a live cluster for snapshots and plans: what may not be read is said."""

from __future__ import annotations

import asyncio

import msgspec
import yaml
from tests.fake_api import FakeApi
from tests.unit.planner.clusters import deployment, pod, zones

from kubeberth.api.scheme import (
    DEPLOYMENTS,
    JOBS,
    NODES,
    PODS,
    STORAGE_CLASSES,
    VALIDATING_WEBHOOK_CONFIGURATIONS,
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


def test_kinds_that_may_not_be_read_are_left_out_and_named_in_one_line():
    hidden = (DEPLOYMENTS, JOBS, VALIDATING_WEBHOOK_CONFIGURATIONS)
    denied = ForbiddenError('User "bob" cannot list it')
    kinds = (*TYPES, VALIDATING_WEBHOOK_CONFIGURATIONS)
    api = api_with((("list", resource), denied) for resource in hidden)
    documents, forbidden = asyncio.run(read_objects(api.client(), kinds))
    assert {document["kind"] for document in documents} == {"Node", "Pod"}
    assert left_out(forbidden) == (
        "not allowed to list deployments.apps, jobs.batch: taken for none; "
        "validatingwebhookconfigurations: what these change or refuse is not in here"
    )


def test_a_server_without_a_kind_has_no_objects_of_it():
    missing = NotFoundError("the server could not find the requested resource")
    documents, forbidden = read(api_with([(("list", STORAGE_CLASSES), missing)]))
    assert (len(documents), forbidden) == (4, [])


def test_json_and_yaml_hold_the_same():
    documents, _ = read(api_with())
    as_json, as_yaml = written(documents, is_yaml=False), written(documents, is_yaml=True)
    assert msgspec.json.decode(as_json) == yaml.safe_load(as_yaml)
    assert msgspec.json.decode(as_json)["kind"] == "List"
