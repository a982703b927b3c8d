"""Admission policies in CEL, through the server."""

import pytest

GROUP = "/apis/admissionregistration.k8s.io/v1"
HOME = "/api/v1/namespaces/default"
MAPS = f"{HOME}/configmaps"
RULE = {
    "operations": ["CREATE", "UPDATE"],
    "apiGroups": [""],
    "apiVersions": ["v1"],
    "resources": ["configmaps"],
}


async def policy(api, *rules, name="rules", kind="validating", actions=("Deny",), **spec):
    """Register a policy with a binding of its own; each rule is an expression or a validation."""
    binding = spec.pop("binding", {})
    constraints = {"resourceRules": [RULE | spec.pop("rule", {})]} | spec.pop("constraints", {})
    spec = {"matchConstraints": constraints, **spec}
    if kind == "validating":
        spec["validations"] = [r if isinstance(r, dict) else {"expression": r} for r in rules]
        binding = {"validationActions": list(actions), **binding}
    else:
        spec = {"mutations": [_mutation(r) for r in rules], "reinvocationPolicy": "Never", **spec}
    path = f"{GROUP}/{kind}admissionpolicies"
    answer = await api.post(path, {"metadata": {"name": name}, "spec": spec})
    assert answer.code == 201, answer.message
    path = f"{GROUP}/{kind}admissionpolicybindings"
    body = {"metadata": {"name": name}, "spec": {"policyName": name, **binding}}
    answer = await api.post(path, body)
    assert answer.code == 201, answer.message


def _mutation(expression):
    if expression.lstrip().startswith("["):
        return {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}
    return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}


def denied_by(why, name="rules", what='configmaps "a"'):
    by = f"ValidatingAdmissionPolicy '{name}' with binding '{name}' denied request: {why}"
    return f"{what} is forbidden: {by}"


def test_an_object_that_breaks_a_rule_is_refused_as_upstream_does(run):
    async def scenario(api):
        await policy(api, "has(object.data) && object.data.size() <= 1")
        answer = await api.config_map("a", x="1", y="2")
        assert answer.code == 422
        why = "failed expression: has(object.data) && object.data.size() <= 1"
        message = f"ValidatingAdmissionPolicy 'rules' with binding 'rules' denied request: {why}"
        assert answer.json == {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": f'configmaps "a" is forbidden: {message}',
            "reason": "Invalid",
            "details": {"name": "a", "kind": "configmaps", "causes": [{"message": message}]},
            "code": 422,
        }
        assert (await api.config_map("a", x="1")).code == 201
        assert (await api.patch(f"{MAPS}/a", {"data": {"y": "2"}})).code == 422

    run(scenario)


@pytest.mark.parametrize(
    ("rule", "code", "why"),
    [
        pytest.param({"message": " no "}, 422, "no", id="message"),
        pytest.param(
            {"messageExpression": "'not ' + object.metadata.name", "message": "no"},
            422,
            "not a",
            id="message expression",
        ),
        pytest.param(
            {"messageExpression": "object.nothing", "message": "no"}, 422, "no", id="no value"
        ),
        pytest.param({"message": "no", "reason": "Forbidden"}, 403, "no", id="reason"),
        pytest.param(
            {"message": "no", "reason": "RequestEntityTooLarge"}, 413, "no", id="too large"
        ),
    ],
)
def test_a_rule_says_what_is_wrong_and_how(run, rule, code, why):
    async def scenario(api):
        await policy(api, {"expression": "false", **rule})
        answer = await api.config_map("a")
        assert (answer.code, answer.message) == (code, denied_by(why))
        assert answer.json["reason"] == rule.get("reason", "Invalid")

    run(scenario)


def test_a_rule_without_a_value_counts_as_broken_unless_failures_are_ignored(run):
    async def scenario(api):
        await policy(api, "object.data.x == '1'", name="strict")
        answer = await api.config_map("a")
        why = "expression 'object.data.x == '1'' resulted in error: no such key: data"
        assert answer.message == denied_by(why, "strict")
        await api.patch(
            f"{GROUP}/validatingadmissionpolicies/strict", {"spec": {"failurePolicy": "Ignore"}}
        )
        assert (await api.config_map("a")).code == 201

    run(scenario)


