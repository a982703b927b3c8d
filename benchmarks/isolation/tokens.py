"""Bearer tokens that nobody is let in with: made from sound ones, or by who has no key."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import utils

from kubeberth.apiserver.auth.service_accounts import ISSUER
from kubeberth.apiserver.auth.signing_key import SigningKey

Claims = dict[str, Any]
Forge = Callable[[random.Random], str]
HOUR_S = 3600
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclass(frozen=True, slots=True)
class Sound:
    """What tokens are made from.

    Parameters
    ----------
    tokens
        Sound ones of service accounts.
    revoked
        Those that were sound once, by why they are no longer.
    bootstrap, static
        Sound tokens of other kinds.
    """

    key: SigningKey
    tokens: tuple[str, ...]
    revoked: dict[str, str]
    bootstrap: str
    static: str
    now: float


def forges(sound: Sound) -> dict[str, Forge]:
    """Return the ways to make a bad token, by what is wrong with it."""
    stranger = SigningKey.generate()
    claims = claims_of(sound.tokens[0])

    def signed(**changes: Any) -> Forge:
        token = sound.key.sign({**claims, **changes})
        return lambda chance: token

    now = int(sound.now)
    return {
        "a bit turned round": lambda chance: flip(chance.choice(sound.tokens), chance),
        "cut off": lambda chance: _cut(chance.choice(sound.tokens), chance),
        "longer": lambda chance: chance.choice(sound.tokens) + chance.choice("A.=-"),
        "parts of two": lambda chance: _mixed(sound.tokens, chance),
        "claims changed": lambda chance: _changed(chance.choice(sound.tokens), chance, now),
        "unsigned": lambda chance: _unsigned(chance.choice(sound.tokens), chance),
        "signed with what is public": lambda chance: _with_public_key(sound, chance),
        "signed with another key": lambda chance: _by_stranger(sound, stranger, chance),
        "a signature of nothing": lambda chance: _empty_signature(sound, chance),
        "its signature in another form": lambda chance: _der_signature(chance.choice(sound.tokens)),
        "expired": signed(exp=now - HOUR_S, iat=now - 2 * HOUR_S, nbf=now - 2 * HOUR_S),
        "expired long ago": signed(exp=1, iat=0, nbf=0),
        "not valid yet": signed(nbf=now + HOUR_S),
        "for somebody else": signed(aud=["vault"]),
        "for nobody": signed(aud=[]),
        "for what begins alike": signed(aud=[f"{ISSUER}.evil"]),
        "of another issuer": signed(iss="https://elsewhere.example.com"),
        "of no issuer": signed(iss=None),
        **{why: _always(token) for why, token in sound.revoked.items()},
        "a bootstrap token, changed": lambda chance: _changed_text(sound.bootstrap, chance),
        "a token of the file, changed": lambda chance: _changed_text(sound.static, chance),
        "nonsense": _nonsense,
    }


def claims_of(token: str) -> Claims:
    """Return what a token claims."""
    claims: Claims = msgspec.json.decode(_decoded(token.split(".")[1]))
    return claims


def flip(text: str, chance: random.Random) -> str:
    """Return a text with one bit turned round."""
    at = chance.randrange(len(text))
    return text[:at] + chr(ord(text[at]) ^ 1 << chance.randrange(7)) + text[at + 1 :]


def _always(token: str) -> Forge:
    return lambda chance: token


def _cut(token: str, chance: random.Random) -> str:
    n = chance.randrange(1, len(token))
    return token[:n] if chance.random() < 0.7 else token[n:]


def _mixed(tokens: tuple[str, ...], chance: random.Random) -> str:
    one, other = (token.split(".") for token in chance.sample(tokens, 2))
    at = chance.choice((1, 2))
    return ".".join(other[i] if i == at else one[i] for i in range(3))


def _changed(token: str, chance: random.Random, now: int) -> str:
    """Claim more than was signed."""
    header, _, signature = token.split(".")
    claims = claims_of(token)
    name, value = chance.choice(
        (
            ("sub", "system:serviceaccount:kube-system:generic-garbage-collector"),
            ("exp", now + 10**9),
            ("aud", [ISSUER, "vault"]),
            ("groups", ["system:masters"]),
            ("kubernetes.io", {**claims["kubernetes.io"], "namespace": "kube-system"}),
        )
    )
    return f"{header}.{_encoded({**claims, name: value})}.{signature}"


def _unsigned(token: str, chance: random.Random) -> str:
    _, payload, signature = token.split(".")
    algorithm = chance.choice(("none", "None", "NONE", "nOnE", "", None, "ES512", "HS256", 0, []))
    header = _encoded({"alg": algorithm, "typ": "JWT"})
    return f"{header}.{payload}.{chance.choice(('', signature, 'AA'))}"


def _with_public_key(sound: Sound, chance: random.Random) -> str:
    """Sign with a shared secret, for which everybody knows the public key."""
    payload = chance.choice(sound.tokens).split(".")[1]
    jwk = sound.key.public_jwk()
    secret = chance.choice((jwk["x"].encode(), msgspec.json.encode(jwk), b"", b"secret"))
    header = _encoded({"alg": "HS256", "kid": sound.key.key_id})
    digest = hmac.digest(secret, f"{header}.{payload}".encode(), hashlib.sha256)
    return f"{header}.{payload}.{_text(digest)}"


def _by_stranger(sound: Sound, stranger: SigningKey, chance: random.Random) -> str:
    """Sign with a key of one's own, and say where it is found."""
    claims = claims_of(chance.choice(sound.tokens))
    signed = stranger.sign(claims)
    if chance.random() < 0.5:
        return signed
    named = {"kid": sound.key.key_id, "alg": "ES256"}
    given = chance.choice(
        ({}, {"jwk": stranger.public_jwk()}, {"jku": "https://elsewhere.example.com/jwks"})
    )
    return ".".join((_encoded({**named, **given}), *signed.split(".")[1:]))


def _empty_signature(sound: Sound, chance: random.Random) -> str:
    """Sign with numbers that some verifiers take for any key: CVE-2022-21449."""
    numbers = (0, 1, ORDER - 1, ORDER, 2**256 - 1)
    r, s = chance.choice(numbers), chance.choice(numbers)
    signed = chance.choice(sound.tokens).rpartition(".")[0]
    return f"{signed}.{_text(r.to_bytes(32) + s.to_bytes(32))}"


def _der_signature(token: str) -> str:
    signed, _, signature = token.rpartition(".")
    raw = _decoded(signature)
    halves = int.from_bytes(raw[:32]), int.from_bytes(raw[32:])
    return f"{signed}.{_text(utils.encode_dss_signature(*halves))}"


def _changed_text(token: str, chance: random.Random) -> str:
    ways: tuple[Forge, ...] = (
        lambda c: flip(token, c),
        lambda c: token[: c.randrange(1, len(token))],
        lambda c: token.upper(),
        lambda c: token + c.choice("a0-"),
        lambda c: token[::-1],
        lambda c: token.replace(".", c.choice(("", "..", "/", "%2e"))) + "x",
    )
    changed = chance.choice(ways)(chance)
    return changed if changed.strip() != token else f"{token}x"


def _nonsense(chance: random.Random) -> str:
    letters = "abcXYZ019.-_=/+%: é\t"
    return chance.choice(
        (
            "".join(chance.choices(letters, k=chance.randrange(1, 60))),
            "." * chance.randrange(1, 9),
            "A" * 10_000,
            "null",
            "system:masters",
            "Bearer",
            "e30.e30.e30",
        )
    )


def _encoded(document: Any) -> str:
    return _text(msgspec.json.encode(document))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
