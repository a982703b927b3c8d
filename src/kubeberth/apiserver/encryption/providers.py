"""How values are sealed, and opened again; each tells by a prefix what it has sealed.

    k8s:enc:aesgcm:v1:KEY:  a nonce of 12 bytes, and what AES-GCM makes of the value
    anything else           the value itself

A value is sealed together with the key under which it is stored, so that nobody can put one in the
place of another.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PREFIX = b"k8s:enc:"
_NONCE_BYTES = 12


class UnreadableError(ValueError):
    """A value cannot be opened; the text says why."""


class Provider(Protocol):
    """One way to seal a value.

    Attributes
    ----------
    prefix
        Of what it has sealed; empty when it seals nothing.
    """

    prefix: bytes

    def seal(self, key: str, value: bytes) -> bytes:
        """Return a value without its prefix, as it is stored under a key."""

    def open(self, key: str, sealed: bytes) -> bytes:
        """Return what was sealed; raise UnreadableError if that was changed."""


class Identity:
    """Seals nothing."""

    prefix = b""

    def seal(self, key: str, value: bytes) -> bytes:
        """Return the value."""
        return value

    def open(self, key: str, sealed: bytes) -> bytes:
        """Return the value."""
        return sealed


class AesGcm:
    """AES in Galois/Counter mode."""

    def __init__(self, name: str, secret: bytes) -> None:
        self.prefix = b"%saesgcm:v1:%s:" % (PREFIX, name.encode())
        self._cipher = AESGCM(secret)

    def seal(self, key: str, value: bytes) -> bytes:
        """Return nonce and ciphertext."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, value, key.encode())

    def open(self, key: str, sealed: bytes) -> bytes:
        """Return what was sealed."""
        nonce, cipher = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, cipher, key.encode())
        except (InvalidTag, ValueError) as error:
            raise UnreadableError("it was sealed with another key, or changed") from error


class Providers:
    """Seals with the first of some providers, and opens what any of them has sealed."""

    def __init__(self, providers: Sequence[Provider]) -> None:
        self._first = providers[0]
        self._providers = tuple(providers)

    def seal(self, key: str, value: bytes) -> bytes:
        """Return a value as it is stored under a key."""
        return self._first.prefix + self._first.seal(key, value)

    def open(self, key: str, stored: bytes) -> bytes:
        """Return the value that is stored under a key.

        Raises
        ------
        UnreadableError
            None of the providers has sealed it, or it was changed.
        """
        is_sealed = stored.startswith(PREFIX)
        for provider in self._providers:
            if provider.prefix and stored.startswith(provider.prefix):
                return provider.open(key, stored[len(provider.prefix) :])
            if not provider.prefix and not is_sealed:
                return stored
        if not is_sealed:
            raise UnreadableError("it is not encrypted, and identity is not among the providers")
        raise UnreadableError("none of the providers has the key with which it was sealed")