def test_variables_are_worked_out_when_they_are_needed(run):
    async def scenario(api):
        await policy(
            api,
            "variables.double == 4",
            "object.metadata.name != 'b' || variables.broken",
            variables=[
                {"name": "n", "expression": "object.data.size()"},
                {"name": "double", "expression": "variables.n * 2"},
                {"name": "broken", "expression": "object.nothing"},
            ],
        )
        assert (await api.config_map("a", x="1", y="2")).code == 201
        answer = await api.config_map("b", x="1", y="2")
        assert answer.message.endswith(
            'resulted in error: composited variable "broken" fails to evaluate: no such key: '
            "nothing"
        )

    run(scenario)


def test_an_expression_that_goes_on_and_on_is_cut_off(run):
    async def scenario(api):
        numbers = str(list(range(100)))
        loop = "true"
        for name in "abcd":
            loop = f"{numbers}.all({name}, {loop})"
        await policy(api, loop)
        answer = await api.config_map("a")
        assert answer.code == 422
        assert answer.message.endswith("operation cancelled: actual cost limit exceeded")

    run(scenario)


def test_conditions_narrow_a_policy_down(run):
    async def scenario(api):
        conditions = [{"name": "others", "expression": "object.metadata.name != 'a'"}]
        await policy(api, "false", matchConditions=conditions)
        assert (await api.config_map("a")).code == 201
        assert (await api.config_map("b")).code == 422

    run(scenario)


def test_a_rule_sees_request_old_object_namespace_and_who_may_what(run):
    async def scenario(api):
        await policy(
            api,
            "request.operation == (oldObject == null ? 'CREATE' : 'UPDATE')",
            "request.userInfo.username == 'admin' && request.resource.resource == 'configmaps'",
            "namespaceObject.metadata.labels['kubernetes.io/metadata.name'] == 'default'",
            "authorizer.group('').resource('secrets').namespace('x').check('get').allowed()",
            "authorizer.requestResource.check('delete').allowed()",
            "!authorizer.serviceAccount('x', 'y').path('/metrics').check('get').allowed()",
            "oldObject == null || oldObject.data.x == '1'",
        )
        answer = await api.config_map("a", x="1")
        assert answer.code == 201, answer.message
        assert (await api.patch(f"{MAPS}/a", {"data": {"x": "2"}})).code == 200

    run(scenario)


def test_a_binding_may_warn_instead(run):
    async def scenario(api):
        await policy(api, {"expression": "false", "message": "hm"}, actions=("Warn", "Audit"))
        answer = await api.config_map("a")
        assert answer.code == 201
        assert answer.headers["warning"] == (
            "299 - \"Validation failed for ValidatingAdmissionPolicy 'rules' with binding "
            "'rules': hm\""
        )

    run(scenario)


def test_what_is_audited_stands_in_the_log(run, caplog):
    caplog.set_level("INFO", logger="kubeberth.apiserver.admission.audit")

    async def scenario(api):
        annotation = {"key": "name", "valueExpression": "object.metadata.name"}
        await policy(
            api,
            {"expression": "false", "message": "hm"},
            actions=("Audit",),
            auditAnnotations=[annotation],
        )
        assert (await api.config_map("a")).code == 201

    run(scenario)
    assert [(record.key, record.value) for record in caplog.records] == [
        (
            "validation.policy.admission.k8s.io/validation_failure",
            '[{"message":"hm","policy":"rules","binding":"rules","expressionIndex":0,'
            '"validationActions":["Audit"]}]',
        ),
        ("rules/name", "a"),
    ]


def test_a_policy_that_nobody_binds_is_not_in_force(run):
    async def scenario(api):
        await policy(api, "false")
        await api.delete(f"{GROUP}/validatingadmissionpolicybindings/rules")
        assert (await api.config_map("a")).code == 201

    run(scenario)


def test_a_binding_narrows_its_policy_down(run):
    async def scenario(api):
        labels = {"metadata": {"name": "guarded", "labels": {"guard": "yes"}}}
        await api.post("/api/v1/namespaces", labels)
        selector = {"matchLabels": {"guard": "yes"}}
        await policy(api, "false", binding={"matchResources": {"namespaceSelector": selector}})
        assert (await api.config_map("a")).code == 201
        path = "/api/v1/namespaces/guarded/configmaps"
        assert (await api.post(path, {"metadata": {"name": "a"}})).code == 422

    run(scenario)


def test_rules_may_name_objects_and_exclude_others(run):
    async def scenario(api):
        excluded = {"excludeResourceRules": [RULE | {"resourceNames": ["free"]}]}
        await policy(api, "false", constraints=excluded)
        assert (await api.config_map("free")).code == 201
        assert (await api.config_map("other")).code == 422
        await policy(api, "false", name="second", rule={"resourceNames": ["free"]})
        assert (await api.patch(f"{MAPS}/free", {"data": {"x": "1"}})).message.startswith(
            "configmaps \"free\" is forbidden: ValidatingAdmissionPolicy 'second'"
        )

    run(scenario)


