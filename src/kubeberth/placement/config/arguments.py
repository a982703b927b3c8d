"""The arguments of each plugin, decoded and checked.

Matches kube-scheduler 1.36 (apis/config/validation/validation_pluginargs.go and what the plugins
check themselves when they are built).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from kubeberth.api.core import NodeAffinity, NodeSelectorTerm
from kubeberth.api.scheduler_config import (
    ARGS,
    GROUP_VERSION,
    Args,
    DefaultPreemptionArgs,
    DynamicResourcesArgs,
    InterPodAffinityArgs,
    NodeAffinityArgs,
    NodeResourcesBalancedAllocationArgs,
    NodeResourcesFitArgs,
    PluginConfig,
    PodTopologySpreadArgs,
    ResourceSpec,
    ScoringStrategy,
    UtilizationShapePoint,
    VolumeBindingArgs,
)
from kubeberth.api.times import TimeError, duration_s
from kubeberth.api.validation.field_error import (
    FieldError,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from kubeberth.api.validation.metadata import validate_label_key
from kubeberth.placement.config.decoding import decode
from kubeberth.placement.nodeterm import NodeTermError, compile_term

STRATEGIES = ("LeastAllocated", "MostAllocated", "RequestedToCapacityRatio")
_RATIO = "RequestedToCapacityRatio"
_WHEN_UNSATISFIABLE = ("DoNotSchedule", "ScheduleAnyway")
_KINDS = {kind.plugin: kind for kind in ARGS}


def has_arguments(plugin: str) -> bool:
    """Return whether a plugin of kube-scheduler takes arguments."""
    return plugin in _KINDS


def decode_arguments(config: PluginConfig, path: str) -> tuple[Args | None, list[FieldError]]:
    """Return a plugin's arguments, or what is wrong with them; `path` is that of `args`."""
    kind = _KINDS[config.name]
    document = dict(config.args)
    api_version = document.pop("apiVersion", GROUP_VERSION)
    name = document.pop("kind", kind.__name__)
    if name != kind.__name__:
        detail = f"has to match plugin args: those of {config.name} are {kind.__name__}"
        return None, [invalid(f"{path}.kind", name, detail)]
    if api_version != GROUP_VERSION:
        return None, [not_supported(f"{path}.apiVersion", api_version, (GROUP_VERSION,))]
    args, errors = decode(document, kind, path)
    if args is not None:
        errors += _faults(args, path)
    return (None, errors) if errors else (args, [])


def _faults(args: Args, path: str) -> Iterator[FieldError]:
    match args:
        case DefaultPreemptionArgs():
            return _preemption_faults(args, path)
        case InterPodAffinityArgs():
            return _inter_pod_affinity_faults(args, path)
        case NodeAffinityArgs(added_affinity=NodeAffinity() as added):
            return _node_affinity_faults(added, f"{path}.addedAffinity")
        case NodeResourcesFitArgs():
            return _fit_faults(args, path)
        case NodeResourcesBalancedAllocationArgs():
            return _balance_faults(args.resources, f"{path}.resources")
        case PodTopologySpreadArgs():
            return _spread_faults(args, path)
        case VolumeBindingArgs():
            return _volume_binding_faults(args, path)
        case DynamicResourcesArgs():
            return _dynamic_resources_faults(args, path)
    return iter(())


def _preemption_faults(args: DefaultPreemptionArgs, path: str) -> Iterator[FieldError]:
    percentage, absolute = args.min_candidate_nodes_percentage, args.min_candidate_nodes_absolute
    of_percentage = f"{path}.minCandidateNodesPercentage"
    of_absolute = f"{path}.minCandidateNodesAbsolute"
    if not 0 <= percentage <= 100:
        yield invalid(of_percentage, percentage, "not in valid range [0, 100]")
    if absolute < 0:
        yield invalid(of_absolute, absolute, "not in valid range [0, inf)")
    if percentage == 0 and absolute == 0:
        text = "cannot be zero at the same time as"
        yield invalid(of_percentage, 0, f"{text} minCandidateNodesAbsolute")
        yield invalid(of_absolute, 0, f"{text} minCandidateNodesPercentage")


def _inter_pod_affinity_faults(args: InterPodAffinityArgs, path: str) -> Iterator[FieldError]:
    weight = args.hard_pod_affinity_weight
    if not 0 <= weight <= 100:
        yield invalid(f"{path}.hardPodAffinityWeight", weight, "not in valid range [0, 100]")


def _node_affinity_faults(added: NodeAffinity, path: str) -> Iterator[FieldError]:
    required_terms = added.required_during_scheduling_ignored_during_execution
    here = f"{path}.requiredDuringSchedulingIgnoredDuringExecution"
    if required_terms is not None:
        for index, term in enumerate(required_terms.node_selector_terms):
            yield from _term_faults(term, f"{here}.nodeSelectorTerms[{index}]")
    here = f"{path}.preferredDuringSchedulingIgnoredDuringExecution"
    for index, entry in enumerate(added.preferred_during_scheduling_ignored_during_execution):
        yield from _term_faults(entry.preference, f"{here}[{index}].preference")


def _term_faults(term: NodeSelectorTerm, path: str) -> Iterator[FieldError]:
    try:
        compile_term(term)
    except NodeTermError as error:
        yield FieldError("FieldValueInvalid", path, str(error))


