"""Custom resources, from the definition to the last of its objects."""

import asyncio
import copy

import pytest

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
GROUP = "/apis/stable.example.com"
CRONTABS = f"{GROUP}/v1/namespaces/default/crontabs"
SCHEMA = {
    "type": "object",
    "required": ["spec"],
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "cronSpec": {
                    "type": "string",
                    "pattern": r"^(\d+|\*)(/\d+)?(\s+(\d+|\*)(/\d+)?){4}$",
                },
                "image": {"type": "string", "minLength": 2, "maxLength": 10},
                "replicas": {"type": "integer", "minimum": 1, "maximum": 10, "default": 1},
                "policy": {"type": "string", "enum": ["Allow", "Forbid"]},
                "startAt": {"type": "string", "format": "date-time"},
                "port": {"x-kubernetes-int-or-string": True},
                "extra": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "tags": {
                    "type": "array",
                    "maxItems": 2,
                    "items": {"type": "string"},
                    "x-kubernetes-list-type": "set",
                },
                "note": {"type": "string", "nullable": True},
            },
        },
        "status": {
            "type": "object",
            "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"}},
        },
    },
}
SCALE = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
    "labelSelectorPath": ".status.selector",
}
COLUMNS = [
    {"name": "Spec", "type": "string", "jsonPath": ".spec.cronSpec"},
    {"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas", "priority": 1},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
]


def version(name="v1", **changes):
    return {
        "name": name,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": copy.deepcopy(SCHEMA)},
        "subresources": {"status": {}, "scale": SCALE},
        "additionalPrinterColumns": COLUMNS,
        **changes,
    }


def definition(*versions, kind="CronTab", plural="crontabs", group="stable.example.com", **names):
    return {
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind, **names},
            "versions": [*versions] or [version()],
        },
    }


def crontab(name="nightly", **spec):
    return {
        "apiVersion": "stable.example.com/v1",
        "kind": "CronTab",
        "metadata": {"name": name},
        "spec": {"cronSpec": "* * * * */5", **spec},
    }


async def established(api, body=None):
    """Create a definition and return it when it is established, or will not be."""
    answer = await api.post(DEFINITIONS, body or definition(shortNames=["ct"]))
    assert answer.code == 201, answer.message
    return await settled(api, answer.json["metadata"]["name"])


async def settled(api, name):
    for _ in range(100):
        found = (await api.get(f"{DEFINITIONS}/{name}")).json
        if found["status"].get("conditions"):
            return found
        await asyncio.sleep(0)
    raise AssertionError(f"{name} has no conditions")


async def gone(api, path):
    for _ in range(200):
        if (await api.get(path)).code == 404:
            return True
        await asyncio.sleep(0)
    return False


def conditions(found):
    return {
        c["type"]: (c["status"], c["reason"], c["message"]) for c in found["status"]["conditions"]
    }


def test_a_definition_is_established_under_the_names_it_asks_for(run):
    async def scenario(api):
        created = (await api.post(DEFINITIONS, definition())).json
        assert created["status"] == {
            "conditions": None,
            "acceptedNames": {"plural": "", "kind": ""},
            "storedVersions": ["v1"],
        }
        assert created["metadata"]["generation"] == 1
        found = await settled(api, "crontabs.stable.example.com")
        assert conditions(found) == {
            "NamesAccepted": ("True", "NoConflicts", "no conflicts found"),
            "Established": (
                "True",
                "InitialNamesAccepted",
                "the initial names have been accepted",
            ),
        }
        names = {
            "plural": "crontabs",
            "singular": "crontab",
            "kind": "CronTab",
            "listKind": "CronTabList",
        }
        assert found["status"]["acceptedNames"] == names
        assert found["spec"]["names"] == names
        assert found["spec"]["conversion"] == {"strategy": "None"}

    run(scenario)


def test_a_definition_without_versions_is_refused_and_breaks_nothing(run):
    async def scenario(api):
        names = {"plural": "crontabs", "kind": "CronTab"}
        spec = {"group": "stable.example.com", "scope": "Namespaced", "names": names}
        body = {"metadata": {"name": "crontabs.stable.example.com"}, "spec": spec}
        for versions in ({}, {"versions": []}, {"versions": None}):
            answer = await api.post(DEFINITIONS, {**body, "spec": {**spec, **versions}})
            assert answer.code == 422
            assert "must have exactly one version marked as storage version" in answer.message

    run(scenario)


