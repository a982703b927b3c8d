"""Plugins that take part only where a configuration enables them: ours, and those of others.

The latter are found by the entry point group `kubeberth.plugins`.

An entry point's name is the plugin's, its value the plugin's class:

    [project.entry-points."kubeberth.plugins"]
    RackHeadroom = "my_package.racks:RackHeadroom"
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points

from kubeberth.errors import UsageError
from kubeberth.placement.extension_points import IN_TREE
from kubeberth.placement.plugin import Plugin
from kubeberth.placement.plugins.node_resource_topology_match import NodeResourceTopologyMatch
from kubeberth.placement.profile import points_of

GROUP = "kubeberth.plugins"

OPTIONAL_PLUGINS: Mapping[str, type[Plugin]] = {
    NodeResourceTopologyMatch.name: NodeResourceTopologyMatch,
}


def own_plugins() -> Mapping[str, type[Plugin]]:
    """Return the plugins by name that are not kube-scheduler's: ours, and the installed ones.

    Raises
    ------
    UsageError
        When one of them cannot be loaded, or is no plugin.
    """
    installed = {entry.name: load(entry) for entry in entry_points(group=GROUP)}
    return {**OPTIONAL_PLUGINS, **installed}


def load(entry: EntryPoint) -> type[Plugin]:
    """Return the plugin that an entry point names."""
    where = f'plugin "{entry.name}" ({entry.value})'
    try:
        plugin = entry.load()
    except Exception as error:
        raise UsageError(f"{where} cannot be loaded: {error!r}") from error
    if entry.name in {known.name for known in IN_TREE}:
        raise UsageError(f"{where} has the name of a plugin of kube-scheduler; give it its own")
    if entry.name in OPTIONAL_PLUGINS:
        raise UsageError(f"{where} has the name of a plugin of kubeberth; give it its own")
    if not isinstance(plugin, type):
        raise UsageError(f"{where} must be a class")
    if getattr(plugin, "name", None) != entry.name:
        raise UsageError(f'{where} must have the attribute name = "{entry.name}"')
    if not points_of(plugin):
        raise UsageError(f"{where} must have a method filter or score")
    return plugin