def _fit_faults(args: NodeResourcesFitArgs, path: str) -> Iterator[FieldError]:
    for index, name in enumerate(args.ignored_resources):
        yield from validate_label_key(name, f"{path}.ignoredResources[{index}]")
    for index, group in enumerate(args.ignored_resource_groups):
        here = f"{path}.ignoredResourceGroups[{index}]"
        if "/" in group:
            yield invalid(here, group, "resource group name can't contain '/'")
        yield from validate_label_key(group, here)
    yield from _strategy_faults(args.scoring_strategy, f"{path}.scoringStrategy")


def _strategy_faults(strategy: ScoringStrategy, path: str) -> Iterator[FieldError]:
    if strategy.type not in STRATEGIES:
        yield not_supported(f"{path}.type", strategy.type, STRATEGIES)
    for index, spec in enumerate(strategy.resources):
        if not 0 <= spec.weight <= 100:
            detail = f"resource weight of {spec.name} not in valid range (0, 100]"
            yield invalid(f"{path}.resources[{index}].weight", spec.weight, detail)
    here, ratio = f"{path}.requestedToCapacityRatio", strategy.requested_to_capacity_ratio
    if strategy.type == _RATIO and ratio is None:
        yield required(here, f"must be specified when type is {_RATIO}")
    elif strategy.type != _RATIO and ratio is not None:
        yield forbidden(here, f"must be nil when type is not {_RATIO}")
    if ratio is not None:
        yield from _shape_faults(ratio.shape, f"{here}.shape")


def _shape_faults(shape: Sequence[UtilizationShapePoint], path: str) -> Iterator[FieldError]:
    if not shape:
        yield required(path, "at least one point must be specified")
    for index, (left, right) in enumerate(pairwise(shape), start=1):
        if left.utilization >= right.utilization:
            detail = "values must be sorted in increasing order"
            yield invalid(f"{path}[{index}].utilization", right.utilization, detail)
    for index, point in enumerate(shape):
        if not 0 <= point.utilization <= 100:
            detail = "not in valid range [0, 100]"
            yield invalid(f"{path}[{index}].utilization", point.utilization, detail)
        if not 0 <= point.score <= 10:
            yield invalid(f"{path}[{index}].score", point.score, "not in valid range [0, 10]")


def _balance_faults(resources: Sequence[ResourceSpec], path: str) -> Iterator[FieldError]:
    met = Counter[str]()
    for index, spec in enumerate(resources):
        if met[spec.name]:
            yield duplicate(f"{path}[{index}].name", spec.name)
        met[spec.name] += 1
        if spec.weight not in (0, 1):
            yield invalid(f"{path}[{index}].weight", spec.weight, "must be 1")


def _spread_faults(args: PodTopologySpreadArgs, path: str) -> Iterator[FieldError]:
    here, kind = f"{path}.defaultingType", args.defaulting_type
    if kind not in ("System", "List"):
        yield not_supported(here, kind, ("System", "List"))
    elif kind == "System" and args.default_constraints:
        yield invalid(here, kind, "when .defaultConstraints are not empty")
    met: set[tuple[str, str]] = set()
    for index, constraint in enumerate(args.default_constraints):
        here = f"{path}.defaultConstraints[{index}]"
        key, when = constraint.topology_key, constraint.when_unsatisfiable
        if constraint.max_skew <= 0:
            yield invalid(f"{here}.maxSkew", constraint.max_skew, "not in valid range (0, inf)")
        if not key:
            yield required(f"{here}.topologyKey", "can not be empty")
        else:
            yield from validate_label_key(key, f"{here}.topologyKey")
        if not when:
            yield required(f"{here}.whenUnsatisfiable", "can not be empty")
        elif when not in _WHEN_UNSATISFIABLE:
            yield not_supported(f"{here}.whenUnsatisfiable", when, _WHEN_UNSATISFIABLE)
        if constraint.label_selector is not None:
            detail = "constraint must not define a selector, as they deduced for each pod"
            yield forbidden(f"{here}.labelSelector", detail)
        if (key, when) in met:
            yield duplicate(here, f"{{{key}, {when}}}")
        met.add((key, when))


def _volume_binding_faults(args: VolumeBindingArgs, path: str) -> Iterator[FieldError]:
    timeout = args.bind_timeout_seconds
    if timeout < 0:
        detail = "invalid BindTimeoutSeconds, should not be a negative value"
        yield invalid(f"{path}.bindTimeoutSeconds", timeout, detail)
    if args.shape:
        yield forbidden(f"{path}.shape", "needs the feature gate StorageCapacityScoring; remove it")


def _dynamic_resources_faults(args: DynamicResourcesArgs, path: str) -> Iterator[FieldError]:
    yield from duration_faults(args.filter_timeout, f"{path}.filterTimeout", at_least_s=0)
    yield from duration_faults(args.binding_timeout, f"{path}.bindingTimeout", at_least_s=1)


def duration_faults(text: str, path: str, at_least_s: float) -> Iterator[FieldError]:
    """Yield what is wrong with a duration as Go writes it."""
    try:
        duration = duration_s(text)
    except TimeError as error:
        yield invalid(path, text, str(error))
        return
    if duration < at_least_s:
        yield invalid(path, text, f"must be at least {at_least_s:g}s")
