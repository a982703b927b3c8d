"""Objects at rest: sealed, opened, and refused when somebody has touched them."""

from __future__ import annotations

import asyncio
import base64
import sqlite3

import pytest

from kubeberth.apiserver.encryption.configuration import (
    NO_ENCRYPTION,
    parse_encryption,
    read_encryption,
)
from kubeberth.apiserver.encryption.providers import AesGcm, UnreadableError
from kubeberth.apiserver.storage.sqlite import SqliteStore
from kubeberth.errors import UsageError

SECRET = bytes(range(32))
KEY, VALUE = "secrets/default/a", b'{"data":{"password":"aHVudGVyMg=="}}'


def config(*providers, resources=("secrets",)):
    listed = "".join(f"  - {provider}\n" for provider in providers)
    head = "kind: EncryptionConfiguration\napiVersion: apiserver.config.k8s.io/v1\n"
    return f"{head}resources:\n- resources: {list(resources)}\n  providers:\n{listed}"


def keys(kind, *named):
    listed = ", ".join(
        f"{{name: {name}, secret: {base64.b64encode(secret).decode()}}}" for name, secret in named
    )
    return f"{kind}: {{keys: [{listed}]}}"


GCM = keys("aesgcm", ("k1", SECRET))
IDENTITY = "identity: {}"


def encryption(*providers, **more):
    return parse_encryption(config(*providers, **more), "enc.yaml")


def test_what_is_sealed_is_not_to_be_read_and_comes_back():
    sealing = encryption(GCM)
    stored = sealing.seal(KEY, VALUE)
    assert stored.startswith(b"k8s:enc:aesgcm:v1:k1:")
    assert b"password" not in stored
    assert sealing.open(KEY, stored) == VALUE
    assert sealing.seal(KEY, VALUE) != stored  # never the same nonce


@pytest.mark.parametrize("position", [25, 40, -1])
def test_what_somebody_has_changed_is_refused(position):
    sealing = encryption(GCM)
    stored = bytearray(sealing.seal(KEY, VALUE))
    stored[position] ^= 1
    with pytest.raises(UsageError, match=r"cannot decrypt secrets/default/a: "):
        sealing.open(KEY, bytes(stored))


def test_what_stands_in_the_place_of_another_is_refused():
    sealing = encryption(GCM)
    with pytest.raises(UsageError, match="cannot decrypt secrets/default/b"):
        sealing.open("secrets/default/b", sealing.seal(KEY, VALUE))


@pytest.mark.parametrize("sealed", [b"", b"x" * 10, b"x" * 30])
def test_what_was_cut_off_is_refused(sealed):
    with pytest.raises(UnreadableError):
        AesGcm("k", SECRET).open(KEY, sealed)


def test_the_first_key_seals_and_all_of_them_open():
    other = bytes(32)
    before = encryption(keys("aesgcm", ("k1", SECRET)))
    after = encryption(keys("aesgcm", ("k2", other), ("k1", SECRET)))
    assert after.open(KEY, before.seal(KEY, VALUE)) == VALUE
    assert after.seal(KEY, VALUE).startswith(b"k8s:enc:aesgcm:v1:k2:")
    with pytest.raises(UsageError, match="none of the providers has the key"):
        before.open(KEY, after.seal(KEY, VALUE))


def test_a_key_of_the_same_name_that_is_another_one_is_refused():
    sealed = encryption(keys("aesgcm", ("k1", bytes(32)))).seal(KEY, VALUE)
    with pytest.raises(UsageError, match="sealed with another key, or changed"):
        encryption(GCM).open(KEY, sealed)


def test_plain_values_are_read_while_identity_is_among_the_providers():
    assert encryption(GCM, IDENTITY).open(KEY, VALUE) == VALUE
    assert encryption(IDENTITY, GCM).seal(KEY, VALUE) == VALUE
    with pytest.raises(UsageError, match="not encrypted, and identity is not among the providers"):
        encryption(GCM).open(KEY, VALUE)


def test_without_a_configuration_sealed_values_are_refused_rather_than_served():
    assert NO_ENCRYPTION.seal(KEY, VALUE) == NO_ENCRYPTION.open(KEY, VALUE) == VALUE
    with pytest.raises(UsageError, match=r"see --encryption-provider-config"):
        NO_ENCRYPTION.open(KEY, encryption(GCM).seal(KEY, VALUE))


