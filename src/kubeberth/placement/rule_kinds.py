"""RuleKinds: a profile's rules, sorted once by what they read and how they can be asked."""

from __future__ import annotations

from kubeberth.placement.plugin import (
    DomainRule,
    FilterPlugin,
    LoadFilter,
    LoadScore,
    Normalization,
    PreFilterPlugin,
    Reads,
    Relative,
    ScorePlugin,
    UsageFilter,
)
from kubeberth.placement.profile import Profile

Weighted = tuple[ScorePlugin, int]


class RuleKinds:
    """The rules by kind; hard ones in the order of the profile, soft ones with their weights.

    Attributes
    ----------
    look_filters, look_scores
        Read the node's own looks.
    load_filters, load_scores
        Read loads, and can be asked about one.
    usage_filters
        Read what else pods do on a node, and can be asked about one node.
    relative
        Soft rules over looks that depend on all nodes at once.
    domain_rules
        Read the cluster through topology keys; each once, by name, though it may both filter and
        score.
    load_rules
        All of these, by name.
    others
        All rules, by name, that do not read the cluster.
    unrankable
        Those that cannot answer in pieces. For templates that one of them concerns, every node is
        asked every time.
    """

    def __init__(self, profile: Profile) -> None:
        filters, scores = profile.filters, profile.scores
        self.look_filters = [r for r in filters if r.reads is Reads.NODE]
        self.load_filters = [r for r in filters if isinstance(r, LoadFilter) and _reads_loads(r)]
        self.usage_filters = [
            r for r in filters if isinstance(r, UsageFilter) and r.reads is Reads.USAGE
        ]
        self.look_scores: list[Weighted] = [e for e in scores if e[0].reads is Reads.NODE]
        self.load_scores = [
            (r, w) for r, w in scores if isinstance(r, LoadScore) and _reads_loads(r)
        ]
        self.relative = [r for r, _ in self.look_scores if isinstance(r, Relative)]
        askable: tuple[PreFilterPlugin | FilterPlugin, ...] = (*profile.pre_filters, *filters)
        rules: dict[str, PreFilterPlugin | FilterPlugin | ScorePlugin] = {
            rule.name: rule for rule in (*askable, *(rule for rule, _ in scores))
        }
        self.domain_rules = {
            name: rule
            for name, rule in rules.items()
            if rule.reads is Reads.CLUSTER and isinstance(rule, DomainRule)
        }
        self.load_rules = [rule for rule in rules.values() if rule.reads is Reads.LOAD]
        self.others = [rule for rule in rules.values() if rule.reads is not Reads.CLUSTER]
        self.unrankable: list[object] = [rule for rule in askable if not _can_filter(rule)]
        self.unrankable += [rule for rule, _ in scores if not _can_score(rule)]


def _reads_loads(rule: FilterPlugin | ScorePlugin) -> bool:
    return rule.reads is Reads.LOAD


def _can_filter(rule: PreFilterPlugin | FilterPlugin) -> bool:
    match rule.reads:
        case Reads.NODE:
            return True
        case Reads.LOAD:
            return isinstance(rule, LoadFilter)
        case Reads.USAGE:
            return isinstance(rule, UsageFilter)
        case Reads.CLUSTER:
            return isinstance(rule, DomainRule)


def _can_score(rule: ScorePlugin) -> bool:
    match rule.reads:
        case Reads.NODE:
            return True
        case Reads.LOAD:
            return isinstance(rule, LoadScore) and rule.normalization is Normalization.NONE
        case Reads.USAGE:
            return False
        case Reads.CLUSTER:
            return isinstance(rule, DomainRule)
