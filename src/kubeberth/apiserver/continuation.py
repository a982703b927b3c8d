"""Continue tokens: where the next page of a list starts, and of which state.

The format is kube-apiserver's (`k8s.io/apiserver/pkg/storage/continue.go` of Kubernetes 1.36).
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any

import msgspec

from kubeberth.errors import BadRequestError, ExpiredError

VERSION = "meta.k8s.io/v1"
LATEST = -1  # in a token: whatever the state is then

_FOREIGN = re.compile(rb"[^A-Za-z0-9_-]")
TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start "
    "a new list without the continue parameter, or use the continue token in this response to "
    "retrieve the remainder of the results. Continuing with the provided token results in an "
    "inconsistent list - objects that were created, modified, or deleted between the time the "
    "first chunk was returned and now may show up in the list."
)


@dataclass(frozen=True, slots=True)
class Continuation:
    """The last key of a page, below the prefix of its list, and the state that is listed."""

    last: str
    revision: int

    def token(self) -> str:
        """Return the token that stands for it."""
        document = {"v": VERSION, "rv": self.revision, "start": f"{self.last}\0"}
        return base64.urlsafe_b64encode(msgspec.json.encode(document)).rstrip(b"=").decode()


def parse_continuation(token: str) -> Continuation:
    """Return what a token stands for.

    Raises
    ------
    BadRequestError
        It is none of ours.
    """
    raw = token.encode()
    try:
        if _FOREIGN.search(raw):
            raise binascii.Error
        text = base64.urlsafe_b64decode(raw + b"=" * (-len(raw) % 4))
    except binascii.Error as error:
        foreign = _FOREIGN.search(raw)
        where = foreign.start() if foreign else len(raw) - 1
        raise _bad(f"illegal base64 data at input byte {where}") from error
    try:
        document = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _bad(str(error)) from error
    if document.get("v") != VERSION:
        raise _bad(f'server does not recognize this encoded version "{document.get("v", "")}"')
    start, revision = document.get("start"), document.get("rv")
    if not start or not isinstance(start, str) or not isinstance(revision, int) or not revision:
        raise _bad(f"encoded start key empty (version {VERSION})")
    return Continuation(start.removesuffix("\0"), revision)


def _bad(why: str) -> BadRequestError:
    return BadRequestError(f"invalid continue token: continue key is not valid: {why}")


def expired_status(continuation: Continuation) -> dict[str, Any]:
    """Return the answer when the state of a list is forgotten, with a token to go on anyhow."""
    token = Continuation(continuation.last, LATEST).token()
    return {**ExpiredError(TOO_OLD).status, "metadata": {"continue": token}}