def test_a_name_that_another_definition_has_is_refused_until_it_is_free(run):
    async def scenario(api):
        await established(api)
        second = definition(kind="Other", plural="others", shortNames=["ct"])
        found = await established(api, second)
        assert conditions(found) == {
            "NamesAccepted": ("False", "ShortNamesConflict", '"ct" is already in use'),
            "Established": ("False", "NotAccepted", "not all names are accepted"),
        }
        assert (await api.get(f"{GROUP}/v1/others")).code == 404
        await api.delete(f"{DEFINITIONS}/crontabs.stable.example.com")
        assert await gone(api, f"{DEFINITIONS}/crontabs.stable.example.com")
        for _ in range(100):
            if (await api.get(f"{GROUP}/v1/others")).code == 200:
                return
            await asyncio.sleep(0)
        raise AssertionError("the other definition never got its names")

    run(scenario)


def test_its_resources_are_discovered(run):
    async def scenario(api):
        await established(api)
        group = (await api.get("/apis")).json["groups"][-1]
        assert group["name"] == "stable.example.com"
        rows = {row["name"]: row for row in (await api.get(f"{GROUP}/v1")).json["resources"]}
        assert set(rows) == {"crontabs", "crontabs/scale", "crontabs/status"}
        assert rows["crontabs"]["shortNames"] == ["ct"]
        assert rows["crontabs"]["kind"] == "CronTab"
        accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        aggregated = (await api.get("/apis", accept=accept)).json
        assert aggregated["items"][-1]["metadata"]["name"] == "stable.example.com"
        paths = (await api.get("/openapi/v3")).json["paths"]
        url = paths["apis/stable.example.com/v1"]["serverRelativeURL"]
        schemas = (await api.get(url)).json["components"]["schemas"]
        own = schemas["com.example.stable.v1.CronTab"]
        assert own["properties"]["spec"]["properties"]["image"]["type"] == "string"
        assert "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta" in schemas

    run(scenario)


def test_objects_are_defaulted_pruned_and_counted(run):
    async def scenario(api):
        await established(api)
        body = crontab(unknown=1, extra={"a": {"b": 1}}, note=None, image=None)
        body["status"] = {"replicas": 3}
        created = await api.post(CRONTABS, body)
        assert created.code == 201
        assert created.headers["warning"] == '299 - "unknown field \\"spec.unknown\\""'
        made = created.json
        assert made["spec"] == {
            "cronSpec": "* * * * */5",
            "extra": {"a": {"b": 1}},
            "note": None,
            "replicas": 1,
        }
        assert made["metadata"]["generation"] == 1
        assert "status" not in made
        path = f"{CRONTABS}/nightly"
        changed = (await api.patch(path, {"spec": {"replicas": 2}})).json
        assert changed["metadata"]["generation"] == 2
        status = {"metadata": {"labels": {"a": "b"}}, "status": {"replicas": 2}}
        stated = (await api.patch(f"{path}/status", status)).json
        assert stated["metadata"]["generation"] == 2
        assert stated["status"] == {"replicas": 2}
        assert "labels" not in stated["metadata"]
        assert (await api.get(path)).json["spec"]["replicas"] == 2
        listed = (await api.get(CRONTABS)).json
        assert listed["kind"] == "CronTabList"
        assert [item["kind"] for item in listed["items"]] == ["CronTab"]

    run(scenario)


def test_strict_validation_refuses_unknown_fields(run):
    async def scenario(api):
        await established(api)
        answer = await api.post(f"{CRONTABS}?fieldValidation=Strict", crontab(unknown=1))
        assert answer.code == 400
        assert answer.message == (
            'CronTab in version "v1" cannot be handled as a CronTab: strict decoding error: '
            'unknown field "spec.unknown"'
        )

    run(scenario)


