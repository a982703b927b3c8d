"""By which rules a cluster in memory places pods."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from kubeberth.api.yaml import YAMLError, parse
from kubeberth.errors import ManifestError
from kubeberth.extensions import own_plugins
from kubeberth.placement.config.profiles import to_profiles
from kubeberth.placement.config.validation import decode_configuration
from kubeberth.placement.profile import Profile

Configuration = str | PathLike[str] | Mapping[str, Any]
"""A `KubeSchedulerConfiguration`: the file that holds it, or its content."""


def configured_profiles(configuration: Configuration) -> tuple[Profile, ...]:
    """Return the profiles of a configuration; installed plugins of one's own may take part.

    Raises
    ------
    ManifestError
        When the file is no YAML.
    ConfigurationError
        When kube-scheduler would refuse the configuration, or a plugin is missing.
    """
    if isinstance(configuration, Mapping):
        document: object = dict(configuration)
    else:
        path = Path(configuration)
        try:
            document = parse(path.read_bytes())
        except YAMLError as error:
            raise ManifestError(f"{path}: {error}") from error
    return to_profiles(decode_configuration(document), own_plugins())
