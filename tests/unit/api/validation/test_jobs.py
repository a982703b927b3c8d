"""Jobs: what is told of those that cannot be."""

import pytest

from kubeberth.api.validation.jobs import validate_job, validate_job_status

UID = {"batch.kubernetes.io/controller-uid": "u"}


def job(name="pi", *, status=None, **spec):
    template = {
        "metadata": {"labels": UID},
        "spec": {
            "restartPolicy": "Never",
            "dnsPolicy": "ClusterFirst",
            "terminationGracePeriodSeconds": 30,
            "containers": [
                {
                    "name": "main",
                    "image": "busybox",
                    "imagePullPolicy": "Always",
                    "terminationMessagePolicy": "File",
                }
            ],
        },
    }
    metadata = {"name": name, "namespace": "default", "uid": "u", "resourceVersion": "1"}
    whole = {"parallelism": 1, "selector": {"matchLabels": UID}, "template": template, **spec}
    return {"metadata": metadata, "spec": whole, "status": status or {}}


def faults(*args, **spec):
    return list(map(str, validate_job(job(*args, **spec))))


def indexed(name="pi", **spec):
    return faults(name, **{"completionMode": "Indexed", "completions": 5, **spec})


def exit_codes(action="FailJob", operator="In", values=(42,), **more):
    codes = {"operator": operator, "values": list(values), **more}
    return {"action": action, "onExitCodes": codes}


def with_rule(rule, **spec):
    policy = {"rules": [rule]}
    return faults(podFailurePolicy=policy, podReplacementPolicy="Failed", completions=1, **spec)


def test_jobs_as_they_should_be_have_no_faults():
    assert faults(completions=1) == []
    assert indexed(backoffLimitPerIndex=1, maxFailedIndexes=2) == []
    assert with_rule(exit_codes()) == []
    rules = [{"succeededIndexes": "0,2-4", "succeededCount": 3}, {"succeededCount": 5}]
    assert indexed(successPolicy={"rules": rules}) == []


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        pytest.param(
            exit_codes("FailIndex"),
            'action: Invalid value: "FailIndex": requires the backoffLimitPerIndex to be set',
            id="an index without a limit of its own",
        ),
        pytest.param(
            exit_codes(""),
            'action: Required value: valid values: ["Count" "FailIndex" "FailJob" "Ignore"]',
            id="no action",
        ),
        pytest.param(
            exit_codes(operator=""),
            'onExitCodes.operator: Required value: valid values: ["In" "NotIn"]',
            id="no operator",
        ),
        pytest.param(
            exit_codes(containerName="x"),
            'onExitCodes.containerName: Invalid value: "x": must be one of the container or '
            "initContainer names in the pod template",
            id="no such container",
        ),
        pytest.param(
            exit_codes(values=(3, 1)),
            "onExitCodes.values: Invalid value: [3,1]: must be ordered",
            id="not in order",
        ),
        pytest.param(
            exit_codes(values=(3, 3)),
            "onExitCodes.values[1]: Duplicate value: 3",
            id="the same code twice",
        ),
        pytest.param(
            {"action": "Ignore", "onPodConditions": [{"type": "Ready", "status": "Maybe"}]},
            'onPodConditions[0].status: Unsupported value: "Maybe": supported values: "False", '
            '"True", "Unknown"',
            id="no such status",
        ),
    ],
)
def test_a_rule_about_failures_that_cannot_be(rule, fault):
    assert with_rule(rule) == [f"spec.podFailurePolicy.rules[0].{fault}"]