BAD = {
    "wrong type": (
        {"replicas": "three"},
        'spec.replicas: Invalid value: "string": spec.replicas in body must be of type integer: '
        '"string"',
    ),
    "null": (
        {"tags": [None]},
        'spec.tags[0]: Invalid value: "null": spec.tags[0] in body must be of type string: "null"',
    ),
    "pattern": (
        {"cronSpec": "often"},
        'spec.cronSpec: Invalid value: "often": spec.cronSpec in body should match '
        r"'^(\d+|\*)(/\d+)?(\s+(\d+|\*)(/\d+)?){4}$'",
    ),
    "too many": (
        {"replicas": 11},
        "spec.replicas: Invalid value: 11: spec.replicas in body should be less than or equal to "
        "10",
    ),
    "too few": (
        {"replicas": 0},
        "spec.replicas: Invalid value: 0: spec.replicas in body should be greater than or equal to "
        "1",
    ),
    "too short": (
        {"image": "a"},
        'spec.image: Invalid value: "a": spec.image in body should be at least 2 chars long',
    ),
    "too long": (
        {"image": "a" * 11},
        "spec.image: Too long: may not be more than 10 bytes",
    ),
    "not one of a few": (
        {"policy": "Maybe"},
        'spec.policy: Unsupported value: "Maybe": supported values: "Allow", "Forbid"',
    ),
    "format": (
        {"startAt": "soon"},
        'spec.startAt: Invalid value: "soon": spec.startAt in body must be of type date-time: '
        '"soon"',
    ),
    "too many items": (
        {"tags": ["a", "b", "c"]},
        "spec.tags: Too many: 3: must have at most 2 items",
    ),
    "twice in a set": (
        {"tags": ["a", "a"]},
        'spec.tags[1]: Duplicate value: "a"',
    ),
    "neither number nor text": (
        {"port": True},
        'spec.port: Invalid value: "boolean": spec.port in body must be of type integer,string: '
        '"boolean"',
    ),
}


@pytest.mark.parametrize(("spec", "why"), BAD.values(), ids=BAD)
def test_an_object_that_breaks_its_schema_is_refused(run, spec, why):
    async def scenario(api):
        await established(api)
        answer = await api.post(CRONTABS, crontab(**spec))
        assert answer.code == 422
        assert answer.message == f'CronTab.stable.example.com "nightly" is invalid: {why}'

    run(scenario)


def test_what_is_required_must_be_there(run):
    async def scenario(api):
        await established(api)
        body = crontab()
        del body["spec"]
        answer = await api.post(CRONTABS, body)
        assert answer.message == (
            'CronTab.stable.example.com "nightly" is invalid: spec: Required value'
        )
        assert answer.json["details"]["causes"] == [
            {"reason": "FieldValueRequired", "message": "Required value", "field": "spec"}
        ]

    run(scenario)


