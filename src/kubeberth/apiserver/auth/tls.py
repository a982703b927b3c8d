"""The connection knows who is at its other end: uvicorn's protocol, plus the peer certificate.

ASGI servers keep the peer certificate to themselves, so the user is put into the scope here, once
per connection, as `scope["state"]["user"]`.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kubeberth.apiserver.auth.authn import user_of_certificate


class PeerCertificateProtocol(HttpToolsProtocol):
    """HTTP/1.1 whose requests carry the user of the client certificate."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Read the certificate that the handshake has verified."""
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert() if tls is not None else None
        self.app_state = {**self.app_state, "user": user_of_certificate(certificate)}
