"""How values are sealed, and opened again; each tells by a prefix what it has sealed.

    k8s:enc:aesgcm:v1:KEY:     a nonce of 12 bytes, and what AES-GCM makes of the value
    k8s:enc:secretbox:v1:KEY:  a nonce of 24 bytes, and what XSalsa20 and Poly1305 make of it
    anything else              the value itself

A value is sealed together with the key under which it is stored, so that nobody can put one in the
place of another: AES-GCM is told the key, and a secretbox holds it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PREFIX = b"k8s:enc:"
_GCM_NONCE_BYTES = 12
_BOX_NONCE_BYTES = 24


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
        nonce = os.urandom(_GCM_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, value, key.encode())

    def open(self, key: str, sealed: bytes) -> bytes:
        """Return what was sealed."""
        nonce, cipher = sealed[:_GCM_NONCE_BYTES], sealed[_GCM_NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, cipher, key.encode())
        except (InvalidTag, ValueError) as error:
            raise UnreadableError("it was sealed with another key, or changed") from error


class Secretbox:
    """XSalsa20 and Poly1305."""

    def __init__(self, name: str, secret: bytes) -> None:
        self.prefix = b"%ssecretbox:v1:%s:" % (PREFIX, name.encode())
        self._secret = secret
        # Late: it brings numpy, which the API server has no other use for.
        self._box = import_module("kubeberth.apiserver.encryption.secretbox")

    def seal(self, key: str, value: bytes) -> bytes:
        """Return nonce, tag and ciphertext."""
        nonce = os.urandom(_BOX_NONCE_BYTES)
        sealed: bytes = self._box.seal(self._secret, nonce, key.encode() + b"\n" + value)
        return nonce + sealed

    def open(self, key: str, sealed: bytes) -> bytes:
        """Return what was sealed."""
        nonce, rest = sealed[:_BOX_NONCE_BYTES], sealed[_BOX_NONCE_BYTES:]
        if len(nonce) < _BOX_NONCE_BYTES:
            raise UnreadableError("it was cut off")
        try:
            message: bytes = self._box.open_sealed(self._secret, nonce, rest)
        except self._box.ForgedError as error:
            raise UnreadableError("it was sealed with another key, or changed") from error
        place, _, value = message.partition(b"\n")
        if place != key.encode():
            raise UnreadableError(f"it was stored as {place.decode()}")
        return value


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
