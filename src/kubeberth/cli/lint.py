"""`berth lint`: what is wrong with how manifests would be placed."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from kubeberth.api import scheme
from kubeberth.cli.bad_input import bad_input_told
from kubeberth.cli.options import (
    context_option,
    data_dir_option,
    is_kubeconfig_told,
    kubeconfig_option,
    standard_input,
)
from kubeberth.errors import UsageError
from kubeberth.library.manifests import MAX_BYTES, expanded, read_texts
from kubeberth.library.parsing import decoded
from kubeberth.lint.finding import Finding
from kubeberth.lint.fixes import diff, fixed
from kubeberth.lint.linter import Report, Settings, lint
from kubeberth.lint.reports import catalogue, github, json, sarif, text
from kubeberth.lint.rule import Severity
from kubeberth.lint.rules import RULES
from kubeberth.lint.selection import Selection

FOUND = 1
STDIN, STDIN_NAME = "-", "<stdin>"
# What rules ask about in a cluster; nothing else of it is read.
_ASKED_ABOUT = (
    scheme.NODES,
    scheme.PODS,
    scheme.NAMESPACES,
    scheme.PRIORITY_CLASSES,
    scheme.RUNTIME_CLASSES,
    scheme.STORAGE_CLASSES,
    scheme.PERSISTENT_VOLUME_CLAIMS,
)
_THRESHOLDS = {severity.word: severity for severity in reversed(Severity)} | {"never": None}
_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}


def _show_rules(context: click.Context, _: click.Parameter, is_asked: bool) -> None:
    if not is_asked or context.resilient_parsing:
        return
    click.echo(catalogue.table(RULES.values()))
    context.exit()


def _explain(context: click.Context, _: click.Parameter, rule_id: str | None) -> None:
    if rule_id is None or context.resilient_parsing:
        return
    named = {rule.name: rule for rule in RULES.values()} | RULES
    rule = named.get(rule_id) or named.get(rule_id.upper())
    if rule is None:
        raise click.BadParameter(f"there is no rule {rule_id}: `berth lint --rules` lists all")
    click.echo(catalogue.explanation(rule))
    context.exit()


@click.command("lint")
@click.argument("files", nargs=-1, metavar="[FILES...]")
@click.option(
    "-f",
    "--filename",
    "named",
    multiple=True,
    metavar="FILE",
    help="A file, a folder, a pattern, or - for standard input. May be repeated.",
)
@click.option(
    "--cluster",
    metavar="FILE|live",
    help="Judge by the nodes, pods and classes of this file, or of the cluster of the kubeconfig.",
)
@kubeconfig_option
@context_option
@data_dir_option
@click.option(
    "-n",
    "--namespace",
    help="Where objects go that do not say so themselves.  [default: default; with a live cluster, "
    "that of the kubeconfig]",
)
@click.option("--select", multiple=True, metavar="IDS", help="Only these rules; KB3 is all KB3xx.")
@click.option("--ignore", multiple=True, metavar="IDS", help="Not these rules.")
@click.option(
    "--allow",
    multiple=True,
    metavar="LABEL",
    help="KB111: say nothing of this label; PREFIX/* is all that begin so. May be repeated.",
)
@click.option("--fix", "is_to_fix", is_flag=True, help="Mend what can be mended safely.")
@click.option("--diff", "is_to_diff", is_flag=True, help="Show what --fix would change.")
@click.option(
    "--fail-on",
    type=click.Choice(list(_THRESHOLDS)),
    default="warning",
    show_default=True,
    help="Exit with 1 from this severity on.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "sarif", "github"]),
    default="text",
    show_default=True,
)
@click.option(
    "--rules",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_rules,
    help="List all rules.",
)
@click.option(
    "--explain",
    metavar="ID",
    is_eager=True,
    expose_value=False,
    callback=_explain,
    help="Tell what a rule is about, and what to do.",
)
@click.pass_context
def command(
    click_context: click.Context,
    files: tuple[str, ...],
    named: tuple[str, ...],
    cluster: str | None,
    kubeconfig: Path,
    context: str | None,
    data_dir: Path,
    namespace: str | None,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    allow: tuple[str, ...],
    is_to_fix: bool,
    is_to_diff: bool,
    fail_on: str,
    output: str,
) -> None:
    """Find what is wrong with how manifests would be placed.

    Misspelt labels, rules that contradict each other, replicas for which there is no place,
    isolation that a node could forge. Without --cluster, only what is wrong on any cluster.

    Exit code 0: nothing of the severity of --fail-on; 1: something; 2: what was given is no
    manifest.

    \b
    berth lint -f deploy/ --cluster live
    helm template web ./chart | berth lint -f - --cluster nodes.yaml
    kustomize build . | berth lint -f - -o sarif > lint.sarif
    """
    with bad_input_told():
        told = is_kubeconfig_told(click_context)
        known, usual = _read_cluster(cluster, data_dir, kubeconfig, context, is_told=told)
        selection = Selection(_ids(select), _ids(ignore))
        settings = Settings(selection, known, allow, namespace or usual)
        texts = _read((*files, *named))
        report = lint(texts, settings)
        if not report.n_objects:
            given = (STDIN_NAME if file == STDIN else file for file in (*files, *named))
            raise UsageError(f"nothing to lint: there is no object in {', '.join(given)}")
        if is_to_diff:
            sys.exit(_show_diff(texts, report))
        if is_to_fix:
            texts, report = _mend(texts, report, settings)
    # What was mended of standard input goes to standard output.
    is_taken = is_to_fix and STDIN_NAME in texts
    _show(report, texts, output, settings.selection, is_error=is_taken)
    threshold = _THRESHOLDS[fail_on]
    is_bad = threshold is not None and any(f.severity >= threshold for f in report.findings)
    sys.exit(FOUND if is_bad else 0)


def _ids(given: Sequence[str]) -> tuple[str, ...]:
    return tuple(part.strip().upper() for text in given for part in text.split(",") if part.strip())


def _read(files: Sequence[str]) -> dict[str, str]:
    """Return the texts of files and folders, by name."""
    if not files:
        raise UsageError("name files to look at, with -f or without; - is standard input")
    texts = {}
    for file in files:
        source = standard_input() if file == STDIN else file
        for single in expanded(source):
            for path, content in read_texts(single, MAX_BYTES):
                name = STDIN_NAME if file == STDIN else path
                texts[name] = content if isinstance(content, str) else decoded(content, name)
    return texts


def _read_cluster(
    cluster: str | None, data_dir: Path, kubeconfig: Path, context: str | None, *, is_told: bool
) -> tuple[tuple[Mapping[str, Any], ...] | None, str]:
    """Return the objects of the cluster to judge by, and the namespace that is usual there."""
    if cluster is None:
        return None, "default"
    # Takes as long to import as all that is needed without a cluster.
    from kubeberth.cli.cluster_source import LIVE, credentials_of, read_sources

    reach = None
    if cluster == LIVE:
        reach = credentials_of(data_dir, kubeconfig, context, is_told=is_told)
    found = tuple(read_sources([cluster], reach, _ASKED_ABOUT))
    return found, "default" if reach is None else reach.namespace


def _show_diff(texts: Mapping[str, str], report: Report) -> int:
    """Print what would be mended; return the exit code."""
    changed = False
    for name, new, _ in _mended(texts, report):
        click.echo(diff(name, texts[name], new), nl=False)
        changed = True
    return FOUND if changed else 0


def _mend(
    texts: dict[str, str], report: Report, settings: Settings
) -> tuple[dict[str, str], Report]:
    """Write what can be mended; return the texts as they are now, and what is left."""
    now, done = dict(texts), 0
    for name, new, n_edits in _mended(texts, report):
        now[name] = new
        done += n_edits
        if name != STDIN_NAME:
            _write(Path(name), new)
    if STDIN_NAME in now:
        click.echo(now[STDIN_NAME], nl=False)
    if done:
        n_files = sum(now[name] != texts[name] for name in texts)
        click.echo(f"mended {done} in {n_files} file{'s' * (n_files != 1)}", err=True)
    return now, lint(now, settings)


def _mended(texts: Mapping[str, str], report: Report) -> Iterator[tuple[str, str, int]]:
    """Yield name, new text and number of edits of every text that can be mended."""
    for name, content in texts.items():
        new, n_edits = fixed(content, (f for f in report.findings if f.file == name))
        if n_edits:
            yield name, new, n_edits


def _write(path: Path, content: str) -> None:
    """Replace a file's content; it is the old or the new one, never a part."""
    target = path.resolve()
    partial = target.with_name(f".{target.name}.berth")
    partial.write_bytes(content.encode())
    partial.chmod(stat.S_IMODE(target.stat().st_mode))
    os.replace(partial, target)


