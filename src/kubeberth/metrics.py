"""Counts and durations, and how Prometheus reads them. Pure.

Format: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Protocol

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = tuple[str, ...]


class Metric(Protocol):
    """Something that can be read."""

    def lines(self) -> Iterator[str]:
        """Yield it as text."""


def exponential_buckets(start: float, factor: float, count: int) -> tuple[float, ...]:
    """Return upper bounds that grow by a factor."""
    return tuple(start * factor**index for index in range(count))


class Count:
    """What only grows, by labels."""

    def __init__(self, name: str, text: str, labels: Sequence[str] = ()) -> None:
        self._name, self._text, self._labels = name, text, tuple(labels)
        self.values: dict[Labels, float] = {} if labels else {(): 0}

    def add(self, *labels: str, amount: float = 1) -> None:
        """Count one more."""
        self.values[labels] = self.values.get(labels, 0) + amount

    def lines(self) -> Iterator[str]:
        """Yield it as text."""
        yield from _head(self._name, self._text, "counter")
        for labels, value in sorted(self.values.items()):
            yield _sample(self._name, zip(self._labels, labels, strict=True), value)


class Reading:
    """What is looked up when somebody asks.

    Parameters
    ----------
    read
        Returns the values by labels.
    kind
        `gauge`, or `counter` of what somebody else counts.
    """

    def __init__(
        self,
        name: str,
        text: str,
        labels: Sequence[str],
        read: Callable[[], Mapping[Labels, float]],
        kind: str = "gauge",
    ) -> None:
        self._name, self._text, self._labels = name, text, tuple(labels)
        self._read, self._kind = read, kind

    def lines(self) -> Iterator[str]:
        """Yield it as text."""
        yield from _head(self._name, self._text, self._kind)
        for labels, value in sorted(self._read().items()):
            yield _sample(self._name, zip(self._labels, labels, strict=True), value)


class Histogram:
    """How often values fell into which ranges, by labels."""

    def __init__(
        self, name: str, text: str, buckets: Sequence[float], labels: Sequence[str] = ()
    ) -> None:
        self._name, self._text, self._labels = name, text, tuple(labels)
        self._bounds = tuple(buckets)
        # Per labels: one number for each range and the one above all bounds, and last the sum.
        self._values: dict[Labels, list[float]] = {}

    def observe(self, value: float, *labels: str) -> None:
        """Take in a value."""
        values = self._values.get(labels)
        if values is None:
            values = self._values[labels] = [0] * (len(self._bounds) + 2)
        values[bisect_left(self._bounds, value)] += 1
        values[-1] += value

    def lines(self) -> Iterator[str]:
        """Yield it as text."""
        yield from _head(self._name, self._text, "histogram")
        bounds = [*map(_number, self._bounds), "+Inf"]
        for labels, (*counts, amount) in sorted(self._values.items()):
            named = list(zip(self._labels, labels, strict=True))
            total = 0.0
            for bound, total in zip(bounds, accumulate(counts), strict=True):
                yield _sample(f"{self._name}_bucket", [*named, ("le", bound)], total)
            yield _sample(f"{self._name}_sum", named, amount)
            yield _sample(f"{self._name}_count", named, total)


def to_text(metrics: Iterable[Metric]) -> str:
    """Return metrics as Prometheus reads them."""
    return "".join(f"{line}\n" for metric in metrics for line in metric.lines())


def _head(name: str, text: str, kind: str) -> tuple[str, str]:
    return f"# HELP {name} {text}", f"# TYPE {name} {kind}"


def _sample(name: str, labels: Iterable[tuple[str, str]], value: float) -> str:
    shown = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
    return f"{name}{{{shown}}} {_number(value)}" if shown else f"{name} {_number(value)}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.12g}"
