"""JSON values as Go's `%v` prints them, which the messages about patches contain."""

from __future__ import annotations

from typing import Any


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
