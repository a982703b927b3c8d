"""Scripts: the lives of a pod's containers as users write them down.

An annotation of the pod, `kubeberth.io/life`, speaks for its containers, and one with the name of a
container behind a dot, `kubeberth.io/life.NAME`, for that one alone:

    runs:                       # its lives, one after the other; the last one comes again and again
    - {for: 20s, exitCode: 1}
    - {for: 1m, oom: true}
    - {}                        # runs on
    pull: {fails: true}         # its image cannot be had

Documents of the kind PodLife say the same of all pods that a selector matches, or of all containers
with some images; the annotation of a pod goes before them. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from math import inf
from typing import Annotated, Any

import msgspec

from kubeberth.api.selectors import Selector, SelectorError, from_label_selector
from kubeberth.api.yaml import YAMLError, parse
from kubeberth.kubelet.chance import drawn
from kubeberth.kubelet.pod import KubeletContainer, KubeletPod
from kubeberth.kubelet.program import Program, Pull, Script, Spell, once, seconds

LIFE = "kubeberth.io/life"
KIND = "PodLife"
API_VERSION = "kubeberth.io/v1"
OOM_EXIT_CODE = 137

ExitCode = Annotated[int, msgspec.Meta(ge=0, le=255)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class ScriptError(ValueError):
    """A script says what no container can do, or says nothing that is known."""


class _Written(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Parent of what users write."""


class _Spell(_Written, frozen=True, kw_only=True):
    after: str | float
    for_: str | float = msgspec.field(name="for")


class _Run(_Written, frozen=True):
    for_: str | float | None = msgspec.field(default=None, name="for")
    exit_code: ExitCode | None = None
    oom: bool = False
    message: str = ""
    ready_after: str | float | None = None
    unready: tuple[_Spell, ...] = ()
    liveness_fails_after: str | float | None = None


class _Pull(_Written, frozen=True):
    takes: str | float | None = None
    fails: bool = False
    fails_for: str | float | None = None
    message: str = ""


class _Life(_Written, frozen=True):
    start: str | float | None = None
    runs: tuple[_Run, ...] | None = None
    pull: _Pull = _Pull()


class _Metadata(_Written, frozen=True):
    name: str


class _Rule(_Life, frozen=True, kw_only=True):
    api_version: str
    kind: str
    metadata: _Metadata
    namespace: str = ""
    selector: dict[str, Any] = {}
    images: tuple[str, ...] = ()
    share: Share = 1.0


@dataclass(frozen=True)
class Rule:
    """A PodLife document.

    Parameters
    ----------
    namespace
        Empty for all.
    images
        Patterns of those of the containers that are meant; none for all app containers.
    share
        Of the pods that match, those that live so.
    """

    name: str
    script: Script
    selector: Selector
    namespace: str = ""
    images: tuple[str, ...] = ()
    share: float = 1.0

    def takes(
        self, pod: KubeletPod, container: KubeletContainer, seed: int, *, is_app: bool
    ) -> bool:
        """Return whether a container of a pod lives so."""
        meta = pod.metadata
        return (
            (self._means(container.image) if self.images else is_app)
            and self.namespace in ("", meta.namespace)
            and self.selector.matches(meta.labels)
            and drawn(seed, self.name, meta.key) < self.share
        )

    def _means(self, image: str) -> bool:
        return any(fnmatchcase(image, pattern) for pattern in self.images)


@dataclass(frozen=True)
class Scripts:
    """The scripts of a process: the first rule that takes a pod counts."""

    rules: tuple[Rule, ...] = ()
    seed: int = 0

    def of(
        self, pod: KubeletPod, container: KubeletContainer, own: Program, *, is_app: bool
    ) -> Script:
        """Return how a container of a pod lives.

        Parameters
        ----------
        own
            What it does when nobody says what it runs.

        Raises
        ------
        ScriptError
            An annotation is no script.
        """
        script = self._written(pod, container, is_app=is_app)
        return once(own) if script is None else _completed(script, own)

    def _written(
        self, pod: KubeletPod, container: KubeletContainer, *, is_app: bool
    ) -> Script | None:
        annotations = pod.metadata.annotations
        for key in (f"{LIFE}.{container.name}", *((LIFE,) if is_app else ())):
            if (text := annotations.get(key)) is not None:
                return _annotated(key, text)
        for rule in self.rules:
            if rule.takes(pod, container, self.seed, is_app=is_app):
                return rule.script
        return None


