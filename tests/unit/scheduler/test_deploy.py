"""The manifests under deploy/ grant what the scheduler does, no more and no less."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kubeberth.api.scheme import (
    LEASES,
    NEW_EVENTS,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    SUBJECT_ACCESS_REVIEWS,
    TOKEN_REVIEWS,
)
from kubeberth.api.yaml import parse_documents
from kubeberth.placement.observed import OBSERVED
from kubeberth.scheduler.config import parse_configuration, to_settings

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"


def manifests() -> Iterator[dict[str, Any]]:
    for path in sorted(DEPLOY.glob("*.yaml")):
        yield from parse_documents(path.read_bytes())


def find(kind: str) -> dict[str, Any]:
    [found] = [document for document in manifests() if document["kind"] == kind]
    return found


def granted(role: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_the_cluster_role_grants_what_is_followed_and_what_is_written() -> None:
    followed = {
        (resource.group, resource.plural, verb)
        for resource in (*OBSERVED.values(), PODS)
        for verb in ("list", "watch")
    }
    written = {
        (PODS.group, "pods", "get"),
        (PODS.group, "pods", "delete"),
        (PODS.group, "pods/binding", "create"),
        (PODS.group, "pods/status", "patch"),
        (NEW_EVENTS.group, "events", "create"),
        (NEW_EVENTS.group, "events", "patch"),
        *(
            ("", volume.plural, "patch")
            for volume in (PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES)
        ),
        *((r.group, r.plural, "create") for r in (TOKEN_REVIEWS, SUBJECT_ACCESS_REVIEWS)),
    }
    assert granted(find("ClusterRole")) == followed | written


def test_the_role_grants_the_lease_that_the_configuration_names() -> None:
    configuration = parse_configuration(find("ConfigMap")["data"]["scheduler.yaml"].encode())
    settings = to_settings(configuration, {}, seed=0)
    assert [profile.name for profile in settings.profiles] == ["berth"]
    role, election = find("Role"), configuration.leader_election
    assert role["metadata"]["namespace"] == election.resource_namespace
    named = [rule for rule in role["rules"] if "resourceNames" in rule]
    assert [rule["resourceNames"] for rule in named] == [[election.resource_name]]
    assert granted(role) == {
        *((LEASES.group, "leases", verb) for verb in ("create", "get", "update")),
        *(("", "events", verb) for verb in ("create", "patch")),
    }


def test_everything_hangs_together() -> None:
    account = find("ServiceAccount")["metadata"]
    for kind, role in (("ClusterRoleBinding", "ClusterRole"), ("RoleBinding", "Role")):
        binding = find(kind)
        assert binding["roleRef"]["name"] == find(role)["metadata"]["name"]
        [subject] = binding["subjects"]
        assert (subject["name"], subject["namespace"]) == (account["name"], account["namespace"])
    pod = find("Deployment")["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == account["name"]
    [config] = [volume["configMap"] for volume in pod["volumes"] if "configMap" in volume]
    assert config["name"] == find("ConfigMap")["metadata"]["name"]
