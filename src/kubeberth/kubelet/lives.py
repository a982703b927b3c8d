"""A file that says how the pods of a process live: PodLife documents, and one PodStages.

    apiVersion: kubeberth.io/v1
    kind: PodStages
    seed: 7                                  # equal seeds give equal lives
    jitter: 0.2                              # of each of the following
    delays: {sandbox: 1s, pull: 5s, init: 100ms, start: 1s, ready: 0s, stop: 2s}

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import msgspec

from kubeberth.api.yaml import YAMLError, parse_documents
from kubeberth.errors import UsageError
from kubeberth.kubelet.program import seconds
from kubeberth.kubelet.scripts import (
    API_VERSION,
    KIND,
    NO_SCRIPTS,
    ScriptError,
    Scripts,
    rules_from,
)
from kubeberth.kubelet.stages import DEFAULT_DELAYS, DEFAULT_JITTER, Stages
from kubeberth.kubelet.transitions import Step

STAGES_KIND = "PodStages"

StepName = Literal["sandbox", "pull", "init", "start", "ready", "stop"]


class _Stages(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    api_version: Literal["kubeberth.io/v1"]
    kind: str
    metadata: dict[str, Any] = {}
    seed: int = 0
    jitter: Annotated[float, msgspec.Meta(ge=0, le=1)] = DEFAULT_JITTER
    delays: dict[StepName, str | float] = {}


@dataclass(frozen=True)
class Lives:
    """What a file says."""

    stages: Stages = field(default_factory=Stages)
    scripts: Scripts = NO_SCRIPTS


def parse_lives(text: str | bytes) -> Lives:
    """Return what a file of PodLife and PodStages documents says.

    Raises
    ------
    UsageError
        It says what cannot be; the text is one line.
    """
    try:
        documents = [document for document in parse_documents(text) if document is not None]
        stages = _stages(documents)
        rules = rules_from(document for document in documents if document["kind"] == KIND)
    except YAMLError as error:
        raise UsageError(f"it is not YAML: {error}") from None
    except ScriptError as error:
        raise UsageError(str(error)) from None
    return Lives(stages, Scripts(rules, stages.seed))


def _stages(documents: Iterable[Any]) -> Stages:
    found = []
    for document in documents:
        kind = document.get("kind") if isinstance(document, dict) else None
        if kind == STAGES_KIND:
            found.append(document)
        elif kind != KIND:
            what = f"a {kind}" if kind else "what has no kind"
            raise UsageError(f"{what} cannot be read: only {KIND} and {STAGES_KIND} can")
    if len(found) > 1:
        raise UsageError(f"there are {len(found)} {STAGES_KIND}: one is enough")
    if not found:
        return Stages()
    try:
        written = msgspec.convert(found[0], _Stages)
    except msgspec.ValidationError as error:
        raise UsageError(f"{STAGES_KIND} ({API_VERSION}): {error}") from None
    delays = dict(DEFAULT_DELAYS)
    for name, duration in written.delays.items():
        delay_s = seconds(str(duration))
        if delay_s is None:
            raise UsageError(f"{STAGES_KIND}: delays.{name}: {duration!r} is no duration")
        delays[Step[name.upper()]] = delay_s
    return Stages(delays, written.jitter, written.seed)