def _show(
    report: Report, texts: Mapping[str, str], output: str, selection: Selection, *, is_error: bool
) -> None:
    if output == "json":
        click.echo(json.render(report.findings), err=is_error)
    elif output == "sarif":
        asked = (rule for rule in RULES.values() if selection.includes(rule))
        click.echo(sarif.render(report, asked), err=is_error)
    elif output == "github":
        for finding in report.findings:
            click.echo(github.line(finding), err=is_error)
    else:
        _show_text(report, texts, is_error=is_error)


def _show_text(report: Report, texts: Mapping[str, str], *, is_error: bool) -> None:
    looks_on = (sys.stderr if is_error else sys.stdout).isatty()
    lines = text.lines_of(texts) if looks_on else {}
    for finding in report.findings:
        click.echo(_styled(finding) if looks_on else text.line(finding), err=is_error)
        for line in text.excerpt(finding, lines.get(finding.file, ())):
            click.echo(line, err=is_error)
    if looks_on:
        click.echo(text.summary(report.findings, len(texts)), err=is_error)


def _styled(finding: Finding) -> str:
    where, severity, rest = text.line(finding).partition(f"{finding.severity.word}: ")
    coloured = click.style(severity, fg=_COLOURS[finding.severity], bold=True)
    return f"{where}{coloured}{rest}"
