"""What can be set about a scheduler, and how a configuration file sets it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from kubeberth.api.scheduler_config import KubeSchedulerConfiguration
from kubeberth.api.yaml import YAMLError, parse
from kubeberth.errors import UsageError
from kubeberth.placement.config.profiles import to_profiles
from kubeberth.placement.config.validation import decode_configuration
from kubeberth.placement.plugin import Plugin
from kubeberth.placement.profile import Profile, default_profile
from kubeberth.placement.sample import KUBE_SCHEDULER

# As a percentage; 0 leaves it to the scheduler.
ALL_NODES = 100


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a pod sits out after a failed attempt.

    Parameters
    ----------
    max_wait_s
        How long it waits at most for something to happen that may help.
    """

    initial_s: float = 1.0
    longest_s: float = 10.0
    max_wait_s: float = 300.0

    def after(self, attempts: int) -> float:
        """Return the seconds after so many failures in a row: by default 1, 2, 4, 8, 10, 10, ..."""
        if attempts == 0:
            return 0.0
        return min(self.initial_s * 2.0 ** min(attempts - 1, 30), self.longest_s)


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one scheduler.

    Parameters
    ----------
    profiles
        Pods are placed by the profile that their `spec.schedulerName` names; others are left alone.
    seed
        Decides among equally good nodes: same seed and history, same choices.
    instance
        Who reports its events; when empty, the pod's scheduler name.
    """

    profiles: tuple[Profile, ...] = field(default_factory=lambda: (_default_profile(),))
    backoff: Backoff = Backoff()
    seed: int = 0
    instance: str = ""


def parse_configuration(text: bytes) -> KubeSchedulerConfiguration:
    """Return the configuration in a YAML or JSON text.

    Raises
    ------
    UsageError
        When the text holds none, or one that cannot be; one line per fault.
    """
    repeated: list[str] = []
    try:
        document = parse(text, repeated=repeated)
    except YAMLError as error:
        raise UsageError(str(error)) from None
    if repeated:
        raise UsageError("\n".join(repeated))
    return decode_configuration(document)


def to_settings(
    configuration: KubeSchedulerConfiguration, own_plugins: Mapping[str, type[Plugin]], seed: int
) -> Settings:
    """Return the settings that a configuration means.

    Every node is looked at, whatever `percentageOfNodesToScore` and `parallelism` say (`remarks`).

    Raises
    ------
    ConfigurationError
        When a plugin cannot do what is asked of it.
    """
    profiles = to_profiles(configuration, own_plugins, KUBE_SCHEDULER)
    backoff = Backoff(
        float(configuration.pod_initial_backoff_seconds),
        float(configuration.pod_max_backoff_seconds),
    )
    return Settings(profiles, backoff, seed)


def remarks(configuration: KubeSchedulerConfiguration) -> list[str]:
    """Return what is asked for and does not happen here, one line each.

    A sample of the nodes trades the quality of decisions for time that is not needed here
    (docs/decisions/0019-every-node-is-looked-at.md).
    """
    asked = {"percentageOfNodesToScore": configuration.percentage_of_nodes_to_score}
    for index, profile in enumerate(configuration.profiles):
        name = f"profiles[{index}].percentageOfNodesToScore"
        asked[name] = profile.percentage_of_nodes_to_score or 0
    return [
        f"{name}: {percentage} has no effect: every node is looked at"
        for name, percentage in asked.items()
        if 0 < percentage < ALL_NODES
    ]


def _default_profile() -> Profile:
    """Return kube-scheduler's profile, its short searches for victims too: other pods wait."""
    return replace(default_profile(), preemption=KUBE_SCHEDULER)
