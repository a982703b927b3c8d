"""`berth lint`: where in a file a placement could be forged, in words for people and for CI."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from kubeberth.cli.lint import command

TWO = """\
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  nodeSelector:
    node-restriction.kubernetes.io/fips: "true"
---
apiVersion: v1
kind: List
items:
- apiVersion: batch/v1
  kind: CronJob
  metadata: {name: nightly, namespace: lab}
  spec:
    jobTemplate:
      spec:
        template:
          spec:
            nodeSelector: {kubernetes.io/os: linux}
- apiVersion: apps/v1
  kind: Deployment
  metadata: {name: vault}
  spec:
    template:
      spec:
        affinity: &there
          nodeAffinity:
            requiredDuringSchedulingIgnoredDuringExecution:
              nodeSelectorTerms:
              - matchExpressions:
                - operator: In
                  key: disktype
                  values: [ssd]
"""
WISH = """\
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  affinity:
    nodeAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 1
        preference: {matchExpressions: [{key: disktype, operator: Exists}]}
"""


def lint(*arguments, text=None):
    return CliRunner().invoke(command, list(arguments), input=text, catch_exceptions=False)


def found(*arguments, text):
    return json.loads(lint("-", "-o", "json", *arguments, text=text).stdout)


def test_a_finding_names_file_line_field_and_what_to_use_instead(tmp_path):
    file = tmp_path / "two.yaml"
    file.write_text(TWO)
    shown = lint(str(file))
    first, second = shown.stdout.splitlines()
    assert first == (
        f"{file}:19: warning: CronJob nightly: spec.jobTemplate.spec.template.spec.nodeSelector"
        "[kubernetes.io/os]: a kubelet may set the label kubernetes.io/os on its own node; "
        "use node-restriction.kubernetes.io/os"
    )
    assert second.startswith(f"{file}:32: warning: Deployment vault: spec.template.spec.affinity.")
    assert shown.exit_code == 1


def test_a_wish_is_told_and_is_no_failure():
    shown = lint("-", text=WISH)
    assert shown.stdout.startswith("<stdin>:9: info: Pod web: spec.affinity.nodeAffinity.preferred")
    assert shown.exit_code == 0


def test_nothing_is_said_of_manifests_that_depend_on_nothing_a_node_can_forge():
    shown = lint("-", text=TWO.split("---")[0])
    assert (shown.output, shown.exit_code) == ("", 0)
    assert found(text=TWO.split("---")[0]) == []


def test_json_for_machines():
    one, _ = found(text=TWO)
    assert one == {
        "file": "<stdin>",
        "line": 19,
        "severity": "warning",
        "kind": "CronJob",
        "namespace": "lab",
        "name": "nightly",
        "field": "spec.jobTemplate.spec.template.spec.nodeSelector[kubernetes.io/os]",
        "label": "kubernetes.io/os",
        "useInstead": "node-restriction.kubernetes.io/os",
    }


def test_labels_that_are_allowed_are_passed_over():
    assert [f["label"] for f in found("--allow", "kubernetes.io/os", text=TWO)] == ["disktype"]
    assert [f["label"] for f in found("--allow", "kubernetes.io/*", text=TWO)] == ["disktype"]
    assert lint("-", "--allow", "kubernetes.io/os", "--allow", "disktype", text=TWO).exit_code == 0


def test_folders_and_several_files_are_read(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.yaml").write_text(TWO)
    (tmp_path / "a" / "notes.txt").write_text("[")
    (tmp_path / "wish.yaml").write_text(WISH)
    shown = lint(str(tmp_path / "a"), str(tmp_path / "wish.yaml"))
    assert len(shown.stdout.splitlines()) == 3


def test_json_indented_with_tabs_is_read_too():
    pod = {"apiVersion": "v1", "kind": "Pod", "spec": {"nodeSelector": {"a": "b"}}}
    [one] = found(text=json.dumps(pod, indent="\t"))
    assert (one["label"], one["name"]) == ("a", "")


def test_a_key_from_an_anchor_is_found_where_it_is_written():
    text = (
        "apiVersion: v1\nkind: Pod\nbase: &base\n  nodeSelector:\n    disktype: ssd\n"
        "spec:\n  <<: *base\n"
    )
    [one] = found(text=text)
    assert one["line"] == 5


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: [", "<stdin>: yaml: line 1"),
        ("just text", "<stdin>:1: an object must be a mapping"),
        ("a: b", "<stdin>:1: an object must have apiVersion and kind"),
        (
            "apiVersion: v1\nkind: Pod\nspec: {nodeSelector: [a]}",
            "<stdin>:1: Pod: spec.nodeSelector: must be a mapping",
        ),
    ],
)
def test_what_is_no_manifest_is_bad_input(text, why):
    shown = lint("-", text=text)
    assert shown.stderr.startswith(f"error: {why}")
    assert shown.exit_code == 2


def test_a_file_that_is_not_there_is_bad_input(tmp_path):
    shown = lint(str(tmp_path / "nowhere.yaml"))
    assert (
        shown.stderr == f"error: cannot read {tmp_path}/nowhere.yaml: No such file or directory\n"
    )
    assert shown.exit_code == 2


def test_no_files_at_all_are_bad_input():
    assert lint().exit_code == 2
