"""The client's side of TLS handshakes: whom to trust, and which certificate to show.

A context of OpenSSL takes some 30 KiB, so those who trust the same authorities share one. A
connection keeps the certificate that the context had when its handshake began; the next one may
show another.
"""

from __future__ import annotations

import ssl
import threading
from functools import lru_cache

from kubeberth.client.credentials import Credentials, Proof, client_context, load_identity

# A process speaks to few servers.
MAX_CONTEXTS = 16


class Handshakes:
    """Begins handshakes by one context, each as whoever it is for."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._shown = Proof()
        self._lock = threading.Lock()

    def check(self, proof: Proof) -> None:
        """Raise ssl.SSLError when a certificate and its key cannot be used."""
        with self._lock:
            self._show(proof)

    def begin(
        self, proof: Proof, host: str, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO
    ) -> ssl.SSLObject:
        """Begin a handshake with a host."""
        with self._lock:
            self._show(proof)
            return self._context.wrap_bio(incoming, outgoing, server_hostname=host)

    def _show(self, proof: Proof) -> None:
        if proof.cert and proof.key and proof != self._shown:
            load_identity(self._context, proof.cert, proof.key)
            self._shown = proof


def handshakes_of(credentials: Credentials, proof: Proof) -> Handshakes:
    """Return what begins handshakes with a server.

    Raises
    ------
    ssl.SSLError, ValueError
        The authorities are no PEM.
    """
    # What once had a certificate can only have another.
    return _shared(credentials.ca, credentials.insecure, bool(proof.cert and proof.key))


@lru_cache(MAX_CONTEXTS)
def _shared(ca: bytes | None, insecure: bool, shows_certificate: bool) -> Handshakes:
    return Handshakes(client_context(ca, insecure=insecure))