@pytest.mark.parametrize(
    ("name", "key", "is_sealed"),
    [
        ("secrets", "secrets/a/b", True),
        ("secrets", "configmaps/a/b", False),
        ("secrets", "secrets.example.com/a/b", False),
        ("deployments.apps", "deployments.apps/a/b", True),
        ("*.apps", "deployments.apps/a/b", True),
        ("*.apps", "pods/a/b", False),
        ("*.", "pods/a/b", True),
        ("*.", "deployments.apps/a/b", False),
        ("*.*", "boats.example.com/a/b", True),
    ],
)
def test_resources_are_named_alone_by_group_or_all(name, key, is_sealed):
    sealed = encryption(GCM, resources=(name,)).seal(key, VALUE)
    assert sealed.startswith(b"k8s:enc:") is is_sealed


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: [", "is no EncryptionConfiguration: yaml"),
        ("kind: A", "is no EncryptionConfiguration of apiserver.config.k8s.io/v1"),
        (config("rot13: {}"), "Object contains unknown field `rot13`"),
        (config("{}"), "providers[0]: must be one of identity and aesgcm"),
        (config("kms: {name: a}"), "providers[0]: kms is not served here: use aesgcm"),
        (config(keys("aescbc", ("a", SECRET))), "aescbc is not served here: use aesgcm"),
        (config(keys("secretbox", ("a", SECRET))), "secretbox is not served here: use aesgcm"),
        (config("aesgcm: {}"), "providers[0].aesgcm.keys: Required value"),
        (config("aesgcm: {keys: [{secret: AAAA}]}"), "keys[0].name: must be there"),
        (config("aesgcm: {keys: [{name: a, secret: '!'}]}"), "keys[0].secret: must be base64"),
        (
            config(keys("aesgcm", ("a", b"short"))),
            "keys[0].secret: must be 16 or 24 or 32 bytes, is 5",
        ),
        (config(IDENTITY, resources=()), "resources[0].resources: Required value"),
    ],
)
def test_what_is_no_configuration_is_refused(text, why):
    with pytest.raises(UsageError) as refused:
        parse_encryption(text, "enc.yaml")
    assert why in str(refused.value)
    assert "AAAA" not in str(refused.value)


def test_a_file_that_others_may_read_is_warned_of(tmp_path, caplog):
    file = tmp_path / "enc.yaml"
    file.write_text(config(GCM))
    file.chmod(0o644)
    read_encryption(file)
    assert "others than its owner may read the keys" in caplog.text
    with pytest.raises(UsageError, match=r"cannot read .*nowhere: No such file"):
        read_encryption(tmp_path / "nowhere")


def stored_bytes(folder):
    return b"".join(path.read_bytes() for path in folder.glob("state.db*"))


def test_a_store_keeps_nothing_in_the_clear_and_reads_it_again(tmp_path):
    async def main():
        store = SqliteStore(tmp_path, sealing=encryption(GCM))
        entry = await store.create(KEY, VALUE)
        await store.create("configmaps/default/a", b"in the clear")
        assert entry.value == store.get(KEY).value == VALUE
        await store.close()
        assert b"password" not in stored_bytes(tmp_path)
        assert b"in the clear" in stored_bytes(tmp_path)
        store = SqliteStore(tmp_path, sealing=encryption(GCM))
        assert store.get(KEY).value == VALUE
        await store.close()

    asyncio.run(main())


def test_what_was_in_the_clear_is_gone_when_it_is_written_again(tmp_path):
    async def main():
        store = SqliteStore(tmp_path)
        entry = await store.create(KEY, VALUE)
        await store.close()
        assert b"password" in stored_bytes(tmp_path)
        store = SqliteStore(tmp_path, sealing=encryption(GCM, IDENTITY))
        await store.update(KEY, VALUE, entry.revision)
        await store.compact(store.revision)
        await store.close()
        assert b"password" not in stored_bytes(tmp_path)

    asyncio.run(main())


def test_a_store_whose_key_is_lost_does_not_open(tmp_path):
    async def main():
        store = SqliteStore(tmp_path, sealing=encryption(GCM))
        await store.create(KEY, VALUE)
        await store.close()
        for sealing in (NO_ENCRYPTION, encryption(keys("aesgcm", ("k1", bytes(32))))):
            with pytest.raises(UsageError, match="cannot decrypt secrets/default/a"):
                SqliteStore(tmp_path, sealing=sealing)
        store = SqliteStore(tmp_path, sealing=encryption(GCM))
        await store.close()

    asyncio.run(main())


def test_values_that_were_swapped_in_the_file_are_refused(tmp_path):
    async def main():
        store = SqliteStore(tmp_path, sealing=encryption(GCM))
        await store.create(KEY, VALUE)
        await store.create("secrets/default/b", b"{}")
        await store.close()
        connection = sqlite3.connect(tmp_path / "state.db")
        with connection:
            connection.execute(
                "UPDATE log SET value = (SELECT value FROM log WHERE key = ?) WHERE key = ?",
                (KEY, "secrets/default/b"),
            )
        connection.close()
        with pytest.raises(UsageError, match="cannot decrypt secrets/default/b"):
            SqliteStore(tmp_path, sealing=encryption(GCM))

    asyncio.run(main())
