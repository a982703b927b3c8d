"""What everybody may do from the start: every verb on every resource and part, and nothing else."""

import asyncio
from difflib import unified_diff
from pathlib import Path

import pytest
from tests.rights_matrix import matrix, rows

from kubeberth.api.scheme import RESOURCES

REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
KNOWN = ("system:authenticated",)
NODE = {"user": "system:node:n1", "groups": ["system:nodes", *KNOWN]}
TABLE = Path(__file__).with_name("rights.txt")


def test_everybody_may_what_is_in_the_table_and_nothing_else():
    """Make it anew with `python -m tests.rights_matrix`, and commit only what you can explain."""
    found, expected = asyncio.run(matrix()), TABLE.read_text()
    changes = unified_diff(expected.splitlines(), found.splitlines(), "table", "found", lineterm="")
    assert found == expected, "\n".join(changes)


def test_every_resource_has_its_row():
    titles = {line.split("  ")[0] for line in TABLE.read_text().splitlines()}
    missing = [row.title for row in rows(RESOURCES) if row.title not in titles]
    assert not missing, f"who may use these? {missing}"


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
