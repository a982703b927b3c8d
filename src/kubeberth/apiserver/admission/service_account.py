"""ServiceAccount: a new pod runs as an account of its namespace and gets its token mounted.

Matches `plugin/pkg/admission/serviceaccount` of Kubernetes 1.36.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import Any

from kubeberth.api.pod_references import MIRROR, Container, ReferringPod, referring_pod
from kubeberth.api.scheme import PODS, SERVICE_ACCOUNTS
from kubeberth.apiserver.admission.chain import Attributes, Document, Plugin, Reader
from kubeberth.apiserver.strategy import generated_name

MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
VOLUME_PREFIX = "kube-api-access-"
ENFORCE = "kubernetes.io/enforce-mountable-secrets"
# As Go's `strconv.ParseBool` reads it.
_TRUE = ("1", "t", "true")
# The account of a fresh namespace comes from a controller: upstream waits ten times 100 ms for it.
ATTEMPTS = 10
PAUSE_S = 0.1


class ServiceAccount(Plugin):
    """Fills in the account and mounts its token."""

    resources = (PODS,)

    def __init__(self, reader: Reader, chance: random.Random) -> None:
        self._reader = reader
        self._chance = chance

    async def admit(self, attributes: Attributes) -> None:
        """Fill in account, pull secrets and token of a new pod."""
        pod = attributes.document
        if pod is None or attributes.operation != "CREATE":
            return
        if MIRROR in pod["metadata"].get("annotations", {}):
            _check_mirror(attributes, referring_pod(pod))
            return
        spec = pod["spec"]
        name = spec.get("serviceAccountName") or "default"
        spec["serviceAccountName"] = spec["serviceAccount"] = name
        account = await self._account(attributes, name)
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = account["imagePullSecrets"]
        if spec.get(
            "automountServiceAccountToken", account.get("automountServiceAccountToken", True)
        ):
            self._mount_token(spec)

    async def validate(self, attributes: Attributes) -> None:
        """Refuse secrets that are not the account's, if it says that its own are all."""
        pod, sub = attributes.document, attributes.subresource
        if pod is None:
            return
        is_new = attributes.operation == "CREATE" and not sub
        if not is_new and sub != "ephemeralcontainers":
            return
        name = pod["spec"].get("serviceAccountName", "")
        account = self._reader.find(SERVICE_ACCOUNTS, attributes.namespace, name)
        if account is None or not _is_enforcing(account):
            return
        why = next(_foreign_secrets(referring_pod(pod), account, only_ephemeral=not is_new), "")
        if why:
            raise attributes.forbid(why)

    async def _account(self, attributes: Attributes, name: str) -> Document:
        namespace = attributes.namespace
        for attempt in range(ATTEMPTS):
            account = self._reader.find(SERVICE_ACCOUNTS, namespace, name)
            if account is not None:
                return account
            if name != "default":
                break
            if attempt < ATTEMPTS - 1:
                await asyncio.sleep(PAUSE_S)
        raise attributes.forbid(
            f"error looking up service account {namespace}/{name}: "
            f'serviceaccount "{name}" not found'
        )

    def _mount_token(self, spec: dict[str, Any]) -> None:
        volumes = spec.get("volumes", [])
        mounted = next((v for v in volumes if v["name"].startswith(VOLUME_PREFIX)), None)
        volume = mounted or token_volume(generated_name(VOLUME_PREFIX, self._chance))
        mount = {"name": volume["name"], "readOnly": True, "mountPath": MOUNT_PATH}
        is_used = False
        for container in (*spec.get("initContainers", ()), *(spec.get("containers") or ())):
            mounts = container.get("volumeMounts", [])
            if all(other.get("mountPath") != MOUNT_PATH for other in mounts):
                container["volumeMounts"] = [*mounts, dict(mount)]
                is_used = True
        if is_used and mounted is None:
            spec["volumes"] = [*volumes, volume]


def _is_enforcing(account: Document) -> bool:
    annotations = account["metadata"].get("annotations") or {}
    return str(annotations.get(ENFORCE, "")).lower() in _TRUE


def _foreign_secrets(
    pod: ReferringPod, account: Document, *, only_ephemeral: bool
) -> Iterator[str]:
    """Yield what is wrong with each secret that an account does not list."""
    listed = {reference.get("name") for reference in account.get("secrets") or ()}
    tail = (
        f"is not allowed because service account {account['metadata']['name']} does not reference "
        "that"
    )
    spec = pod.spec
    if only_ephemeral:
        yield from _foreign_in("ephemeral container", spec.ephemeral_containers, listed, tail)
        return
    for volume in spec.volumes or ():
        if volume.secret is not None and volume.secret.secret_name not in listed:
            name = volume.secret.secret_name
            yield f'volume with secret.secretName="{name}" {tail} secret'
    yield from _foreign_in("init container", spec.init_containers, listed, tail)
    yield from _foreign_in("container", spec.containers, listed, tail)
    pulled = {reference.get("name") for reference in account.get("imagePullSecrets") or ()}
    for index, reference in enumerate(spec.image_pull_secrets or ()):
        if reference.name not in pulled:
            yield f'imagePullSecrets[{index}].name="{reference.name}" {tail} imagePullSecret'


def _foreign_in(
    what: str, containers: tuple[Container, ...] | None, listed: set[Any], tail: str
) -> Iterator[str]:
    for container in containers or ():
        found = [(f"envVar {variable}", name) for variable, name in container.env_secrets()]
        found += [("envFrom", name) for name in container.env_from_secrets()]
        for how, name in found:
            if name not in listed:
                yield (
                    f'{what} {container.name} with {how} referencing secret.secretName="{name}" '
                    f"{tail} secret"
                )


def _check_mirror(attributes: Attributes, pod: ReferringPod) -> None:
    """Refuse a mirror pod that would need what its node must not have for it."""
    if pod.spec.service_account_name:
        raise attributes.forbid("a mirror pod may not reference service accounts")
    if any(True for _ in pod.secrets()):
        raise attributes.forbid("a mirror pod may not reference secrets")
    sources = (source for volume in pod.spec.volumes or () for source in volume.sources)
    if any(source.service_account_token is not None for source in sources):
        raise attributes.forbid("a mirror pod may not use ServiceAccountToken volume projections")


def token_volume(name: str) -> dict[str, Any]:
    """Return the volume with token, certificate and namespace."""
    token = {"expirationSeconds": 3607, "path": "token"}
    certificate = {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    namespace = {
        "path": "namespace",
        "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
    }
    sources = [
        {"serviceAccountToken": token},
        {"configMap": certificate},
        {"downwardAPI": {"items": [namespace]}},
    ]
    return {"name": name, "projected": {"sources": sources, "defaultMode": 420}}
