from kubeberth.testing.cluster import BerthCluster as BerthCluster
from kubeberth.testing.cluster import start_cluster as start_cluster
from kubeberth.testing.plugin_check import PluginFaultError as PluginFaultError
from kubeberth.testing.plugin_check import Report as Report
from kubeberth.testing.plugin_check import check_plugin as check_plugin
