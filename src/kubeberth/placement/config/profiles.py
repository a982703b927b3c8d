"""Profiles of rules from a configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kubeberth.api.scheduler_config import (
    Args,
    Arguments,
    DefaultPreemptionArgs,
    KubeSchedulerConfiguration,
    PluginConfig,
    ProfileConfig,
)
from kubeberth.api.validation.field_error import FieldError, duplicate, invalid, required
from kubeberth.placement.config.arguments import decode_arguments, has_arguments
from kubeberth.placement.config.decoding import ConfigurationError
from kubeberth.placement.extension_points import IN_TREE, Chosen, Known, choose
from kubeberth.placement.plugin import MAX_SCORE, MAX_TOTAL, Plugin
from kubeberth.placement.plugins import in_tree_plugins
from kubeberth.placement.profile import Profile, assemble, points_of
from kubeberth.placement.sample import EVERY_NODE, Sample

_NO_PLUGINS: Mapping[str, type[Plugin]] = {}


def to_profiles(
    configuration: KubeSchedulerConfiguration,
    own: Mapping[str, type[Plugin]] = _NO_PLUGINS,
    sample: Sample = EVERY_NODE,
) -> tuple[Profile, ...]:
    """Return the profiles of a configuration, in its order.

    Parameters
    ----------
    own
        Plugins of the user's own, by name. They take part where the configuration enables them,
        made with their arguments as keywords.
    sample
        How many nodes are tried for victims where the configuration does not say.

    Raises
    ------
    ConfigurationError
        When a plugin cannot do what is asked of it.
    """
    profiles, errors = [], []
    for index, config in enumerate(configuration.profiles):
        profile, faults = _to_profile(config, own, sample, f"profiles[{index}]")
        errors += faults
        profiles.append(profile)
    if errors:
        raise ConfigurationError(errors)
    return tuple(profiles)


def _to_profile(
    config: ProfileConfig, own: Mapping[str, type[Plugin]], sample: Sample, path: str
) -> tuple[Profile, list[FieldError]]:
    known = (*IN_TREE, *(Known(name, points_of(kind)) for name, kind in own.items()))
    chosen, errors = choose(config.plugins, known, f"{path}.plugins")
    errors += _missing_plugins(chosen, config.scheduler_name, f"{path}.plugins")
    errors += _excessive_weights(chosen, f"{path}.plugins")
    given, faults = _arguments(config.plugin_config, known, f"{path}.pluginConfig")
    errors += faults
    wanted = {ref.name for refs in chosen.values() for ref in refs}
    plugins, faults = _own_plugins(config, own, wanted, f"{path}.pluginConfig")
    errors += faults
    rules = (*in_tree_plugins(given), *plugins)
    sample = _to_sample(given) or sample
    return assemble(config.scheduler_name, chosen, rules, sample), errors


def _to_sample(arguments: Arguments) -> Sample | None:
    """Return how many nodes the configuration has tried for victims, if it says so."""
    args = arguments.given(DefaultPreemptionArgs)
    if args is None:
        return None
    return Sample(args.min_candidate_nodes_percentage, args.min_candidate_nodes_absolute)


def _missing_plugins(chosen: Chosen, name: str, path: str) -> list[FieldError]:
    """Return an error for what no scheduler can be without."""
    errors = []
    if len(chosen["queueSort"]) != 1:
        detail = (
            f'only one queue sort plugin required for profile with scheduler name "{name}", '
            f"but got {len(chosen['queueSort'])}"
        )
        errors.append(required(f"{path}.queueSort", detail))
    if not chosen["bind"]:
        detail = f'at least one bind plugin is needed for profile with scheduler name "{name}"'
        errors.append(required(f"{path}.bind", detail))
    return errors


def _excessive_weights(chosen: Chosen, path: str) -> list[FieldError]:
    """Return an error when scores could add up to more than the engine counts."""
    total = sum(ref.weight for ref in chosen["score"])
    if total * MAX_SCORE < MAX_TOTAL:
        return []
    detail = f"weights of all plugins together must be less than {MAX_TOTAL // MAX_SCORE}"
    return [invalid(f"{path}.score", total, detail)]


def _arguments(
    configs: Sequence[PluginConfig], known: Sequence[Known], path: str
) -> tuple[Arguments, list[FieldError]]:
    names = {plugin.name for plugin in known}
    given: list[Args] = []
    errors: list[FieldError] = []
    met: set[str] = set()
    for index, config in enumerate(configs):
        here = f"{path}[{index}]"
        if config.name in met:
            errors.append(duplicate(f"{here}.name", config.name))
        elif config.name not in names:
            errors.append(invalid(f"{here}.name", config.name, "no plugin has this name"))
        elif has_arguments(config.name):
            args, faults = decode_arguments(config, f"{here}.args")
            errors += faults
            if args is not None:
                given.append(args)
        met.add(config.name)
    return Arguments(given), errors


def _own_plugins(
    config: ProfileConfig, own: Mapping[str, type[Plugin]], wanted: set[str], path: str
) -> tuple[list[Plugin], list[FieldError]]:
    """Return those of the user's own plugins that take part."""
    given = {entry.name: (index, entry.args) for index, entry in enumerate(config.plugin_config)}
    plugins, errors = [], []
    for name, kind in own.items():
        if name in wanted:
            index, args = given.get(name, (0, {}))
            try:
                plugins.append(kind(**args))
            except (TypeError, ValueError) as error:
                errors.append(invalid(f"{path}[{index}].args", args, str(error)))
    return plugins, errors
