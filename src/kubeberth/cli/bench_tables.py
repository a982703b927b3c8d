"""Tables of figures, as `berth bench` prints them."""

from __future__ import annotations

from rich.table import Table


def figures_table(title: str, *names: str) -> Table:
    """Return an empty table whose columns hold figures."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in names:
        table.add_column(name, justify="left" if name == "workload" else "right", no_wrap=True)
    return table
