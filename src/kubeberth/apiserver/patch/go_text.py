"""JSON values as Go's `%v` and `%s` print them, which the messages about patches contain."""

from __future__ import annotations

from typing import Any

from kubeberth.api.json_syntax import NumberText


def go_text(value: Any) -> str:
    """Return a JSON value as Go prints a map, a slice or a scalar."""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{go_text(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(go_text, value))}]"
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def go_string(value: Any) -> str:
    """Return a JSON value as Go prints what it takes for a text, whatever it is."""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{go_string(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(go_string, value))}]"
    match value:
        case None:
            return "%!s(<nil>)"
        case bool() | int():
            kind = "bool" if isinstance(value, bool) else "int64"
            return f"%!s({kind}={go_text(value)})"
        case NumberText() | float():
            return f"%!s(float64={value})"
    return str(value)
