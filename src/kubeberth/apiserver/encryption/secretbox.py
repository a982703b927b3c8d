"""XSalsa20 and Poly1305 together, as NaCl's `crypto_secretbox`; pure.

The `cryptography` package has Poly1305, and no Salsa20: that is here, over all blocks at once.
Source: D. J. Bernstein, "Extending the Salsa20 nonce" and "Cryptography in NaCl".
"""

from __future__ import annotations

import hmac

import numpy as np
from cryptography.hazmat.primitives.poly1305 import Poly1305
from numpy.typing import NDArray

KEY_BYTES = 32
TAG_BYTES = 16
_BLOCK_BYTES = 64
_SIGMA = np.frombuffer(b"expand 32-byte k", dtype="<u4")
# The words of a block that each quarter round mixes: first columns, then rows.
_ROUNDS = (
    ((0, 4, 8, 12), (5, 9, 13, 1), (10, 14, 2, 6), (15, 3, 7, 11)),
    ((0, 1, 2, 3), (5, 6, 7, 4), (10, 11, 8, 9), (15, 12, 13, 14)),
)

Words = NDArray[np.uint32]


class ForgedError(ValueError):
    """A text was not made with this key and nonce, or was changed since."""


def seal(key: bytes, nonce: bytes, message: bytes) -> bytes:
    """Return a message's tag and its ciphertext."""
    stream = _stream(key, nonce, KEY_BYTES + len(message))
    cipher = _xor(message, stream[KEY_BYTES:])
    return _tag(stream, cipher) + cipher


def open_sealed(key: bytes, nonce: bytes, sealed: bytes) -> bytes:
    """Return the message of a tag and a ciphertext.

    Raises
    ------
    ForgedError
        The tag is not that of the ciphertext.
    """
    tag, cipher = sealed[:TAG_BYTES], sealed[TAG_BYTES:]
    stream = _stream(key, nonce, KEY_BYTES + len(cipher))
    if not hmac.compare_digest(tag, _tag(stream, cipher)):
        raise ForgedError("the tag is another one's")
    return _xor(cipher, stream[KEY_BYTES:])


def _tag(stream: bytes, cipher: bytes) -> bytes:
    return Poly1305.generate_tag(stream[:KEY_BYTES], cipher)


def _xor(left: bytes, right: bytes) -> bytes:
    a, b = np.frombuffer(left, np.uint8), np.frombuffer(right, np.uint8)
    return (a ^ b).tobytes()


def _stream(key: bytes, nonce: bytes, length: int) -> bytes:
    """Return the first bytes of the key stream of XSalsa20."""
    n_blocks = -(-length // _BLOCK_BYTES)
    subkey = _hsalsa(key, nonce[:16])
    counters = np.arange(n_blocks, dtype=np.uint64)
    start = np.empty((16, n_blocks), dtype=np.uint32)
    start[:] = _state(subkey, np.frombuffer(nonce[16:] + bytes(8), "<u4"))[:, np.newaxis]
    start[8] = (counters & 0xFFFFFFFF).astype(np.uint32)
    start[9] = (counters >> np.uint64(32)).astype(np.uint32)
    blocks = _mixed(start) + start
    return blocks.T.astype("<u4").tobytes()[:length]


def _hsalsa(key: bytes, nonce: bytes) -> bytes:
    """Return the key that the first 16 bytes of a nonce make of a key."""
    mixed = _mixed(_state(key, np.frombuffer(nonce, "<u4"))[:, np.newaxis])[:, 0]
    return mixed[[0, 5, 10, 15, 6, 7, 8, 9]].astype("<u4").tobytes()


def _state(key: bytes, middle: NDArray[np.uint32]) -> Words:
    words = np.frombuffer(key, "<u4")
    state = np.empty(16, dtype=np.uint32)
    state[[0, 5, 10, 15]] = _SIGMA
    state[1:5], state[6:10], state[11:15] = words[:4], middle, words[4:]
    return state


def _mixed(start: Words) -> Words:
    """Return blocks, shape (16, n_blocks), after 20 rounds."""
    x = start.copy()
    for _ in range(10):
        for quarters in _ROUNDS:
            for a, b, c, d in quarters:
                x[b] ^= _rotated(x[a] + x[d], 7)
                x[c] ^= _rotated(x[b] + x[a], 9)
                x[d] ^= _rotated(x[c] + x[b], 13)
                x[a] ^= _rotated(x[d] + x[c], 18)
    return x


def _rotated(words: Words, n: int) -> Words:
    rotated: Words = (words << np.uint32(n)) | (words >> np.uint32(32 - n))
    return rotated
