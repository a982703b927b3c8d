"""The key that signs tokens."""

import stat

import pytest

from kubeberth.apiserver.auth.signing_key import SigningKey, TokenError, claims_of
from kubeberth.errors import UsageError


def test_a_key_knows_what_it_has_signed():
    key = SigningKey.generate()
    token = key.sign({"sub": "somebody"})
    assert key.has_signed(token)
    assert claims_of(token) == {"sub": "somebody"}
    assert not SigningKey.generate().has_signed(token)


@pytest.mark.parametrize("index", range(3), ids=["header", "claims", "signature"])
def test_no_part_of_a_token_can_be_another(index):
    key = SigningKey.generate()
    parts = key.sign({"sub": "somebody"}).split(".")
    parts[index] = SigningKey.generate().sign({"sub": "else"}).split(".")[index]
    assert not key.has_signed(".".join(parts))


def test_a_token_cannot_choose_to_be_unsigned():
    key = SigningKey.generate()
    _, claims, _ = key.sign({"sub": "somebody"}).split(".")
    header = "eyJhbGciOiJub25lIn0"  # {"alg":"none"}
    assert not key.has_signed(f"{header}.{claims}.")


@pytest.mark.parametrize(
    "text", ["", "a", "a.b", "a.b.c", "..", "é.é.é", "W10.W10.W10", "e30.eyLuIjoxfQ.e30"]
)
def test_what_is_no_token_is_told_apart(text):
    with pytest.raises(TokenError):
        claims_of(text)
    assert not SigningKey.generate().has_signed(text)


def test_a_key_is_made_once_and_its_owner_alone_reads_it(tmp_path):
    file = tmp_path / "key"
    key = SigningKey.of_file(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert SigningKey.of_file(file).has_signed(key.sign({}))


@pytest.mark.parametrize("content", [b"", b"nonsense"], ids=["empty", "no key"])
def test_a_file_without_a_key_is_refused_with_its_name(tmp_path, content):
    file = tmp_path / "key"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=str(file)):
        SigningKey.of_file(file)


def test_a_key_whose_place_is_not_there_is_refused_with_its_name(tmp_path):
    with pytest.raises(UsageError, match="absent"):
        SigningKey.of_file(tmp_path / "absent/key")
