"""A certificate authority that signs what controllers decide.

Most clusters never sign anything: the library that does is loaded with the first certificate.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from kubeberth.api.certificates import EXTENDED_USAGES, KEY_USAGES, Request
from kubeberth.errors import UsageError

# Clocks that are a little late take the certificate at once.
BACKDATE = timedelta(minutes=5)


class Authority:
    """Signs certificates.

    Parameters
    ----------
    cert_file, key_file
        The authority's own, PEM.

    Raises
    ------
    UsageError
        One of the files cannot be read, or holds something else.
    """

    def __init__(self, cert_file: Path, key_file: Path) -> None:
        self._cert_pem = _read(cert_file, b"CERTIFICATE-----")
        self._key_pem = _read(key_file, b"PRIVATE KEY-----")

    def sign(self, request: Request, usages: Sequence[str], seconds: int, now: float) -> str:
        """Return a certificate, PEM."""
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization

        own = x509.load_pem_x509_certificate(self._cert_pem)
        key: Any = serialization.load_pem_private_key(self._key_pem, password=None)
        asked = x509.load_der_x509_csr(request.der)
        moment = datetime.fromtimestamp(now, UTC).replace(microsecond=0)
        until = min(moment + timedelta(seconds=seconds), own.not_valid_after_utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(asked.subject)
            .issuer_name(own.subject)
            .public_key(asked.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(moment - BACKDATE)
            .not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(**key_usage(usages)), critical=True)
        )
        if extended := [EXTENDED_USAGES[usage] for usage in usages if usage in EXTENDED_USAGES]:
            oids = [x509.ObjectIdentifier(oid) for oid in extended]
            builder = builder.add_extension(x509.ExtendedKeyUsage(oids), critical=False)
        for extension in asked.extensions:
            if isinstance(extension.value, x509.SubjectAlternativeName):
                builder = builder.add_extension(extension.value, extension.critical)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of names longer than X.520 has them
            cert = builder.sign(key, hashes.SHA256())
        return cert.public_bytes(serialization.Encoding.PEM).decode()


def key_usage(usages: Sequence[str]) -> dict[str, bool]:
    """Return what a key may do, by the names that X.509 has for it."""
    wanted = {KEY_USAGES[usage] for usage in usages if usage in KEY_USAGES}
    # These two say how keys are agreed on, and mean nothing when they are not.
    if not wanted.isdisjoint({"encipher_only", "decipher_only"}):
        wanted.add("key_agreement")
    return {name: name in wanted for name in set(KEY_USAGES.values())}


def _read(file: Path, mark: bytes) -> bytes:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot sign certificates with {file}: {error.strerror}") from error
    if mark not in content:
        what = mark.strip(b"-").decode().lower()
        raise UsageError(f"cannot sign certificates with {file}: it holds no {what}")
    return content
