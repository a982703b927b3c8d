"""Replacements of objects that are there by such as are wrong in one place: refused, or taken."""

import copy

import pytest
from benchmarks.fuzz_api import SPECS

STRANGE = (None, 1.5, 10**30, "9" * 5000, True, "é", [], {}, [{}], {"a": 1.5})
GROUPS = {
    "customresourcedefinitions": "/apis/apiextensions.k8s.io/v1",
    "deployments": "/apis/apps/v1/namespaces/default",
    "limitranges": "/api/v1/namespaces/default",
    "resourceclaims": "/apis/resource.k8s.io/v1/namespaces/default",
    "resourceslices": "/apis/resource.k8s.io/v1",
    "validatingadmissionpolicies": "/apis/admissionregistration.k8s.io/v1",
}


def places(value, path=()):
    for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield (*path, key)
        if isinstance(item, dict | list):
            yield from places(item, (*path, key))


def spoilt(document, path, value):
    changed = copy.deepcopy(document)
    holder = changed
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    return changed


@pytest.mark.slow
@pytest.mark.parametrize("plural", GROUPS)
def test_no_strange_value_is_a_fault_of_the_servers(run, plural):
    name = "boats.example.com" if plural == "customresourcedefinitions" else "a"
    collection, document = f"{GROUPS[plural]}/{plural}", {"metadata": {"name": name}}

    async def scenario(api):
        assert (await api.post(collection, {**document, **SPECS[plural]})).code == 201
        for path in places(SPECS[plural]):
            for value in STRANGE:
                body = {**document, **spoilt(SPECS[plural], path, value)}
                for sub in ("", "/status"):
                    answer = await api.put(f"{collection}/{name}{sub}?dryRun=All", body)
                    assert answer.code < 500, (path, str(value)[:60], answer.body[:300])

    run(scenario)
