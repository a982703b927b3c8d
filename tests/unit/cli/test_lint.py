"""`berth lint`: files in, findings out in the form that somebody can use, and what it mends."""

from __future__ import annotations

import json
import stat

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
            nodeSelector: {topology.kubernetes.io/zone: a}
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
OLD = """\
# The web.
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      nodeSelector:
        "beta.kubernetes.io/os":   linux   # since ever
      tolerations: [{key: 'node-role.kubernetes.io/master', effect: NoSchedule}]
      containers: [{name: web, image: nginx}]
"""
NODES = """\
apiVersion: v1
kind: Node
metadata: {name: node-1, labels: {disktype: ssd}}
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: high}
value: 1
"""


def lint(*arguments, text=None):
    return CliRunner().invoke(command, list(arguments), input=text, catch_exceptions=False)


def found(*arguments, text):
    return json.loads(lint("-", "-o", "json", *arguments, text=text).stdout)


def forgeable(*arguments, text):
    return found("--select", "KB111", *arguments, text=text)


def test_a_finding_names_file_place_rule_and_what_to_do(tmp_path):
    file = tmp_path / "two.yaml"
    file.write_text(TWO)
    shown = lint(str(file), "--select", "KB111")
    first, second = shown.stdout.splitlines()
    assert first == (
        f"{file}:19:28: info: KB111: CronJob nightly: a kubelet may set the label "
        "topology.kubernetes.io/zone on its own node; use node-restriction.kubernetes.io/zone"
    )
    assert second.startswith(f"{file}:32:24: warning: KB111: Deployment vault: a kubelet may set ")
    assert shown.exit_code == 1


def test_a_wish_is_told_and_is_no_failure():
    shown = lint("-", "--select", "KB111", text=WISH)
    assert shown.stdout.startswith(
        "<stdin>:9:47: info: KB111: Pod web: a kubelet may set the label"
    )
    assert shown.exit_code == 0


@pytest.mark.parametrize(
    ("fail_on", "code"), [("info", 1), ("warning", 0), ("error", 0), ("never", 0)]
)
def test_from_which_severity_on_it_fails_can_be_chosen(fail_on, code):
    shown = lint("-", "--select", "KB111", "--fail-on", fail_on, text=WISH)
    assert shown.exit_code == code


def test_nothing_is_said_of_manifests_that_depend_on_nothing_a_node_can_forge():
    shown = lint("-", "--select", "KB111", text=TWO.split("---")[0])
    assert (shown.output, shown.exit_code) == ("", 0)
    assert forgeable(text=TWO.split("---")[0]) == []


def test_json_for_machines():
    one, _ = forgeable(text=TWO)
    assert one == {
        "rule": "KB111",
        "ruleName": "forgeable-label",
        "severity": "info",
        "message": (
            "a kubelet may set the label topology.kubernetes.io/zone on its own node; "
            "use node-restriction.kubernetes.io/zone"
        ),
        "file": "<stdin>",
        "line": 19,
        "column": 28,
        "kind": "CronJob",
        "namespace": "lab",
        "name": "nightly",
        "field": "spec.jobTemplate.spec.template.spec.nodeSelector[topology.kubernetes.io/zone]",
        "fixable": False,
    }


def test_labels_that_are_allowed_are_passed_over():
    zone = "topology.kubernetes.io/zone"
    assert [f["name"] for f in forgeable("--allow", zone, text=TWO)] == ["vault"]
    assert [f["name"] for f in forgeable("--allow", "topology.*", text=TWO)] == ["vault"]
    assert forgeable("--allow", zone, "--allow", "disktype", text=TWO) == []


def test_folders_and_several_files_are_read_with_and_without_a_flag(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.yaml").write_text(TWO)
    (tmp_path / "a" / "notes.txt").write_text("[")
    (tmp_path / "wish.yaml").write_text(WISH)
    shown = lint("--select", "KB111", str(tmp_path / "a"), "-f", str(tmp_path / "wish.yaml"))
    assert len(shown.stdout.splitlines()) == 3


def test_json_indented_with_tabs_is_read_too():
    pod = {"apiVersion": "v1", "kind": "Pod", "spec": {"nodeSelector": {"a": "b"}}}
    [one] = forgeable(text=json.dumps(pod, indent="\t"))
    assert (one["field"], one["name"], one["line"]) == ("spec.nodeSelector.a", "", 6)


def test_a_key_from_an_anchor_is_found_where_it_is_written():
    text = (
        "apiVersion: v1\nkind: Pod\nbase: &base\n  nodeSelector:\n    disktype: ssd\n"
        "spec:\n  <<: *base\n"
    )
    [one] = forgeable(text=text)
    assert (one["line"], one["column"]) == (5, 5)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: [", "<stdin>: yaml: line 1"),
        ("just text", "<stdin>:1: an object must be a mapping"),
        ("a: b", "<stdin>:1: an object must have apiVersion and kind"),
        (b"\xff\xfe\x00", "<stdin>: not UTF-8 text, from byte 0 on"),
        ("a: 1\na: 2", '<stdin>: line 2: key "a" already set in map'),
    ],
)
def test_what_is_no_manifest_is_bad_input(text, why):
    shown = lint("-", text=text)
    assert shown.stderr.startswith(f"error: {why}")
    assert len(shown.stderr.splitlines()) == 1
    assert shown.exit_code == 2


