"""A configuration file, decoded, filled up with defaults and checked.

Matches kube-scheduler 1.36 (apis/config/v1/defaults.go, apis/config/validation/validation.go).
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from kubeberth.api.scheduler_config import (
    DEFAULT_SCHEDULER_NAME,
    GROUP_VERSION,
    KIND,
    KubeSchedulerConfiguration,
    LeaderElection,
    ProfileConfig,
)
from kubeberth.api.times import duration_s
from kubeberth.api.validation.field_error import (
    FieldError,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from kubeberth.placement.config.arguments import duration_faults
from kubeberth.placement.config.decoding import ConfigurationError, decode

_NO_SHORTER_S = 1e-9
_PERCENTAGE = "not in valid range [0-100]"


def decode_configuration(document: object) -> KubeSchedulerConfiguration:
    """Return the configuration that a parsed file holds.

    Raises
    ------
    ConfigurationError
        When kube-scheduler would refuse it, or it asks for something that is not there.
    """
    if not isinstance(document, dict):
        detail = f"must be a mapping with apiVersion: {GROUP_VERSION} and kind: {KIND}"
        raise ConfigurationError([FieldError("FieldValueTypeInvalid", "the file", detail)])
    errors = [
        not_supported(field, document.get(field, ""), (wanted,))
        for field, wanted in (("apiVersion", GROUP_VERSION), ("kind", KIND))
        if document.get(field) != wanted
    ]
    configuration, faults = decode(document, KubeSchedulerConfiguration)
    errors += faults
    if configuration is None:
        raise ConfigurationError(errors)
    configuration = _with_names(configuration)
    errors += _faults(configuration)
    if errors:
        raise ConfigurationError(errors)
    return configuration


def _with_names(configuration: KubeSchedulerConfiguration) -> KubeSchedulerConfiguration:
    """Fill in the name of a profile that is the only one."""
    profiles = configuration.profiles or (ProfileConfig(),)
    if len(profiles) == 1 and not profiles[0].scheduler_name:
        name = DEFAULT_SCHEDULER_NAME
        profiles = (msgspec.structs.replace(profiles[0], scheduler_name=name),)
    return msgspec.structs.replace(configuration, profiles=profiles)


def _faults(configuration: KubeSchedulerConfiguration) -> Iterator[FieldError]:
    if configuration.parallelism <= 0:
        detail = "should be an integer value greater than zero"
        yield invalid("parallelism", configuration.parallelism, detail)
    yield from _percentage_faults(
        configuration.percentage_of_nodes_to_score, "percentageOfNodesToScore"
    )
    initial, longest = (
        configuration.pod_initial_backoff_seconds,
        configuration.pod_max_backoff_seconds,
    )
    if initial <= 0:
        yield invalid("podInitialBackoffSeconds", initial, "must be greater than 0")
    if longest < initial:
        detail = "must be greater than or equal to PodInitialBackoffSeconds"
        yield invalid("podMaxBackoffSeconds", longest, detail)
    yield from leader_election_faults(configuration.leader_election, "leaderElection")
    names = [profile.scheduler_name for profile in configuration.profiles]
    for index, profile in enumerate(configuration.profiles):
        path = f"profiles[{index}]"
        if not profile.scheduler_name:
            yield required(f"{path}.schedulerName", "with several profiles, each needs a name")
        elif profile.scheduler_name in names[:index]:
            yield duplicate(f"{path}.schedulerName", profile.scheduler_name)
        yield from _percentage_faults(
            profile.percentage_of_nodes_to_score, f"{path}.percentageOfNodesToScore"
        )
    if configuration.extenders:
        yield forbidden("extenders", "no extender is called here; a plugin can do the same")


def _percentage_faults(percentage: int | None, path: str) -> Iterator[FieldError]:
    if percentage is not None and not 0 <= percentage <= 100:
        yield invalid(path, percentage, _PERCENTAGE)


def leader_election_faults(election: LeaderElection, path: str) -> Iterator[FieldError]:
    """Yield why a seat cannot be held like this."""
    if not election.leader_elect:
        return
    durations = {
        "leaseDuration": election.lease_duration,
        "renewDeadline": election.renew_deadline,
        "retryPeriod": election.retry_period,
    }
    faults = [
        fault
        for field, text in durations.items()
        for fault in duration_faults(text, f"{path}.{field}", at_least_s=_NO_SHORTER_S)
    ]
    yield from faults
    if not faults and duration_s(election.lease_duration) < duration_s(election.renew_deadline):
        detail = "LeaseDuration must be greater than RenewDeadline"
        yield invalid(f"{path}.leaseDuration", election.lease_duration, detail)
    if election.resource_lock != "leases":
        detail = 'resourceLock value must be "leases"'
        yield invalid(f"{path}.resourceLock", election.resource_lock, detail)
