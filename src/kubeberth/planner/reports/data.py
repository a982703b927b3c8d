"""A plan as JSON and YAML, for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import yaml

from kubeberth.planner.assertions import Checked
from kubeberth.planner.plan import Plan


def to_json(plan: Plan, checked: Sequence[Checked] = ()) -> str:
    """Return a plan as JSON."""
    return msgspec.json.format(msgspec.json.encode(to_document(plan, checked)), indent=2).decode()


def to_yaml(plan: Plan, checked: Sequence[Checked] = ()) -> str:
    """Return a plan as YAML."""
    text: str = yaml.safe_dump(to_document(plan, checked), sort_keys=False, width=1000)
    return text.rstrip("\n")


def to_document(plan: Plan, checked: Sequence[Checked] = ()) -> dict[str, Any]:
    """Return a plan as JSON values, its totals first."""
    totals = {"placed": plan.n_placed, "pending": plan.n_pending, "good": plan.is_good}
    parts: dict[str, Any] = msgspec.to_builtins(plan)
    return {"summary": totals, **parts, "assertions": msgspec.to_builtins(list(checked))}