def test_a_malformed_field_is_a_finding():
    shown = lint("-", text="apiVersion: v1\nkind: Pod\nspec: {nodeSelector: [a]}")
    assert shown.stdout.startswith("<stdin>:3:8: error: KB001: Pod: spec.nodeSelector: ")
    assert shown.exit_code == 1


def test_a_file_that_is_not_there_is_bad_input(tmp_path):
    shown = lint(str(tmp_path / "nowhere.yaml"))
    assert (
        shown.stderr == f"error: cannot read {tmp_path}/nowhere.yaml: No such file or directory\n"
    )
    assert shown.exit_code == 2


def test_no_files_at_all_are_bad_input():
    shown = lint()
    assert shown.stderr.startswith("error: name files to look at")
    assert shown.exit_code == 2


def test_a_cluster_from_a_file_is_judged_by(tmp_path):
    nodes = tmp_path / "nodes.yaml"
    nodes.write_text(NODES)
    pod = (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n"
        "  nodeSelector: {disktype: sdd}\n  containers: [{name: web, image: nginx}]\n"
    )
    [one] = found("--cluster", str(nodes), "--ignore", "KB111", text=pod)
    assert one["message"] == "no node has disktype=sdd; did you mean ssd?"
    assert found("--ignore", "KB111", text=pod) == []


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n", "has no Node: no cluster"),
        ("apiVersion: v1\nkind: Node\nmetadata: {name: a, labels: [b]}\n", 'Node "a": Expected'),
    ],
)
def test_a_cluster_without_nodes_is_bad_input(tmp_path, content, why):
    nodes = tmp_path / "nodes.yaml"
    nodes.write_text(content)
    shown = lint("-", "--cluster", str(nodes), text=WISH)
    assert shown.exit_code == 2
    assert why in shown.stderr


def test_rules_are_selected_and_ignored_by_how_their_ids_begin():
    shown = [finding["rule"] for finding in found(text=OLD)]
    assert shown == ["KB109", "KB406"]
    assert [f["rule"] for f in found("--select", "KB4", text=OLD)] == ["KB406"]
    assert [f["rule"] for f in found("--ignore", "KB4,KB5", text=OLD)] == ["KB109"]
    assert found("--ignore", "KB4", "--ignore", "kb109", text=OLD) == []
    mixed = found("--select", "KB", "--ignore", "KB4", "--select", "KB406", text=OLD)
    assert [f["rule"] for f in mixed] == ["KB109", "KB406"]


def test_an_unknown_rule_is_bad_input():
    shown = lint("-", "--ignore", "KB999", text=OLD)
    assert shown.stderr == "error: there is no rule KB999: `berth lint --rules` lists all\n"
    assert shown.exit_code == 2


def test_fix_writes_new_names_and_leaves_everything_else_as_it_is(tmp_path):
    file = tmp_path / "old.yaml"
    file.write_bytes(OLD.replace("\n", "\r\n").encode())
    file.chmod(0o640)
    shown = lint(str(file), "--fix")
    assert file.read_bytes().decode() == OLD.replace("\n", "\r\n").replace(
        "beta.kubernetes.io/os", "kubernetes.io/os"
    ).replace("master", "control-plane")
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert shown.stderr == "mended 2 in 1 file\n"
    assert (shown.stdout, shown.exit_code) == ("", 0)


def test_diff_shows_what_fix_would_do_and_writes_nothing(tmp_path):
    file = tmp_path / "old.yaml"
    file.write_text(OLD)
    shown = lint(str(file), "--diff")
    assert '-        "beta.kubernetes.io/os":   linux   # since ever\n' in shown.stdout
    assert '+        "kubernetes.io/os":   linux   # since ever\n' in shown.stdout
    assert shown.exit_code == 1
    assert file.read_text() == OLD
    assert lint("-", "--diff", text=WISH).exit_code == 0


def test_what_is_mended_of_standard_input_goes_to_standard_output():
    shown = lint("-", "--fix", text=OLD)
    assert '\n        "kubernetes.io/os":   linux   # since ever\n' in shown.stdout
    assert shown.stderr == "mended 2 in 1 file\n"


def test_a_label_that_is_there_under_both_names_is_left_to_people():
    text = OLD.replace("      tolerations", "        kubernetes.io/os: linux\n      tolerations")
    shown = lint("-", "--fix", "--select", "KB109", text=text)
    assert shown.stdout == text
    assert "KB109" in shown.stderr


def test_rules_are_listed_and_explained():
    assert (
        "\nKB203  error    cluster  more-replicas-than-domains: More replicas"
        in lint("--rules").stdout
    )
    for name in ("KB203", "kb203", "more-replicas-than-domains"):
        shown = lint("--explain", name).stdout
        assert shown.startswith("KB203 more-replicas-than-domains\n\nMore replicas than places")
        assert shown.endswith("Severity: error. Needs --cluster.\n")
    assert lint("--explain", "KB999").exit_code == 2


def test_an_object_whose_name_is_generated_has_one(tmp_path):
    file = tmp_path / "job.yaml"
    file.write_text(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: migrate-}\nspec:\n"
        "  template:\n    spec:\n      restartPolicy: Never\n"
        "      containers: [{name: c, image: busybox}]\n"
    )
    assert CliRunner().invoke(command, ["-f", str(file)]).output == ""