def test_parameters_come_from_an_object(run):
    async def scenario(api):
        await api.config_map("limits", most="2")
        await policy(
            api,
            "object.data.size() <= int(params.data.most)",
            rule={"operations": ["CREATE"]},
            paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
            binding={"paramRef": {"name": "limits", "parameterNotFoundAction": "Deny"}},
        )
        assert (await api.config_map("a", x="1", y="2")).code == 201
        assert (await api.config_map("b", x="1", y="2", z="3")).code == 422
        await api.patch(f"{MAPS}/limits", {"data": {"most": "3"}})
        assert (await api.config_map("b", x="1", y="2", z="3")).code == 201
        await api.delete(f"{MAPS}/limits")
        answer = await api.config_map("c", x="1")
        assert answer.message.endswith(
            "denied request: failed to configure binding: no params found for policy binding with "
            "`Deny` parameterNotFoundAction"
        )

    run(scenario)


def test_a_policy_is_asked_once_for_each_selected_parameter(run):
    async def scenario(api):
        for name, least in (("one", "1"), ("two", "2")):
            body = {"metadata": {"name": name, "labels": {"limit": ""}}, "data": {"least": least}}
            await api.post(MAPS, body)
        selector = {"matchLabels": {"limit": ""}}
        await policy(
            api,
            {
                "expression": "object.data.size() >= int(params.data.least)",
                "messageExpression": "'fewer than ' + params.data.least",
            },
            paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
            binding={"paramRef": {"selector": selector, "parameterNotFoundAction": "Allow"}},
        )
        assert (await api.config_map("a", x="1")).message.endswith("denied request: fewer than 2")
        assert (await api.config_map("b", x="1", y="2")).code == 201

    run(scenario)


def test_a_kind_of_parameters_that_is_not_served_fails_the_write(run):
    async def scenario(api):
        await policy(
            api,
            "params.x",
            paramKind={"apiVersion": "rules.example.com/v1", "kind": "Limit"},
            binding={"paramRef": {"name": "x"}},
        )
        answer = await api.config_map("a")
        assert answer.message == (
            "configmaps \"a\" is forbidden: ValidatingAdmissionPolicy 'rules' denied request: "
            "failed to configure policy: failed to find resource referenced by paramKind: "
            "'rules.example.com/v1, Kind=Limit'"
        )

    run(scenario)


def test_policies_are_never_asked_about_policies(run):
    async def scenario(api):
        everything = {"apiGroups": ["*"], "resources": ["*"], "operations": ["*"]}
        await policy(api, "false", rule=everything)
        assert (await api.config_map("a")).code == 422
        path = f"{GROUP}/validatingadmissionpolicybindings/rules"
        assert (await api.delete(path)).code == 200

    run(scenario)


def test_deletes_are_seen_as_the_old_object(run):
    async def scenario(api):
        await api.config_map("a", keep="yes")
        expression = "object == null && !has(oldObject.data.keep)"
        await policy(api, expression, rule={"operations": ["DELETE"]})
        assert (await api.delete(f"{MAPS}/a")).code == 422
        await api.patch(f"{MAPS}/a", {"data": {"keep": None, "x": "1"}})
        assert (await api.delete(f"{MAPS}/a")).code == 200

    run(scenario)


def test_tables_of_policies_and_bindings(run):
    async def scenario(api):
        await policy(
            api,
            "true",
            paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
            binding={"paramRef": {"name": "x"}},
        )
        table = "application/json;as=Table;v=v1;g=meta.k8s.io"
        answer = await api.get(f"{GROUP}/validatingadmissionpolicies", accept=table)
        assert answer.json["rows"][0]["cells"][:3] == ["rules", 1, "v1/ConfigMap"]
        answer = await api.get(f"{GROUP}/validatingadmissionpolicybindings", accept=table)
        assert answer.json["rows"][0]["cells"][:3] == ["rules", "rules", "*/x"]

    run(scenario)


# Policies that change objects.


