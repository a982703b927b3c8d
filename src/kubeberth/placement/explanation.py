"""Explanation: everything about one decision, as data and as a table to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kubeberth.placement.decision import Failure, Nomination
from kubeberth.placement.plugin import Rejection

# More would not be read.
_MAX_ROWS = 20
_MAX_NAMES = 8


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything about one decision, by node name.

    Parameters
    ----------
    refused
        Why the pod was refused as a whole, before any node was looked at.
    scores
        Rule, node, and the normalised score times the rule's weight; rules that have nothing to
        say about the pod are left out.
    totals
        Node and sum of its scores.
    failure
        Set when no node fits or the attempt ends with an error.
    candidates
        When no node fits: the nodes that can be made free, by name.
    nominated
        Names of those of them that give up least, sorted.
    """

    n_nodes: int
    feasible: tuple[str, ...] = ()
    rejected: Mapping[str, Rejection] = field(default_factory=dict)
    refused: Rejection | None = None
    scores: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    totals: Mapping[str, int] = field(default_factory=dict)
    failure: Failure | None = None
    candidates: tuple[Nomination, ...] = ()
    nominated: tuple[str, ...] = ()

    @property
    def best(self) -> tuple[str, ...]:
        """Names of the nodes with the highest total, sorted."""
        highest = max(self.totals.values(), default=0)
        return tuple(sorted(name for name, total in self.totals.items() if total == highest))

    def __str__(self) -> str:
        return "\n".join((*self._summary(), *self._table(), *self._refusals(), *self._ways_out()))

    def _summary(self) -> Iterator[str]:
        if self.failure is not None:
            yield self.failure.message
        elif self.refused is None:
            yield f"{len(self.feasible)} of {self.n_nodes} nodes fit; best: {_names(self.best)}"

    def _table(self) -> Iterator[str]:
        """Yield a row per node that fits, best first, and a column per rule."""
        if not self.totals:
            return
        rules = list(self.scores)
        names = sorted(self.totals, key=lambda name: (-self.totals[name], name))
        rows = [["NODE", "TOTAL", *rules]]
        for name in names[:_MAX_ROWS]:
            scores = (self.scores[rule][name] for rule in rules)
            rows.append([name, *map(str, (self.totals[name], *scores))])
        yield ""
        yield from _aligned(rows)
        if len(names) > _MAX_ROWS:
            yield f"and {len(names) - _MAX_ROWS} more"

    def _refusals(self) -> Iterator[str]:
        """Yield a line per reason, with the nodes that it turned away."""
        by_reason: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        for name, rejection in self.rejected.items():
            by_reason.setdefault((rejection.plugin, rejection.reasons), []).append(name)
        if by_reason:
            yield ""
        for (plugin, reasons), names in sorted(by_reason.items()):
            rule = f"{plugin}: " if plugin else ""
            yield f"refused {_names(sorted(names))}: {rule}{', '.join(reasons)}"

    def _ways_out(self) -> Iterator[str]:
        if self.candidates:
            yield ""
        for candidate in self.candidates[:_MAX_ROWS]:
            mark = " (least harm)" if candidate.node in self.nominated else ""
            yield f"{candidate.node} fits without {_names(candidate.victims)}{mark}"
        if len(self.candidates) > _MAX_ROWS:
            yield f"and {len(self.candidates) - _MAX_ROWS} more"


def _names(names: Sequence[str]) -> str:
    more = len(names) - _MAX_NAMES
    return ", ".join(names[:_MAX_NAMES]) + (f" and {more} more" if more > 0 else "")


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield rows with their first column to the left and the others, numbers, to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *rest in rows:
        cells = [first.ljust(widths[0])]
        cells += [text.rjust(width) for text, width in zip(rest, widths[1:], strict=True)]
        yield "  ".join(cells)
