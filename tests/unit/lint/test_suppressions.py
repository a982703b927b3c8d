import pytest

from kubeberth.lint.linter import lint

POD = """\
apiVersion: v1
kind: Deployment
metadata: {{name: web}}
{above}spec:
  template:
    spec:
      nodeSelector:{heading}
        disktype: ssd{line}
        media: tape
"""


def fields(**comments):
    text = POD.format(**{"above": "", "heading": "", "line": "", **comments})
    report = lint({"web.yaml": text})
    return [finding.field.rpartition(".")[2] for finding in report.findings], report


def test_without_a_comment_everything_is_told():
    assert fields()[0] == ["disktype", "media"]


def test_a_comment_at_the_end_of_a_line_is_about_that_line():
    found, report = fields(line="  # berth: ignore KB111 our own nodes")
    assert found == ["media"]
    [(finding, reason)] = report.suppressed
    assert (finding.rule.id, reason) == ("KB111", "our own nodes")


@pytest.mark.parametrize(
    "comments",
    [
        {"heading": " # berth: ignore KB111"},
        {"above": "# berth: ignore KB111: by intent\n"},
        {"above": "# berth: ignore KB111\n\n# More words.\n"},
        {"above": "# berth: ignore KB106, KB111\n"},
    ],
)
def test_a_comment_is_about_all_that_is_within_what_begins_there(comments):
    found, _ = fields(**comments)
    assert [name for name in found if name] == []


@pytest.mark.parametrize(
    ("comment", "complaint"),
    [
        ("# berth: ignore KB402", "KB402 finds nothing here, so there is nothing to ignore"),
        ("# berth: ignore KB999", "there is no rule KB999"),
        ("# berth: ignore everything", "name the rules to ignore, such as"),
    ],
)
def test_a_comment_of_no_use_is_told(comment, complaint):
    _, report = fields(line=f"  {comment}")
    [useless] = [finding for finding in report.findings if finding.rule.id == "KB003"]
    assert useless.message.startswith(complaint)
    assert useless.place.line == 8


def test_a_comment_about_a_rule_that_needs_a_cluster_is_not_judged_without_one():
    _, report = fields(line="  # berth: ignore KB102")
    assert all(finding.rule.id != "KB003" for finding in report.findings)
