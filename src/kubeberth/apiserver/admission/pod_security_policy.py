"""What a namespace demands of its pods by its labels, and what a pod lacks of it. Pure.

Matches `k8s.io/pod-security-admission/api` of Kubernetes 1.36.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from kubeberth.api.pod_security import LATEST, LEVELS, Finding, findings
from kubeberth.api.validation.field_error import FieldError, invalid

Document = dict[str, Any]

PREFIX = "pod-security.kubernetes.io/"
MODES = ("enforce", "audit", "warn")
_VERSION = re.compile(r"v1\.(0|[1-9]\d*)")


class Demand(NamedTuple):
    """A level, by the rules of a version."""

    level: str
    version: str

    def __str__(self) -> str:
        return f"{self.level}:{self.version}"

    def findings(self, metadata: Document, spec: Document) -> list[Finding]:
        """Return what a pod lacks."""
        known = _VERSION.fullmatch(self.version)
        minor = int(known[1]) if known else LATEST
        return findings(self.level, minor, metadata, spec)

    def violation(self, metadata: Document, spec: Document) -> str:
        """Return why a pod is refused; empty when it is not."""
        wrong = self.findings(metadata, spec)
        return f'violates PodSecurity "{self}": {listed(wrong)}' if wrong else ""


class Policy(NamedTuple):
    """What a namespace demands."""

    enforce: Demand
    audit: Demand
    warn: Demand


NOTHING = Policy(*[Demand("privileged", "latest")] * 3)


def policy_of(labels: Mapping[str, str], default: Policy) -> tuple[Policy, list[FieldError]]:
    """Return what labels demand, and what is wrong with them; what cannot be read is strict."""
    errors: list[FieldError] = []
    if not any(key.startswith(PREFIX) for key in labels):
        return default, errors
    demands: dict[str, Demand] = {mode: getattr(default, mode) for mode in MODES}
    for mode in MODES:
        level, version = labels.get(PREFIX + mode), labels.get(f"{PREFIX}{mode}-version")
        if level is not None and level not in LEVELS:
            detail = f"must be one of {', '.join(LEVELS)}"
            errors.append(invalid(f"metadata.labels[{PREFIX}{mode}]", level, detail))
            level = "restricted"
        if version is not None and version != "latest" and not _VERSION.fullmatch(version):
            detail = 'must be "latest" or "v1.x"'
            errors.append(invalid(f"metadata.labels[{PREFIX}{mode}-version]", version, detail))
            version = "latest"
        before = demands[mode]
        demands[mode] = Demand(level or before.level, version or before.version)
    if PREFIX + "enforce" in labels and PREFIX + "warn" not in labels:
        stricter = LEVELS.index(demands["enforce"].level) > LEVELS.index(demands["warn"].level)
        demands["warn"] = demands["enforce"] if stricter else demands["warn"]
    return Policy(**demands), errors


def listed(wrong: Iterable[Finding]) -> str:
    """Return findings in a row."""
    return ", ".join(map(str, wrong))
