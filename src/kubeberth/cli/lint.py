"""`berth lint`: find placements in manifests that a node could forge."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from kubeberth.api.forgeable import ShapeError, Use, forgeable_uses, protected_key, shown_path
from kubeberth.errors import ManifestError
from kubeberth.library.field_lines import FieldLines
from kubeberth.library.manifests import Manifest, objects_of, read_texts

FOUND, BAD_INPUT = 1, 2


class Finding(msgspec.Struct, rename="camel"):
    """One placement that a node could forge, as `--output json` prints it."""

    file: str
    line: int
    severity: str
    kind: str
    namespace: str
    name: str
    field: str
    label: str
    use_instead: str

    def __str__(self) -> str:
        """Return the finding as compilers print theirs."""
        where = f"{self.file}:{self.line}: {self.severity}: {self.kind} {self.name}: {self.field}"
        return (
            f"{where}: a kubelet may set the label {self.label} on its own node; "
            f"use {self.use_instead}"
        )


@click.command("lint")
@click.argument("files", nargs=-1, required=True, metavar="FILES...")
@click.option(
    "--allow",
    multiple=True,
    metavar="LABEL",
    help="Say nothing of this label; PREFIX/* is all that begin so. May be repeated.",
)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text")
def command(files: tuple[str, ...], allow: tuple[str, ...], output: str) -> None:
    """Find placements that a node could forge.

    A kubelet may set most labels on its own node. Where pods are kept apart by such a label, a
    node that was broken into can draw them to itself. FILES are manifests in YAML or JSON, folders
    of them, or - for standard input.

    A node selector and required node affinity are warnings, preferred ones information.
    Exit code 0: no warnings; 1: warnings; 2: what was given is no manifest.

    \b
    berth lint deploy/ --allow kubernetes.io/os
    kubectl get deploy -A -o yaml | berth lint -
    """
    found: list[Finding] = []
    try:
        for file in files:
            found += _findings(file, allow)
    except (ManifestError, ShapeError, UnicodeDecodeError) as error:
        _give_up(str(error))
    except OSError as error:
        _give_up(f"cannot read {error.filename}: {error.strerror}")
    if output == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
    else:
        for finding in found:
            click.echo(str(finding))
    sys.exit(FOUND if any(finding.severity == "warning" for finding in found) else 0)


def _give_up(why: str) -> None:
    click.echo(f"error: {why}", err=True)
    sys.exit(BAD_INPUT)


def _findings(file: str, allowed: Collection[str]) -> Iterator[Finding]:
    is_stream = file == "-"
    texts = [("<stdin>", sys.stdin.buffer.read())] if is_stream else read_texts(Path(file))
    for name, text in texts:
        lines: FieldLines | None = None  # made when there is something to show
        for manifest in objects_of(text, name):
            for use in _uses(manifest):
                if not _is_allowed(use.key, allowed):
                    lines = lines or FieldLines(text)
                    yield _finding(name, manifest, use, lines)


def _uses(manifest: Manifest) -> list[Use]:
    document, where = manifest.document, manifest.source
    if not isinstance(document.get("kind"), str) or not isinstance(document.get("apiVersion"), str):
        raise ManifestError(f"{where}: an object must have apiVersion and kind")
    try:
        return forgeable_uses(document)
    except ShapeError as error:
        raise ManifestError(f"{where}: {document['kind']}: {error}") from error


def _is_allowed(key: str, allowed: Collection[str]) -> bool:
    return any(
        key == known or (known.endswith("*") and key.startswith(known[:-1])) for known in allowed
    )


def _finding(file: str, manifest: Manifest, use: Use, lines: FieldLines) -> Finding:
    metadata: Any = manifest.document.get("metadata")
    told = metadata if isinstance(metadata, dict) else {}
    return Finding(
        file=file,
        line=lines.line(manifest.line, (*manifest.path, *use.path)),
        severity=use.severity,
        kind=manifest.document["kind"],
        namespace=str(told.get("namespace") or ""),
        name=str(told.get("name") or told.get("generateName") or ""),
        field=shown_path(use.path),
        label=use.key,
        use_instead=protected_key(use.key),
    )
