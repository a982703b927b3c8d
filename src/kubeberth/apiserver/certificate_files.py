"""The server's certificate, and who signs those of clients, as they are in their files now.

Rule 1  Files are looked at again and again; new ones count from the next handshake on, and for
        connections that are open from the next request on.
Rule 2  Files that cannot be used leave what was there: somebody may be writing them.

kube-apiserver does the same (`k8s.io/apiserver/pkg/server/dynamiccertificates`).
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path

from kubeberth.apiserver.auth.authn import Authenticator
from kubeberth.apiserver.auth.certificates import ClientCertificates

logger = logging.getLogger(__name__)

LOOK_AGAIN_S = 60.0

Stamp = tuple[tuple[int, int, int] | None, ...]


class CertificateFiles:
    """Takes in what changes in the files.

    Parameters
    ----------
    context
        That of the server's handshakes.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        authenticator: Authenticator,
        *,
        cert_file: Path,
        key_file: Path,
        client_ca_file: Path,
    ) -> None:
        self._context = context
        self._authenticator = authenticator
        self._own = (cert_file, key_file)
        self._authorities = client_ca_file
        self._own_stamp = _stamp(*self._own)
        self._authorities_stamp = _stamp(client_ca_file)

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            await asyncio.sleep(LOOK_AGAIN_S)
            self.look()

    def look(self) -> None:
        """Take in what has changed."""
        stamp = _stamp(*self._own)
        if stamp != self._own_stamp:
            self._own_stamp = stamp
            self._take_own()
        stamp = _stamp(self._authorities)
        if stamp != self._authorities_stamp:
            self._authorities_stamp = stamp
            self._take_authorities()

    def _take_own(self) -> None:
        try:
            # Into another context first: half a pair must not take the place of a whole one.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*self._own)
            self._context.load_cert_chain(*self._own)
        except (OSError, ssl.SSLError) as error:
            file = self._own[0]
            logger.warning("keeping the last certificate, as %s cannot be used: %s", file, error)
        else:
            logger.info("took in a new certificate: %s", self._own[0])

    def _take_authorities(self) -> None:
        file = self._authorities
        try:
            certificates = ClientCertificates(file.read_bytes())
            if self._context.cert_store_stats()["x509"]:
                # The handshake judges as well, see `auth.tls`.
                self._context.load_verify_locations(file)
        except (OSError, ValueError, ssl.SSLError) as error:
            logger.warning("keeping the authorities, as %s cannot be used: %s", file, error)
        else:
            self._authenticator.trust(certificates)
            logger.info("took in new authorities of clients: %s", file)


def _stamp(*files: Path) -> Stamp:
    """Return what changes when a file does."""
    return tuple(map(_stamp_of, files))


def _stamp_of(file: Path) -> tuple[int, int, int] | None:
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
