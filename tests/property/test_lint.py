"""Lint on manifests in which anything may stand anywhere: findings, and never a crash."""

from __future__ import annotations

import copy
import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.lint.cases import BROKEN, CASES, SOUND

from kubeberth.library.manifests import read_manifests
from kubeberth.lint.fixes import fixed
from kubeberth.lint.linter import Settings, lint

DOCUMENTS = [m.document for case in (*BROKEN, *SOUND) for m in read_manifests(case)]
CLUSTER = tuple(manifest.document for manifest in read_manifests(CASES / "cluster.yaml"))
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def paths(value, path=()):
    yield path
    entries = ()
    if isinstance(value, dict):
        entries = value.items()
    elif isinstance(value, list):
        entries = enumerate(value)
    for step, item in entries:
        yield from paths(item, (*path, step))


@st.composite
def spoilt(draw):
    document = copy.deepcopy(draw(st.sampled_from(DOCUMENTS)))
    for _ in range(draw(st.integers(1, 3))):
        places = [
            path for path in paths(document) if path and path[0] not in ("kind", "apiVersion")
        ]
        *way, last = draw(st.sampled_from(places))
        holder = document
        for step in way:
            holder = holder[step]
        holder[last] = draw(JUNK)
    return document


def written(document):
    """Return a document as JSON, or as YAML if JSON cannot say it."""
    try:
        return json.dumps(document, allow_nan=False)
    except ValueError:
        return yaml.safe_dump(document)


@settings(max_examples=150, deadline=None)
@given(spoilt(), st.booleans())
def test_anything_anywhere_gives_findings_and_no_crash(document, has_cluster):
    text = written(document)
    report = lint({"a.yaml": text}, Settings(cluster=CLUSTER if has_cluster else None))
    for finding in report.findings:
        assert finding.message
        assert finding.place.line >= 1


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.stem)
def test_what_is_mended_is_not_found_again_and_nothing_else_comes_up(case):
    text = case.read_text()
    before = lint({"a.yaml": text}).findings
    new, n_edits = fixed(text, before)
    after = lint({"a.yaml": new}).findings
    assert len(after) == len(before) - n_edits
    assert all(finding.edit is None for finding in after)
