"""Helpers for the tests of others: checks of plugins that are not ours."""

from kubeberth.testing.plugin_check import PluginFaultError, Report, check_plugin

__all__ = ["PluginFaultError", "Report", "check_plugin"]
