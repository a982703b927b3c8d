"""The key that signs the tokens of service accounts: ES256 over P-256, kept in a private file.

Tokens are JSON Web Tokens (RFC 7519) in compact form; the key is published as RFC 7517 has it.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from kubeberth.errors import UsageError
from kubeberth.private_file import write_private

ALGORITHM = "ES256"
_HASH = ec.ECDSA(hashes.SHA256())
# Of each half of a signature, and of each coordinate of the key.
_BYTES = 32


class TokenError(ValueError):
    """A text is no token, or not one of ours."""


class SigningKey:
    """Signs tokens, and knows its own again."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        self._public = key.public_key()
        der = self._public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.key_id = _text(hashlib.sha256(der).digest())

    @classmethod
    def generate(cls) -> SigningKey:
        """Return a new key."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def of_file(cls, path: Path) -> SigningKey:
        """Return the key of a file, which is made when it is not there.

        Raises
        ------
        UsageError
            The file holds something else, or cannot be read or made.
        """
        try:
            if not path.exists():
                write_private(path, cls.generate().pem())
            key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it holds no private key"
            raise UsageError(f"cannot sign tokens with {path}: {why}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
            raise UsageError(f"cannot sign tokens with {path}: it holds no P-256 key")
        return cls(key)

    def pem(self) -> bytes:
        """Return the private key as a file holds it."""
        return self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    def public_jwk(self) -> dict[str, str]:
        """Return the public key for everybody who verifies tokens."""
        numbers = self._public.public_numbers()
        return {
            "use": "sig",
            "kty": "EC",
            "kid": self.key_id,
            "crv": "P-256",
            "alg": ALGORITHM,
            "x": _text(numbers.x.to_bytes(_BYTES)),
            "y": _text(numbers.y.to_bytes(_BYTES)),
        }

    def sign(self, claims: dict[str, Any]) -> str:
        """Return a token with some claims."""
        header = {"alg": ALGORITHM, "kid": self.key_id}
        signed = ".".join(_text(msgspec.json.encode(part)) for part in (header, claims))
        r, s = utils.decode_dss_signature(self._key.sign(signed.encode(), _HASH))
        return f"{signed}.{_text(r.to_bytes(_BYTES) + s.to_bytes(_BYTES))}"

    def has_signed(self, token: str) -> bool:
        """Return whether this key has signed a token."""
        signed, _, signature = token.rpartition(".")
        try:
            raw, header = _bytes(signature), _json(signed.partition(".")[0])
        except TokenError:
            return False
        if len(raw) != 2 * _BYTES or header.get("alg") != ALGORITHM:
            return False
        halves = (int.from_bytes(raw[:_BYTES]), int.from_bytes(raw[_BYTES:]))
        try:
            self._public.verify(utils.encode_dss_signature(*halves), signed.encode(), _HASH)
        except InvalidSignature:
            return False
        return True


def claims_of(token: str) -> dict[str, Any]:
    """Return what a token claims, whoever has signed it.

    Raises
    ------
    TokenError
        It is none.
    """
    parts = token.split(".")
    if len(parts) != 3:
        raise TokenError("a token has three parts")
    return _json(parts[1])


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError as error:
        raise TokenError("not base64") from error
    if _text(raw) != text:  # the decoder reads over what it does not know
        raise TokenError("not base64")
    return raw


def _json(text: str) -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(_bytes(text))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TokenError("not JSON") from error
    if not isinstance(decoded, dict):
        raise TokenError("not an object")
    return decoded
