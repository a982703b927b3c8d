"""Which objects are sealed, and how: an `EncryptionConfiguration`.

The first entry that names a resource counts; of its providers, the first seals, all open.
Matches `k8s.io/apiserver/pkg/server/options/encryptionconfig` of Kubernetes 1.36, of whose
providers AES-GCM is served: aescbc notices no change, and no library that is here has secretbox.
"""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from kubeberth.api import yaml
from kubeberth.apiserver.encryption.providers import (
    AesGcm,
    Identity,
    Provider,
    Providers,
    UnreadableError,
)
from kubeberth.apiserver.storage.store import bucket_of
from kubeberth.errors import UsageError

logger = logging.getLogger(__name__)

API_VERSION = "apiserver.config.k8s.io/v1"
KIND = "EncryptionConfiguration"
# Of keys in bytes, as AES takes them.
_SIZES = (16, 24, 32)


class _Strict(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    pass


class _Key(_Strict, frozen=True):
    name: str = ""
    secret: str = ""


class _Keys(_Strict, frozen=True):
    keys: tuple[_Key, ...] = ()


class _Nothing(_Strict, frozen=True):
    pass


class _Provider(_Strict, frozen=True):
    identity: _Nothing | None = None
    aesgcm: _Keys | None = None
    aescbc: Any = None
    secretbox: Any = None
    kms: Any = None


class _Entry(_Strict, frozen=True):
    resources: tuple[str, ...] = ()
    providers: tuple[_Provider, ...] = ()


class _File(_Strict, frozen=True):
    kind: str = ""
    api_version: str = ""
    resources: tuple[_Entry, ...] = ()


class Encryption:
    """Seals the values of the store, by the resource that their keys begin with."""

    def __init__(self, entries: list[tuple[tuple[str, ...], Providers]]) -> None:
        self._entries = entries
        self.hides = bool(entries)
        self._by_bucket: dict[str, Providers | None] = {}

    def seal(self, key: str, value: bytes) -> bytes:
        """Return a value as it is written under a key."""
        providers = self._providers(key)
        return value if providers is None else providers.seal(key, value)

    def open(self, key: str, stored: bytes) -> bytes:
        """Return the value that is written under a key.

        Raises
        ------
        UsageError
            It cannot be opened.
        """
        providers = self._providers(key) or _PLAIN
        try:
            return providers.open(key, stored)
        except UnreadableError as error:
            raise UsageError(
                f"cannot decrypt {key}: {error}: see --encryption-provider-config"
            ) from error

    def _providers(self, key: str) -> Providers | None:
        bucket = bucket_of(key)
        if bucket not in self._by_bucket:
            named = (p for names, p in self._entries if any(_covers(n, bucket) for n in names))
            self._by_bucket[bucket] = next(named, None)
        return self._by_bucket[bucket]


_PLAIN = Providers((Identity(),))
# Seals nothing, and opens nothing that is sealed.
NO_ENCRYPTION = Encryption([])


def read_encryption(path: Path) -> Encryption:
    """Return the encryption that a file wants.

    Raises
    ------
    UsageError
        It cannot be read, or is none; keys are not told.
    """
    try:
        content = path.read_bytes()
        is_open_to_others = path.stat().st_mode & 0o077
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    encryption = parse_encryption(content, str(path))
    if is_open_to_others:
        logger.warning("others than its owner may read the keys in %s", path)
    return encryption


def parse_encryption(text: str | bytes, name: str) -> Encryption:
    """Return the encryption that a text wants; see `read_encryption`."""
    try:
        file = msgspec.convert(yaml.parse(text), _File)
    except (yaml.YAMLError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise UsageError(f"{name} is no {KIND}: {error}") from error
    if (file.kind, file.api_version) != (KIND, API_VERSION):
        raise UsageError(f"{name} is no {KIND} of {API_VERSION}")
    if not file.resources:
        raise UsageError(f"{name}: resources: Required value")
    entries = []
    for index, entry in enumerate(file.resources):
        path = f"{name}: resources[{index}]"
        if not entry.resources:
            raise UsageError(f"{path}.resources: Required value")
        if not entry.providers:
            raise UsageError(f"{path}.providers: Required value")
        providers = [
            provider
            for number, told in enumerate(entry.providers)
            for provider in _made(told, f"{path}.providers[{number}]")
        ]
        entries.append((entry.resources, Providers(providers)))
    return Encryption(entries)


def _made(told: _Provider, path: str) -> Iterator[Provider]:
    given = [name for name in told.__struct_fields__ if getattr(told, name) is not None]
    if len(given) != 1:
        raise UsageError(f"{path}: must be one of identity and aesgcm")
    if told.identity is not None:
        yield Identity()
    elif told.aesgcm is not None:
        yield from (AesGcm(name, secret) for name, secret in _keys(told.aesgcm, f"{path}.aesgcm"))
    else:
        raise UsageError(f"{path}: {given[0]} is not served here: use aesgcm")


def _keys(told: _Keys, path: str) -> Iterator[tuple[str, bytes]]:
    if not told.keys:
        raise UsageError(f"{path}.keys: Required value")
    for index, key in enumerate(told.keys):
        where = f"{path}.keys[{index}]"
        if not key.name or ":" in key.name:
            raise UsageError(f"{where}.name: must be there, and without a colon")
        try:
            secret = base64.b64decode(key.secret, validate=True)
        except binascii.Error:
            raise UsageError(f"{where}.secret: must be base64") from None
        if len(secret) not in _SIZES:
            wanted = " or ".join(map(str, _SIZES))
            raise UsageError(f"{where}.secret: must be {wanted} bytes, is {len(secret)}")
        yield key.name, secret


def _covers(name: str, bucket: str) -> bool:
    """Return whether `secrets`, `deployments.apps`, `*.apps`, `*.` or `*.*` names a resource."""
    if name == "*.*":
        return True
    resource, _, group = name.partition(".")
    plural, _, own_group = bucket.partition(".")
    return resource in ("*", plural) and group == own_group
