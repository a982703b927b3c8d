"""Helpers for the tests of others: clusters to test against, and checks of plugins."""

from importlib import import_module

# Imported when asked for: the pytest plugin lives here, too, and is part of every start of pytest.
_HOMES = {
    "BerthCluster": "kubeberth.testing.cluster",
    "PluginFaultError": "kubeberth.testing.plugin_check",
    "Report": "kubeberth.testing.plugin_check",
    "check_plugin": "kubeberth.testing.plugin_check",
    "start_cluster": "kubeberth.testing.cluster",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