@lru_cache(1024)
def _completed(script: Script, own: Program) -> Script:
    return script if script.programs else replace(script, programs=(own,))


NO_SCRIPTS = Scripts()


def rules_from(documents: Iterable[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """Return the rules that PodLife documents write down.

    Raises
    ------
    ScriptError
        One of them cannot be.
    """
    return tuple(map(_rule, documents))


def _rule(document: Mapping[str, Any]) -> Rule:
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    where = f'PodLife "{name}"' if name else "a PodLife"
    written = _read(document, _Rule, where)
    if written.api_version != API_VERSION:
        raise ScriptError(f"{where}: apiVersion must be {API_VERSION}")
    try:
        selector = from_label_selector(written.selector)
    except SelectorError as error:
        raise ScriptError(f"{where}: selector: {error}") from None
    return Rule(
        written.metadata.name,
        _script(written, where),
        selector,
        written.namespace,
        written.images,
        written.share,
    )


@lru_cache(1024)
def _annotated(key: str, text: str) -> Script:
    where = f"annotation {key}"
    try:
        document = parse(text)
    except YAMLError as error:
        raise ScriptError(f"{where} is not YAML: {error}") from None
    return _script(_read({} if document is None else document, _Life, where), where)


def _read(document: object, kind: type[Any], where: str) -> Any:
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise ScriptError(f"{where}: {error}") from None


def _script(life: _Life, where: str) -> Script:
    if life.runs is not None and not life.runs:
        raise ScriptError(f"{where}: runs: there must be one at least")
    programs = tuple(
        _program(run, f"{where}: runs[{number}]") for number, run in enumerate(life.runs or ())
    )
    start_s = _duration(life.start, f"{where}: start")
    return Script(programs, start_s, _pull(life.pull, f"{where}: pull"))


def _pull(pull: _Pull, where: str) -> Pull:
    if pull.fails and pull.fails_for is not None:
        raise ScriptError(f"{where}: fails is for ever, and failsFor is not: one of them")
    if pull.message and not pull.fails and pull.fails_for is None:
        raise ScriptError(f"{where}: what has a message needs to say that it fails, or failsFor")
    fails_s = _duration(pull.fails_for, f"{where}.failsFor") or 0.0
    takes_s = _duration(pull.takes, f"{where}.takes")
    return Pull(takes_s, inf if pull.fails else fails_s, pull.message)


def _program(run: _Run, where: str) -> Program:
    if run.oom and run.exit_code not in (None, OOM_EXIT_CODE):
        raise ScriptError(f"{where}: what is out of memory exits with {OOM_EXIT_CODE}")
    if (
        run.for_ is None
        and (run.oom or run.exit_code is not None)
        and (run.liveness_fails_after is None)
    ):
        raise ScriptError(f"{where}: what ends needs to say after how long: for")
    return Program(
        _duration(run.for_, f"{where}.for"),
        OOM_EXIT_CODE if run.oom else run.exit_code or 0,
        reason="OOMKilled" if run.oom else "",
        message=run.message,
        ready_after_s=_duration(run.ready_after, f"{where}.readyAfter"),
        unready=tuple(
            Spell(
                _duration(spell.after, f"{where}.unready.after") or 0.0,
                _duration(spell.for_, f"{where}.unready.for") or 0.0,
            )
            for spell in run.unready
        ),
        liveness_fails_s=_duration(run.liveness_fails_after, f"{where}.livenessFailsAfter"),
    )


def _duration(written: str | float | None, where: str) -> float | None:
    if written is None:
        return None
    found = seconds(str(written))
    if found is None:
        raise ScriptError(f"{where}: {written!r} is no duration, such as 10s or 1.5m")
    return found
