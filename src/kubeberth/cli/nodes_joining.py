"""`berth nodes --join`: certificates for nodes that have none.

A module of its own, since most nodes have theirs: what reads and asks for certificates takes more
memory than hundreds of nodes.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from kubeberth.client.client import Client
from kubeberth.client.credentials import Credentials
from kubeberth.clock import SystemClock
from kubeberth.errors import UsageError
from kubeberth.kubelet.joining import join
from kubeberth.private_file import write_private

# A certificate that ends sooner is asked for anew.
RENEW_BEFORE = timedelta(days=1)
JOINING_AT_ONCE = 32


async def join_all(credentials: Credentials, nodes: list[str], identities: Path) -> None:
    """Lay a certificate and its key into a folder for every node that has none there.

    Raises
    ------
    UsageError
        There is no token, or some node is not given a certificate.
    """
    missing = [node for node in nodes if not _is_good(identities / f"{node}.pem")]
    if not missing:
        return
    if not credentials.token:
        raise UsageError(f"node {missing[0]} has no certificate in {identities}: name a --token")
    identities.mkdir(mode=0o700, parents=True, exist_ok=True)
    places = asyncio.Semaphore(JOINING_AT_ONCE)
    async with Client(credentials, user_agent="kubelet") as client:

        async def one(node: str) -> None:
            async with places:
                write_private(identities / f"{node}.pem", await join(client, node))

        async with asyncio.TaskGroup() as tasks:
            for node in missing:
                tasks.create_task(one(node))


def _is_good(path: Path) -> bool:
    """Return whether a file holds a certificate that does not end soon."""
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return False
    now = datetime.fromtimestamp(SystemClock().now(), UTC)
    return certificate.not_valid_after_utc - RENEW_BEFORE > now