def test_what_was_allowed_once_may_stay(run):
    async def scenario(api):
        await established(api)
        await api.post(CRONTABS, crontab(replicas=9))
        stricter = version()
        properties = stricter["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
        properties["replicas"]["maximum"] = 5
        path = f"{DEFINITIONS}/crontabs.stable.example.com"
        assert (await api.patch(path, {"spec": {"versions": [stricter]}})).code == 200
        path = f"{CRONTABS}/nightly"
        assert (await api.patch(path, {"metadata": {"labels": {"a": "b"}}})).code == 200
        assert (await api.patch(path, {"spec": {"replicas": 8}})).code == 422

    run(scenario)


def test_strategic_merge_patches_are_not_taken(run):
    async def scenario(api):
        await established(api)
        await api.post(CRONTABS, crontab())
        kind = "strategic-merge-patch+json"
        answer = await api.patch(f"{CRONTABS}/nightly", {"spec": {}}, kind=kind)
        assert answer.code == 415
        assert answer.message == (
            "the body of the request was in an unknown format - accepted media types include: "
            "application/json-patch+json, application/merge-patch+json, "
            "application/apply-patch+yaml"
        )

    run(scenario)


def test_apply_owns_the_fields_of_custom_objects(run):
    async def scenario(api):
        await established(api)
        path = f"{CRONTABS}/nightly?fieldManager="
        first = await api.patch(f"{path}one", crontab(tags=["a"]), kind="apply-patch+yaml")
        assert first.code == 201
        second = await api.patch(f"{path}two", crontab(tags=["b"]), kind="apply-patch+yaml")
        assert second.code == 200
        assert sorted(second.json["spec"]["tags"]) == ["a", "b"]
        other = crontab()
        other["spec"]["cronSpec"] = "0 * * * *"
        conflict = await api.patch(f"{path}three", other, kind="apply-patch+yaml")
        assert conflict.code == 409
        assert ".spec.cronSpec" in conflict.message

    run(scenario)


def test_a_scale_shows_and_sets_replicas(run):
    async def scenario(api):
        await established(api)
        await api.post(CRONTABS, crontab(replicas=2))
        path = f"{CRONTABS}/nightly"
        await api.patch(f"{path}/status", {"status": {"replicas": 1, "selector": "a=b"}})
        scale = (await api.get(f"{path}/scale")).json
        assert scale["spec"] == {"replicas": 2}
        assert scale["status"] == {"replicas": 1, "selector": "a=b"}
        scaled = await api.patch(f"{path}/scale", {"spec": {"replicas": 5}})
        assert scaled.json["spec"] == {"replicas": 5}
        found = (await api.get(path)).json
        assert found["spec"]["replicas"] == 5
        assert found["metadata"]["generation"] == 2

    run(scenario)


def test_a_table_has_the_columns_of_the_definition(run):
    async def scenario(api):
        await established(api)
        await api.post(CRONTABS, crontab(replicas=2))
        accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
        table = (await api.get(CRONTABS, accept=accept)).json
        assert [(c["name"], c["priority"]) for c in table["columnDefinitions"]] == [
            ("Name", 0),
            ("Spec", 0),
            ("Replicas", 1),
            ("Age", 0),
        ]
        assert table["rows"][0]["cells"] == ["nightly", "* * * * */5", 2, "0s"]

    run(scenario)


def test_without_columns_a_table_tells_name_and_age(run):
    async def scenario(api):
        await established(api, definition(version(additionalPrinterColumns=[])))
        accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
        table = (await api.get(CRONTABS, accept=accept)).json
        assert [c["name"] for c in table["columnDefinitions"]] == ["Name", "Age"]

    run(scenario)


def test_versions_show_the_same_objects(run):
    async def scenario(api):
        versions = [version("v1beta1", storage=False), version("v1")]
        await established(api, definition(*versions))
        await api.post(CRONTABS, crontab())
        old = f"{GROUP}/v1beta1/namespaces/default/crontabs"
        assert (await api.get(f"{old}/nightly")).json["apiVersion"] == (
            "stable.example.com/v1beta1"
        )
        assert (await api.get(old)).json["items"][0]["apiVersion"] == "stable.example.com/v1beta1"
        other = crontab("daily") | {"apiVersion": "stable.example.com/v1beta1"}
        assert (await api.post(old, other)).json["apiVersion"] == "stable.example.com/v1beta1"
        listed = (await api.get(CRONTABS)).json["items"]
        assert {item["apiVersion"] for item in listed} == {"stable.example.com/v1"}
        group = (await api.get(GROUP)).json
        assert [v["version"] for v in group["versions"]] == ["v1", "v1beta1"]

    run(scenario)


def test_watches_tell_of_custom_objects(run):
    async def scenario(api):
        await established(api)
        async with api.watch(f"{CRONTABS}?watch=true") as next_event:
            await api.post(CRONTABS, crontab())
            kind, found = await next_event()
            assert (kind, found["kind"]) == ("ADDED", "CronTab")
            await api.delete(f"{CRONTABS}/nightly")
            assert (await next_event())[0] == "DELETED"

    run(scenario)


def test_a_definition_takes_its_objects_with_it(run):
    async def scenario(api):
        await established(api)
        kept = crontab("kept")
        kept["metadata"]["finalizers"] = ["example.com/wait"]
        await api.post(CRONTABS, kept)
        await api.post(CRONTABS, crontab("free"))
        path = f"{DEFINITIONS}/crontabs.stable.example.com"
        deleted = (await api.delete(path)).json
        assert deleted["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
        assert conditions(deleted)["Terminating"] == (
            "True",
            "InstanceDeletionPending",
            "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
        )
        assert await gone(api, f"{CRONTABS}/free")
        assert (await api.post(CRONTABS, crontab("late"))).code == 405
        assert (await api.get(path)).code == 200
        await api.patch(f"{CRONTABS}/kept", {"metadata": {"finalizers": None}})
        assert await gone(api, path)

    run(scenario)


def test_a_definition_goes_when_its_last_object_does(run):
    async def scenario(api):
        await established(api)
        await api.post(CRONTABS, crontab("free"))
        path = f"{DEFINITIONS}/crontabs.stable.example.com"
        await api.delete(path)
        assert await gone(api, path)
        assert (await api.get(CRONTABS)).code == 404
        assert "stable.example.com" not in {
            group["name"] for group in (await api.get("/apis")).json["groups"]
        }

    run(scenario)


def test_a_custom_kind_called_like_a_built_in_one_follows_its_own_rules(run):
    async def scenario(api):
        schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        plain = {
            "name": "v1",
            "served": True,
            "storage": True,
            "schema": {"openAPIV3Schema": schema},
        }
        body = definition(plain, kind="Pod", plural="pods", group="stable.example.com")
        await established(api, body)
        pods = f"{GROUP}/v1/namespaces/default/pods"
        pod = {"apiVersion": "stable.example.com/v1", "kind": "Pod", "metadata": {"name": "p"}}
        created = await api.post(pods, {**pod, "spec": {"any": 1.0}})
        assert created.code == 201
        assert created.json["spec"] == {"any": 1}
        assert "status" not in created.json
        deleted = await api.delete(f"{pods}/p")
        assert deleted.json["status"] == "Success"

    run(scenario)


def ruled(*rules):
    """Return a definition whose spec has validation rules."""
    one = version()
    one["schema"]["openAPIV3Schema"]["properties"]["spec"]["x-kubernetes-validations"] = [*rules]
    return definition(one)


def test_an_object_that_breaks_a_rule_is_refused(run):
    async def scenario(api):
        rule = {
            "rule": "self.replicas < 5 || self.cronSpec == '0 0 0 0 0'",
            "messageExpression": "'no ' + string(self.replicas) + ' replicas that often'",
        }
        port = {
            "rule": "!has(self.policy)",
            "reason": "FieldValueForbidden",
            "fieldPath": ".policy",
        }
        await established(api, ruled(rule, port))
        answer = await api.post(CRONTABS, crontab(replicas=6, policy="Allow"))
        assert answer.message == (
            'CronTab.stable.example.com "nightly" is invalid: [spec: Invalid value: no 6 replicas '
            "that often, spec.policy: Forbidden: failed rule: !has(self.policy)]"
        )
        assert (await api.post(CRONTABS, crontab(replicas=4))).code == 201

    run(scenario)


def test_a_rule_about_changes_looks_at_both_states(run):
    async def scenario(api):
        rule = {"rule": "self.replicas >= oldSelf.replicas", "message": "only upwards"}
        await established(api, ruled(rule))
        await api.post(CRONTABS, crontab(replicas=4))
        path = f"{CRONTABS}/nightly"
        assert (await api.patch(path, {"spec": {"replicas": 5}})).code == 200
        answer = await api.patch(path, {"spec": {"replicas": 4}})
        assert answer.message == (
            'CronTab.stable.example.com "nightly" is invalid: spec: Invalid value: only upwards'
        )

    run(scenario)


def test_rules_wait_until_the_types_are_right(run):
    async def scenario(api):
        await established(api, ruled({"rule": "self.replicas < 5"}))
        answer = await api.post(CRONTABS, crontab(replicas="x"))
        assert answer.message.endswith(
            'of type integer: "string", <nil>: Invalid value: "null": some validation rules were '
            "not checked because the object was invalid; correct the existing errors to complete "
            "validation]"
        )

    run(scenario)


def test_a_rule_that_is_no_expression_is_refused_and_one_that_is_not_known_is_told(run):
    async def scenario(api):
        answer = await api.post(DEFINITIONS, ruled({"rule": "self.replicas <"}))
        assert answer.code == 422
        assert "x-kubernetes-validations[0].rule: Invalid value" in answer.message
        answer = await api.post(DEFINITIONS, ruled({"rule": "self.cronSpec.frobnicate()"}))
        assert answer.code == 201
        assert answer.headers["warning"] == (
            '299 - "spec.versions[0].schema.openAPIV3Schema.properties[spec].'
            "x-kubernetes-validations[0].rule: this rule is not checked: no function "
            'frobnicate"'
        )

    run(scenario)


def with_schema(schema):
    return definition(version(schema={"openAPIV3Schema": schema}, subresources={}))


BAD_SCHEMAS = {
    "no type": (
        {"properties": {}},
        "spec.validation.openAPIV3Schema.type: Required value: must not be empty at the root",
    ),
    "a field without type": (
        {"type": "object", "properties": {"spec": {}}},
        "spec.validation.openAPIV3Schema.properties[spec].type: Required value: must not be empty "
        "for specified object fields",
    ),
    "a list without items": (
        {"type": "object", "properties": {"a": {"type": "array"}}},
        "spec.validation.openAPIV3Schema.properties[a].items: Required value: must be specified",
    ),
    "a type that is none": (
        {"type": "object", "properties": {"a": {"type": "text"}}},
        'spec.validation.openAPIV3Schema.properties[a].type: Unsupported value: "text": supported '
        'values: "array", "boolean", "integer", "number", "object", "string"',
    ),
    "an alternative with types": (
        {"type": "object", "anyOf": [{"type": "object"}]},
        "spec.validation.openAPIV3Schema.anyOf[0].type: Forbidden: must be empty to be structural",
    ),
    "a default of another type": (
        {"type": "object", "properties": {"a": {"type": "integer", "default": "x"}}},
        'spec.validation.openAPIV3Schema.properties[a].default: Invalid value: "string": '
        "spec.validation.openAPIV3Schema.properties[a].default in body must be of type integer: "
        '"string"',
    ),
    "fields and values at once": (
        {
            "type": "object",
            "properties": {
                "a": {
                    "type": "object",
                    "properties": {"b": {"type": "string"}},
                    "additionalProperties": {"type": "string"},
                }
            },
        },
        "spec.validation.openAPIV3Schema.properties[a].additionalProperties: Forbidden: "
        "additionalProperties and properties are mutual exclusive",
    ),
}


@pytest.mark.parametrize(("schema", "why"), BAD_SCHEMAS.values(), ids=BAD_SCHEMAS)
def test_a_schema_that_is_not_structural_is_refused(run, schema, why):
    async def scenario(api):
        answer = await api.post(DEFINITIONS, with_schema(schema))
        assert answer.message == (
            "CustomResourceDefinition.apiextensions.k8s.io "
            f'"crontabs.stable.example.com" is invalid: {why}'
        )

    run(scenario)


def changed(**spec):
    body = definition()
    body["spec"] |= spec
    return body


BAD_DEFINITIONS = {
    "another name": (
        {**definition(), "metadata": {"name": "tabs.stable.example.com"}},
        'metadata.name: Invalid value: "tabs.stable.example.com": must be '
        'spec.names.plural+"."+spec.group',
    ),
    "a group without dot": (
        definition(group="example"),
        'spec.group: Invalid value: "example": should be a domain with at least one dot',
    ),
    "no scope": (changed(scope=""), "spec.scope: Required value"),
    "a scope that is none": (
        changed(scope="World"),
        'spec.scope: Unsupported value: "World": supported values: "Cluster", "Namespaced"',
    ),
    "no schema": (
        definition(version(schema={})),
        "spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required",
    ),
    "a bad column": (
        definition(version(additionalPrinterColumns=[{"name": "A", "type": "string"}])),
        "spec.additionalPrinterColumns[0].jsonPath: Required value",
    ),
    "a bad scale": (
        definition(version(subresources={"scale": {**SCALE, "specReplicasPath": ".status.n"}})),
        'spec.subresources.scale.specReplicasPath: Invalid value: ".status.n": should be a json '
        "path under .spec",
    ),
    "a kind that is its list": (
        definition(listKind="CronTab"),
        'spec.names.listKind: Invalid value: "CronTab": kind and listKind may not be the same',
    ),
}


@pytest.mark.parametrize(("body", "why"), BAD_DEFINITIONS.values(), ids=BAD_DEFINITIONS)
def test_a_definition_with_faults_is_refused(run, body, why):
    async def scenario(api):
        answer = await api.post(DEFINITIONS, body)
        assert answer.code == 422
        assert answer.message.partition(" is invalid: ")[2] == why

    run(scenario)


def test_what_objects_are_stored_by_never_changes(run):
    async def scenario(api):
        await established(api)
        path = f"{DEFINITIONS}/crontabs.stable.example.com"
        answer = await api.patch(path, {"spec": {"scope": "Cluster"}})
        assert answer.message.endswith(
            'is invalid: spec.scope: Invalid value: "Cluster": field is immutable'
        )
        versions = [version("v2"), version("v1", storage=False)]
        moved = (await api.patch(path, {"spec": {"versions": versions}})).json
        assert moved["status"]["storedVersions"] == ["v1", "v2"]
        answer = await api.patch(path, {"spec": {"versions": [version("v2")]}})
        assert answer.code == 422
        assert "status.storedVersions[0]" in answer.message

    run(scenario)