def test_with_a_failure_policy_only_failed_pods_can_be_replaced():
    [fault] = faults(
        podFailurePolicy={"rules": [exit_codes()]}, podReplacementPolicy="TerminatingOrFailed"
    )
    assert fault == (
        'spec.podReplacementPolicy: Unsupported value: "TerminatingOrFailed": '
        'supported values: "Failed"'
    )


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        (
            {},
            ": Required value: at least one of succeededCount or succeededIndexes must be "
            "specified",
        ),
        (
            {"succeededIndexes": "0-x"},
            '.succeededIndexes: Invalid value: "0-x": error parsing succeededIndexes: cannot '
            'convert string to integer for index: "x"',
        ),
        (
            {"succeededIndexes": "1-2-3"},
            '.succeededIndexes: Invalid value: "1-2-3": error parsing succeededIndexes: the '
            'fragment "1-2-3" violates the requirement that an index interval can have at most '
            "two parts separated by '-'",
        ),
        (
            {"succeededIndexes": "3,1"},
            '.succeededIndexes: Invalid value: "3,1": error parsing succeededIndexes: '
            "non-increasing order, previous: 3, current: 1",
        ),
        (
            {"succeededIndexes": "2-2"},
            '.succeededIndexes: Invalid value: "2-2": error parsing succeededIndexes: '
            "non-increasing order, previous: 2, current: 2",
        ),
        (
            {"succeededIndexes": "4,5"},
            '.succeededIndexes: Invalid value: "4,5": error parsing succeededIndexes: '
            'too large index: "5"',
        ),
        (
            {"succeededCount": 6},
            ".succeededCount: Invalid value: 6: must be less than or equal to 5 "
            "(the number of specified completions)",
        ),
        (
            {"succeededIndexes": "0-2", "succeededCount": 4},
            ".succeededCount: Invalid value: 4: must be less than or equal to 3 "
            "(the number of indexes in the specified succeededIndexes field)",
        ),
    ],
)
def test_a_rule_about_success_that_cannot_be(rule, fault):
    assert indexed(successPolicy={"rules": [rule]}) == [f"spec.successPolicy.rules[0]{fault}"]


def test_a_success_policy_has_rules_and_an_indexed_job():
    [fault] = indexed(successPolicy={"rules": []})
    assert fault == (
        "spec.successPolicy.rules: Required value: at least one rules must be specified when the "
        "successPolicy is specified"
    )
    [fault] = faults(completions=1, successPolicy={"rules": [{"succeededCount": 1}]})
    assert fault.endswith("requires indexed completion mode")
    [fault] = indexed(successPolicy={"rules": [{"succeededCount": 1}] * 21})
    assert fault == "spec.successPolicy.rules: Too many: 21: must have at most 20 items"


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        (
            {"parallelism": 100_001},
            "spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when "
            "completion mode is Indexed",
        ),
        (
            {"backoffLimitPerIndex": 1, "maxFailedIndexes": 6},
            "spec.maxFailedIndexes: Invalid value: 6: must be less than or equal to completions",
        ),
        (
            {"completions": 100_001, "backoffLimitPerIndex": 1},
            "spec.maxFailedIndexes: Required value: must be specified when completions is above "
            "100000",
        ),
        (
            {"completions": 100_001, "backoffLimitPerIndex": 1, "maxFailedIndexes": 10_001},
            "spec.maxFailedIndexes: Invalid value: 10001: must be less than or equal to 10000 "
            "when completions are above 100000 and used with backoff limit per index",
        ),
    ],
)
def test_an_indexed_job_can_be_too_large(spec, fault):
    assert indexed(**spec) == [fault]


def test_the_host_names_of_an_indexed_job_must_be_names():
    name = "p" * 62
    [fault] = indexed(name)
    assert fault == (
        f'metadata.name: Invalid value: "{name}": will not able to create pod with invalid DNS '
        f"label: {name}-4"
    )
    assert faults(name, completions=1) == []


def test_indexes_in_a_status_must_be_some():
    spec = {"completionMode": "Indexed", "completions": 5}
    new, old = job(status={"completedIndexes": "0-9"}, **spec), job(**spec)
    [fault] = map(str, validate_job_status(new, old))
    assert fault == (
        'status.completedIndexes: Invalid value: "0-9": error parsing completedIndexes: '
        'too large index: "9"'
    )
    assert validate_job_status(new, new) == [], "what was there may stay"
