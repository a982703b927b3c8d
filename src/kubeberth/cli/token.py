"""`berth token`: invitations for nodes."""

from __future__ import annotations

import asyncio
import re
import secrets
import shlex
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from kubeberth.api import bootstrap_tokens
from kubeberth.api.bootstrap_tokens import BootstrapToken
from kubeberth.api.scheme import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, SECRETS, Resource
from kubeberth.cli.options import kubeconfig_option
from kubeberth.client.client import Client
from kubeberth.clock import SystemClock, rfc3339
from kubeberth.errors import AlreadyExistsError, NotFoundError, UsageError
from kubeberth.private_file import write_private

JOINING = "system:bootstrappers:berth:default-node-token"
_LETTERS = string.ascii_lowercase + string.digits
_TTL = re.compile(r"(\d+)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# What whoever joins must be allowed: to ask, and to be given what is asked for. Nobody is, before
# the first token is made.
_SIGNING = "system:certificates.k8s.io:certificatesigningrequests"
BINDINGS = (
    ("berth:kubelet-bootstrap", "system:node-bootstrapper", JOINING),
    ("berth:node-autoapprove-bootstrap", f"{_SIGNING}:nodeclient", JOINING),
    ("berth:node-autoapprove-certificate-rotation", f"{_SIGNING}:selfnodeclient", "system:nodes"),
)


@click.group("token")
def command() -> None:
    """Invite nodes."""


@command.command("create")
@kubeconfig_option
@click.option("--ttl", default="24h", show_default=True, help="How long it counts; 0 is for ever.")
@click.option(
    "--groups",
    multiple=True,
    default=(JOINING,),
    show_default=True,
    help="Groups of whoever shows it. May be repeated.",
)
@click.option("--description", default="", help="What it is for.")
def create(kubeconfig: Path, ttl: str, groups: tuple[str, ...], description: str) -> None:
    """Make a token, and print the command by which nodes join with it.

    Whoever has the token may have a node's certificate: hand it on with care, and not for long.
    """
    seconds = _seconds(ttl)
    for group in groups:
        if not bootstrap_tokens.is_extra_group(group):
            raise UsageError(
                f"{group!r} is no group for a token: these begin with system:bootstrappers:"
            )
    token = BootstrapToken(
        _random(6),
        _random(16),
        groups=groups,
        description=description,
    )
    expiration = rfc3339(SystemClock().now() + seconds) if seconds else ""
    click.echo(asyncio.run(_create(kubeconfig, token, expiration)))


@command.command("list")
@kubeconfig_option
def list_(kubeconfig: Path) -> None:
    """Show the tokens that there are, without what is secret of them."""
    rows = [("ID", "EXPIRES", "GROUPS", "DESCRIPTION"), *asyncio.run(_list(kubeconfig))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("   ".join(map(str.ljust, row, widths)).rstrip())


@command.command("delete")
@kubeconfig_option
@click.argument("token")
def delete(kubeconfig: Path, token: str) -> None:
    """Take a token back, by its id or as a whole."""
    pair = bootstrap_tokens.split_token(token)
    token_id = pair[0] if pair else token
    if not bootstrap_tokens.is_token_id(token_id):
        raise UsageError(f"{token_id!r} is no id of a token: these have six letters and digits")
    asyncio.run(_delete(kubeconfig, token_id))
    click.echo(f"Deleted the token {token_id}.")


async def _create(kubeconfig: Path, token: BootstrapToken, expiration: str) -> str:
    async with Client.from_kubeconfig(kubeconfig) as client:
        for name, role, group in BINDINGS:
            await _ensure(client, CLUSTER_ROLE_BINDINGS, _binding(name, role, group))
        await client.create(SECRETS, token.manifest(expiration))
        credentials = client.credentials
    if credentials.ca is None:
        raise UsageError(f"{kubeconfig} names no certificate authority for nodes to trust")
    authority = kubeconfig.absolute().with_name(f"{kubeconfig.name}.ca.crt")
    write_private(authority, credentials.ca)
    return shlex.join(
        [
            *("berth", "nodes", "--join", credentials.server, "--token", token.text),
            *("--certificate-authority", str(authority)),
            *("--identities", "identities", "--filename", "nodes.yaml"),
        ]
    )


async def _ensure(client: Client, resource: Resource, document: dict[str, Any]) -> None:
    try:
        await client.create(resource, document)
    except AlreadyExistsError:
        return


def _binding(name: str, role: str, group: str) -> dict[str, Any]:
    rbac = CLUSTER_ROLES.group
    return {
        "apiVersion": CLUSTER_ROLE_BINDINGS.api_version,
        "kind": CLUSTER_ROLE_BINDINGS.kind,
        "metadata": {"name": name},
        "roleRef": {"apiGroup": rbac, "kind": CLUSTER_ROLES.kind, "name": role},
        "subjects": [{"apiGroup": rbac, "kind": "Group", "name": group}],
    }


async def _list(kubeconfig: Path) -> list[tuple[str, ...]]:
    async with Client.from_kubeconfig(kubeconfig) as client:
        selector = f"type={bootstrap_tokens.TYPE}"
        found = await client.list(SECRETS, bootstrap_tokens.NAMESPACE, field_selector=selector)
    return list(_rows(found["items"]))


def _rows(items: list[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    now = SystemClock().now()
    for item in items:
        token = bootstrap_tokens.token_of({"type": bootstrap_tokens.TYPE, **item})
        if token is None:
            continue
        expires = "never" if token.expires_at is None else rfc3339(token.expires_at)
        if token.is_expired(now):
            expires = "expired"
        yield token.token_id, expires, ",".join(token.groups) or "-", token.description or "-"


async def _delete(kubeconfig: Path, token_id: str) -> None:
    async with Client.from_kubeconfig(kubeconfig) as client:
        name = bootstrap_tokens.NAME_PREFIX + token_id
        try:
            await client.delete(SECRETS, name, bootstrap_tokens.NAMESPACE)
        except NotFoundError:
            raise UsageError(f"there is no token {token_id}") from None


def _random(length: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


def _seconds(text: str) -> int:
    found = _TTL.fullmatch(text)
    if found is None and text != "0":
        raise UsageError(f"{text!r} is no duration: write 30m, 24h or 7d, or 0 for ever")
    return int(found[1]) * _SECONDS[found[2]] if found else 0
