"""Selection: which rules are asked."""

from __future__ import annotations

from dataclasses import dataclass

from kubeberth.errors import BerthError
from kubeberth.lint.rule import Rule
from kubeberth.lint.rules import RULES


class UnknownRuleError(BerthError):
    """A text that begins no rule's id."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Rules by their ids, or how these begin: `KB3` is all that are about spreading.

    Parameters
    ----------
    select
        Only these; all when it is empty.
    ignore
        Not these. Of two that apply the longer one counts.

    Raises
    ------
    UnknownRuleError
        There are no such rules.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for prefix in (*self.select, *self.ignore):
            if not prefix or not any(rule.startswith(prefix) for rule in RULES):
                raise UnknownRuleError(f"there is no rule {prefix}: `berth lint --rules` lists all")

    def includes(self, rule: Rule) -> bool:
        """Return whether a rule is asked."""
        chosen = _longest(rule.id, self.select) if self.select else 0
        return chosen is not None and (_longest(rule.id, self.ignore) or -1) < chosen


def _longest(rule_id: str, prefixes: tuple[str, ...]) -> int | None:
    return max((len(prefix) for prefix in prefixes if rule_id.startswith(prefix)), default=None)
