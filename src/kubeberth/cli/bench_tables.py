"""Tables of figures, as `berth bench` prints them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table

from kubeberth.bench.cluster import Cost


def figures_table(title: str, *names: str) -> Table:
    """Return an empty table whose columns hold figures."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in names:
        table.add_column(name, justify="left" if name == "workload" else "right", no_wrap=True)
    return table


def cost_tables(rows: Sequence[tuple[str, Sequence[Cost]]]) -> Iterator[Table]:
    """Yield what each process took for each of the titles, and the memory that it then had."""
    names = list(dict.fromkeys(cost.process for _, costs in rows for cost in costs))
    cpu = figures_table("Processor seconds", "workload", *names)
    memory = figures_table("MiB afterwards", "workload", *names)
    for title, costs in rows:
        known = {cost.process: cost for cost in costs}
        if known:
            used = [known[process].cpu_s for process in names]
            cpu.add_row(title, *("-" if s is None else f"{s:.1f}" for s in used))
            memory.add_row(title, *(f"{known[process].mebibytes:,.0f}" for process in names))
    return (table for table in (cpu, memory) if table.row_count)
