"""A plan as a web page of its own: a map of the cluster, and everything that the text says.

The page needs nothing from anywhere and works without scripts: pods tell their names where the
pointer is, and what is pending opens where it is clicked. Light or dark is the reader's choice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from zlib import crc32

from kubeberth.api.requests import shown_amount
from kubeberth.planner.assertions import Checked
from kubeberth.planner.plan import Amount, NodeUse, Pending, Plan, PlannedPod
from kubeberth.planner.reports.text import title
from kubeberth.planner.words import headline, names, notes, number_of, percent, shown_uses, warnings

# Of a node, and of the whole map: a page with more than this is no map any more.
_TILES_OF_NODE = 60
_NODES_SHOWN = 1000
_HUES = (210, 28, 140, 275, 350, 175, 50, 310, 95, 240)

_STYLE = """
:root{color-scheme:light dark;--bg:#fbfbfd;--fg:#1d1f24;--dim:#6b7080;--line:#d9dce3;--card:#fff;
--good:#1a7f4b;--bad:#c0392b;--light:82%;--old:#c9cdd6}
@media(prefers-color-scheme:dark){:root{--bg:#15171c;--fg:#e6e8ee;--dim:#9aa0b0;--line:#333843;
--card:#1d2027;--good:#4cc38a;--bad:#ff7b6b;--light:38%;--old:#4a5060}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:78rem;padding:2rem 1.25rem;background:var(--bg);color:var(--fg);
font:15px/1.5 system-ui,sans-serif}
h1{font-size:1.5rem;margin:0 0 .25rem}h2{font-size:1.05rem;margin:2rem 0 .6rem}
.dim{color:var(--dim)}.good{color:var(--good)}.bad{color:var(--bad)}
table{border-collapse:collapse;width:100%}
th,td{text-align:right;padding:.3rem .7rem;border-bottom:1px solid var(--line)}
th{font-weight:600;color:var(--dim)}th:first-child,td:first-child{text-align:left}
code{font:13px ui-monospace,monospace}
.zone{border:1px solid var(--line);border-radius:10px;padding:.6rem .8rem .8rem;margin:.6rem 0}
.zone>b{font-size:.95rem}
.nodes{display:grid;grid-template-columns:repeat(auto-fill,minmax(11rem,1fr));gap:.6rem;
margin-top:.5rem}
.node{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.45rem .55rem}
.node.closed{background:repeating-linear-gradient(135deg,var(--card) 0 9px,var(--bg) 9px 18px)}
.node.removed{opacity:.45;border-style:dashed}.node.drained,.node.added{border-style:dashed}
.node p{margin:0;font-size:.8rem;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.bar{height:5px;border-radius:3px;background:var(--line);margin:3px 0;overflow:hidden;display:flex}
.bar i{display:block;background:var(--old)}.bar i+i{background:hsl(210 70% 52%)}
.tiles{display:flex;flex-wrap:wrap;gap:3px;margin-top:5px}
.tiles i{width:13px;height:13px;border-radius:3px;background:var(--old)}
.tiles i.new{background:hsl(var(--h) 62% 52%)}
.tiles i.gone{background:none;border:1px dashed var(--bad)}
.key{display:inline-block;width:11px;height:11px;border-radius:3px;margin-right:.45rem;
background:hsl(var(--h) 62% 52%)}
details{border:1px solid var(--line);border-radius:8px;padding:.5rem .8rem;margin:.5rem 0;
background:var(--card)}
summary{cursor:pointer}li{margin:.15rem 0}
"""


def to_html(plan: Plan, checked: Sequence[Checked] = ()) -> str:
    """Return a plan as one page of HTML."""
    verdict = "good" if plan.is_good and all(entry.holds for entry in checked) else "bad"
    body = "\n".join(
        part
        for section in (
            _head(plan, verdict),
            _assertions(checked),
            _map(plan),
            _workloads(plan),
            _pending(plan.pending),
            _removed(plan),
            _zones(plan),
            _notes(plan),
        )
        for part in section
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Plan: {escape(headline(plan))}</title>\n<style>{_STYLE}</style>\n"
        f"</head>\n<body>\n{body}\n</body>\n</html>"
    )


def _head(plan: Plan, verdict: str) -> Iterator[str]:
    words = "Everything has its place" if verdict == "good" else "Not everything has its place"
    yield f'<h1 class="{verdict}">{words}</h1>'
    yield f'<p class="dim">{escape(headline(plan))}</p>'


def _assertions(checked: Sequence[Checked]) -> Iterator[str]:
    if not checked:
        return
    yield "<h2>Assertions</h2><ul>"
    for entry in checked:
        mark, why = ("ok", "") if entry.holds else ("failed", f": {escape(entry.why)}")
        style = "good" if entry.holds else "bad"
        yield f'<li><b class="{style}">{mark}</b> {escape(entry.text)}{why}</li>'
    yield "</ul>"


# The map


def _map(plan: Plan) -> Iterator[str]:
    placed: dict[str, list[PlannedPod]] = {}
    for pod in plan.pods:
        if pod.node is not None:
            placed.setdefault(pod.node, []).append(pod)
    gone: dict[str, list[str]] = {}
    for removed in plan.removed:
        gone.setdefault(removed.node, []).append(f"{removed.pod}: {removed.why}")
    yield "<h2>Cluster</h2>"
    yield (
        '<p class="dim">A tile is a pod: coloured ones are placed by the plan, grey ones were '
        "there before, dashed ones had to go. Striped nodes are closed to new pods.</p>"
    )
    shown = plan.nodes[:_NODES_SHOWN]
    for zone in sorted({node.zone for node in shown}):
        nodes = [node for node in shown if node.zone == zone]
        pods = number_of(sum(node.pods_after for node in nodes), "pod")
        label = escape(zone) if zone else "no zone"
        yield f'<section class="zone"><b>{label}</b> <span class="dim">'
        yield f'{number_of(len(nodes), "node")}, {pods}</span><div class="nodes">'
        for node in nodes:
            yield _node(node, placed.get(node.name, ()), gone.get(node.name, ()))
        yield "</div></section>"
    if len(plan.nodes) > _NODES_SHOWN:
        yield f'<p class="dim">and {len(plan.nodes) - _NODES_SHOWN} more nodes</p>'


def _node(node: NodeUse, placed: Sequence[PlannedPod], gone: Sequence[str]) -> str:
    change = f' <span class="dim">{node.change}</span>' if node.change else ""
    if node.closed:
        change += f' <span class="bad">{node.closed}</span>'
    bars = "".join(map(_bar, node.resources.items()))
    n_old = node.pods_after - len(placed)
    tiles = [
        *(_tile("new", f"{pod.pod} ({pod.workload})", _hue(pod.workload)) for pod in placed),
        *(_tile("gone", text) for text in gone),
        *(["<i></i>"] * max(0, n_old)),
    ]
    kind = " ".join(filter(None, ("node", node.change, node.closed and "closed")))
    more = len(tiles) - _TILES_OF_NODE
    rest = f'<span class="dim">+{more}</span>' if more > 0 else ""
    return (
        f'<div class="{kind}"><p><b>{escape(node.name)}</b>{change}</p>{bars}'
        f'<div class="tiles">{"".join(tiles[:_TILES_OF_NODE])}{rest}</div></div>'
    )


def _bar(resource: tuple[str, Amount]) -> str:
    name, use = resource
    before, after, whole = use.before, use.after, use.allocatable
    if not whole or not (before or after):
        return ""
    kept = min(before, after)
    was, is_, there = (shown_amount(name, value) for value in (before, after, whole))
    text = f"{name}: {was} before, {is_} of {there}"
    parts = (100 * kept / whole, 100 * (after - kept) / whole)
    fills = "".join(f'<i style="width:{part:.1f}%"></i>' for part in parts)
    return f'<div class="bar" title="{escape(text)}">{fills}</div>'


def _tile(kind: str, text: str, hue: int | None = None) -> str:
    style = "" if hue is None else f' style="--h:{hue}"'
    return f'<i class="{kind}"{style} title="{escape(text)}"></i>'


def _hue(workload: str) -> int:
    return _HUES[crc32(workload.encode()) % len(_HUES)]


# The lists


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield a table; its cells are HTML already."""
    yield f"<table><tr>{''.join(f'<th>{escape(cell)}</th>' for cell in header)}</tr>"
    for row in rows:
        yield f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>"
    yield "</table>"


def _workloads(plan: Plan) -> Iterator[str]:
    if not plan.workloads:
        return
    zones = sorted({zone for workload in plan.workloads for zone in workload.zones})
    yield "<h2>Workloads</h2>"
    rows = [
        [
            f'<span class="key" style="--h:{_hue(f"{w.kind}/{w.name}")}"></span>'
            f"<code>{escape(title(w))}</code>",
            str(w.wanted),
            str(w.placed),
            f'<b class="bad">{w.pending}</b>' if w.pending else "0",
            *(str(w.zones.get(zone, 0)) for zone in zones),
            f'<span class="bad">{escape(w.rollout)}</span>',
        ]
        for w in plan.workloads
    ]
    yield from _table(["", "pods", "placed", "pending", *zones, "rollout"], rows)


def _pending(groups: Sequence[Pending]) -> Iterator[str]:
    if groups:
        yield "<h2>Pending</h2>"
    for group in groups:
        yield f"<details><summary><code>{escape(names(group.pods))}</code> "
        yield f"{escape(group.message)}</summary><ul>"
        for obstacle in group.obstacles:
            yield f"<li>{escape(obstacle.reason)}: {escape(names(obstacle.nodes))}<ul>"
            yield "".join(
                f"<li>{escape(fact.text)}: {escape(names(fact.nodes))}</li>"
                for fact in obstacle.facts
            )
            yield "</ul></li>"
        yield "</ul></details>"


def _removed(plan: Plan) -> Iterator[str]:
    if plan.removed:
        counts: Mapping[str, int] = Counter(pod.why for pod in plan.removed)
        said = ", ".join(f"{n} {why}" for why, n in counts.items())
        yield f"<h2>Had to go</h2><details><summary>{said}</summary><ul>"
        for pod in plan.removed:
            by = f" by <code>{escape(pod.by)}</code>" if pod.by else ""
            end = "" if pod.returns else "; nothing makes it again"
            where = f"{escape(pod.pod)}</code> on {escape(pod.node)}"
            yield f"<li><code>{where} {pod.why}{by}{end}</li>"
        yield "</ul></details>"
    if plan.stuck:
        yield "<h2>Stuck</h2><ul>"
        yield from (f"<li>{escape(s.what)}: {escape(s.why)}</li>" for s in plan.stuck)
        yield "</ul>"


def _zones(plan: Plan) -> Iterator[str]:
    rows = [
        [
            escape(zone) or "no zone",
            escape(resource),
            shown_amount(resource, use.allocatable),
            percent(use.before, use.allocatable),
            percent(use.after, use.allocatable),
        ]
        for zone, resource, use in shown_uses(plan)
    ]
    if rows:
        yield "<h2>Utilisation</h2>"
        yield from _table(["zone", "resource", "allocatable", "before", "after"], rows)


def _notes(plan: Plan) -> Iterator[str]:
    lines = [*warnings(plan.warnings), *notes(plan)]
    if lines:
        yield "<h2>Notes</h2><ul>"
        yield from (f"<li>{escape(line)}</li>" for line in lines)
        yield "</ul>"
