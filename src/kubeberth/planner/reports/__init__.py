"""A plan for people and for other programs: one module for each form, imported when it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from kubeberth.planner.assertions import Checked
from kubeberth.planner.compare import compare
from kubeberth.planner.plan import Plan

FORMS = ("text", "json", "yaml", "markdown", "junit", "html")
COMPARED_FORMS = ("text", "json")

_HOMES = {
    "text": ("text", "to_text"),
    "json": ("data", "to_json"),
    "yaml": ("data", "to_yaml"),
    "markdown": ("markdown", "to_markdown"),
    "junit": ("junit", "to_junit"),
    "html": ("html", "to_html"),
}


def render(form: str, plan: Plan, checked: Sequence[Checked] = ()) -> str:
    """Return a plan in one of the `FORMS`."""
    module, function = _HOMES[form]
    text: str = getattr(import_module(f"{__name__}.{module}"), function)(plan, checked)
    return text


def render_comparison(form: str, one: Plan, other: Plan) -> str:
    """Return what is otherwise in the second plan, in one of the `COMPARED_FORMS`."""
    module = import_module(f"{__name__}.comparison")
    text: str = getattr(module, f"to_{form}")(compare(one, other))
    return text
