"""The handshake asks for a certificate and takes any; `certificates` decides what it is worth.

kube-apiserver does the same, so that a client with a bad certificate is told "Unauthorized" and not
just hung up on. Python's `ssl` cannot ask without judging: `accept_any_certificate` changes that
where it safely can, and where it cannot, the handshake judges too. Nobody is let in by a handshake.
"""

from __future__ import annotations

import _ssl  # the module whose OpenSSL `ssl` uses
import ctypes
import logging
import ssl
import sys
from typing import Any

logger = logging.getLogger(__name__)

# Releases whose `PySSLContext` is known to begin with its `SSL_CTX *`.
KNOWN_LAYOUTS = ((3, 11), (3, 14))

_VERIFY = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)

# Takes the place of OpenSSL's path validation, and says yes. OpenSSL calls it for as long as the
# process lives, so it stays here.
_accept = _VERIFY(lambda _chain, _argument: 1)


def shown_chain(tls: Any) -> tuple[bytes, ...]:
    """Return what the other end has shown, DER, its own certificate first; unverified."""
    certificate = tls.getpeercert(binary_form=True) if tls is not None else None
    if not certificate:
        return ()
    # Public from Python 3.13 on.
    read = getattr(tls, "get_unverified_chain", None) or tls._sslobj.get_unverified_chain
    chain = (_der(shown) for shown in read() or ())
    return certificate, *(other for other in chain if other != certificate)


def _der(certificate: Any) -> bytes:
    if isinstance(certificate, bytes):
        return certificate
    der: bytes = certificate.public_bytes(_ssl.ENCODING_DER)
    return der


def accept_any_certificate(context: ssl.SSLContext) -> bool:
    """Let handshakes pass whatever the client shows; return whether that could be done.

    See docs/decisions/0002-bad-client-certificates-are-told-so.md for why it is done like this.
    """
    version = sys.version_info[:2]
    is_known = KNOWN_LAYOUTS[0] <= version <= KNOWN_LAYOUTS[1]
    if sys.implementation.name != "cpython" or not is_known:
        return False
    try:
        openssl = _openssl()
    except (OSError, AttributeError):
        return False
    address = _address(context)
    if not address or not _is_context(openssl, address, context):
        return False
    openssl.SSL_CTX_set_cert_verify_callback(address, _accept, None)
    return True


def _openssl() -> ctypes.CDLL:
    """Return the very OpenSSL that `ssl` is linked with.

    Raises
    ------
    OSError, AttributeError
        It cannot be found, or hides its functions.
    """
    # Built into the interpreter, `_ssl` has no file.
    library = ctypes.CDLL(getattr(_ssl, "__file__", None))
    library.OpenSSL_version.restype = ctypes.c_char_p
    library.OpenSSL_version.argtypes = [ctypes.c_int]
    if library.OpenSSL_version(0).decode() != ssl.OPENSSL_VERSION:
        raise OSError("another OpenSSL")
    library.SSL_CTX_get_verify_mode.argtypes = [ctypes.c_void_p]
    library.SSL_CTX_get_options.argtypes = [ctypes.c_void_p]
    library.SSL_CTX_get_options.restype = ctypes.c_uint64
    replace = library.SSL_CTX_set_cert_verify_callback
    replace.argtypes = [ctypes.c_void_p, _VERIFY, ctypes.c_void_p]
    replace.restype = None
    return library


def _address(context: ssl.SSLContext) -> int | None:
    """Return the first field of a context."""
    where = id(context) + object.__basicsize__
    return ctypes.c_void_p.from_address(where).value


def _is_context(openssl: ctypes.CDLL, address: int, context: ssl.SSLContext) -> bool:
    """Tell whether the `SSL_CTX` at an address is the context's: it says the same of itself."""
    return bool(
        openssl.SSL_CTX_get_verify_mode(address) == int(context.verify_mode)
        and openssl.SSL_CTX_get_options(address) & 0xFFFFFFFF == int(context.options) & 0xFFFFFFFF
    )