def test_a_mutating_policy_applies_a_configuration(run):
    async def scenario(api):
        expression = """
            Object{
              metadata: Object.metadata{labels: Object.metadata.labels{team: "blue"}},
              spec: Object.spec{
                initContainers: [
                  Object.spec.initContainers{name: "first", image: "busybox"}
                ]
              }
            }
        """
        rule = {"resources": ["pods"], "operations": ["CREATE"]}
        await policy(api, expression, kind="mutating", rule=rule)
        pod = (await api.pod("a", labels={"app": "x"})).json
        assert pod["metadata"]["labels"] == {"app": "x", "team": "blue"}
        [container] = pod["spec"]["initContainers"]
        assert (container["name"], container["imagePullPolicy"]) == ("first", "Always")

    run(scenario)


def test_a_mutating_policy_applies_a_json_patch(run):
    async def scenario(api):
        expression = """[
            JSONPatch{op: "test", path: "/data/x", value: "1"},
            JSONPatch{op: "add", path: "/metadata/labels", value: {"a": "1"}},
            JSONPatch{
                op: "add", path: "/metadata/labels/" + jsonpatch.escapeKey("b.com/c"), value: "2"
            }
        ]"""
        await policy(api, expression, kind="mutating")
        changed = (await api.config_map("a", x="1")).json["metadata"]
        assert changed["labels"] == {"a": "1", "b.com/c": "2"}
        assert "labels" not in (await api.config_map("b", x="3")).json["metadata"]

    run(scenario)


def test_mutations_follow_one_another_and_see_what_was_changed(run):
    async def scenario(api):
        first = "Object{data: Object.data{count: string(size(object.data))}}"
        second = 'Object{data: Object.data{count: object.data.count + "!"}}'
        await policy(api, first, second, kind="mutating")
        assert (await api.config_map("a", x="1")).json["data"] == {"x": "1", "count": "1!"}

    run(scenario)


def test_a_policy_that_wants_to_is_asked_again_after_a_change(run):
    async def scenario(api):
        add = "Object{data: Object.data{seen: object.data.?late.orValue('no')}}"
        await policy(api, add, name="a", kind="mutating", reinvocationPolicy="IfNeeded")
        late = "Object{data: Object.data{late: 'yes'}}"
        await policy(api, late, name="b", kind="mutating")
        data = (await api.config_map("m", x="1")).json["data"]
        assert data == {"x": "1", "late": "yes", "seen": "yes"}

    run(scenario)


def test_what_can_only_be_replaced_as_a_whole_cannot_be_applied(run):
    async def scenario(api):
        container = 'Object.spec.containers{name: "c", args: ["x"]}'
        expression = f"Object{{spec: Object.spec{{containers: [{container}]}}}}"
        await policy(api, expression, kind="mutating", rule={"resources": ["pods"]})
        answer = await api.pod("a")
        assert (answer.code, answer.json["reason"]) == (403, "Invalid")
        assert answer.message == (
            "policy 'rules' with binding 'rules' denied request: error applying patch: invalid "
            "ApplyConfiguration: may not mutate atomic arrays, maps or structs: "
            ".spec.containers[0].args"
        )

    run(scenario)


def test_what_a_mutation_takes_from_its_parameters_is_a_copy(run):
    async def scenario(api):
        await api.config_map("defaults", x="1")
        await policy(
            api,
            "Object{data: params.data}",
            "Object{data: Object.data{y: '2'}}",
            kind="mutating",
            paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
            binding={"paramRef": {"name": "defaults"}},
            rule={"operations": ["CREATE"]},
        )
        for name in "ab":
            assert (await api.config_map(name)).json["data"] == {"x": "1", "y": "2"}
        assert (await api.get(f"{MAPS}/defaults")).json["data"] == {"x": "1"}

    run(scenario)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("ip('192.0.2.1')", "evaluated to a type that could not marshal to JSON"),
        ("1", "error applying patch: json: cannot unmarshal number into Go struct field"),
    ],
)
def test_a_mutation_of_the_wrong_type_fails_the_write(run, value, why):
    async def scenario(api):
        await policy(api, f"Object{{data: Object.data{{x: {value}}}}}", kind="mutating")
        answer = await api.config_map("a")
        assert answer.code == 403
        assert why in answer.message

    run(scenario)


def test_a_mutation_without_a_value_fails_the_write_or_is_skipped(run):
    async def scenario(api):
        expression = "Object{data: Object.data{x: object.nothing}}"
        await policy(api, expression, kind="mutating")
        answer = await api.config_map("a")
        assert answer.code == 403
        assert "denied request: expression" in answer.message
        path = f"{GROUP}/mutatingadmissionpolicies/rules"
        await api.patch(path, {"spec": {"failurePolicy": "Ignore"}})
        assert (await api.config_map("a")).code == 201

    run(scenario)
