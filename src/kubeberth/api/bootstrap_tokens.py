"""Bootstrap tokens: secrets by which a new node shows that it has been invited.

    token   ID.SECRET, six and sixteen letters
    secret  kube-system/bootstrap-token-ID of type bootstrap.kubernetes.io/token

Rule: https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/
Matches `k8s.io/cluster-bootstrap/token` and `pkg/controller/bootstrap` of Kubernetes 1.36.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

NAMESPACE = "kube-system"
NAME_PREFIX = "bootstrap-token-"
TYPE = "bootstrap.kubernetes.io/token"
USER_PREFIX = "system:bootstrap:"
GROUP = "system:bootstrappers"
AUTHENTICATION = "authentication"
USAGES = (AUTHENTICATION, "signing")

_ID, _SECRET = "[a-z0-9]{6}", "[a-z0-9]{16}"
_ID_TEXT = re.compile(_ID)
_TOKEN = re.compile(rf"({_ID})\.({_SECRET})")
_EXTRA_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")


@dataclass(frozen=True, slots=True)
class BootstrapToken:
    """What a secret says of a token.

    Parameters
    ----------
    expires_at
        Seconds since 1970; None for never.
    groups
        Those of whoever shows it, besides the one that all are in.
    """

    token_id: str
    secret: str
    expires_at: float | None = None
    usages: tuple[str, ...] = (AUTHENTICATION,)
    groups: tuple[str, ...] = ()
    description: str = ""

    @property
    def text(self) -> str:
        """The token as its owner shows it."""
        return f"{self.token_id}.{self.secret}"

    def is_expired(self, now: float) -> bool:
        """Return whether it counts no more."""
        return self.expires_at is not None and now > self.expires_at

    def manifest(self, expiration: str) -> dict[str, Any]:
        """Return the secret of the token; the expiration is a `metav1.Time`, empty for none."""
        data = {
            "token-id": self.token_id,
            "token-secret": self.secret,
            "expiration": expiration,
            "description": self.description,
            "auth-extra-groups": ",".join(self.groups),
            **{f"usage-bootstrap-{usage}": "true" for usage in self.usages},
        }
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": NAME_PREFIX + self.token_id, "namespace": NAMESPACE},
            "type": TYPE,
            "stringData": {key: value for key, value in data.items() if value},
        }


def split_token(text: str) -> tuple[str, str] | None:
    """Return id and secret of a token; None for what is no bootstrap token."""
    found = _TOKEN.fullmatch(text)
    return None if found is None else (found[1], found[2])


def is_token_id(text: str) -> bool:
    """Return whether a text may be the id of a token."""
    return _ID_TEXT.fullmatch(text) is not None


def is_extra_group(text: str) -> bool:
    """Return whether a token may bring its owner into a group."""
    return _EXTRA_GROUP.fullmatch(text) is not None


def token_of(secret: Mapping[str, Any]) -> BootstrapToken | None:
    """Return the token of a secret as it is stored; None when it is none, or malformed."""
    if secret.get("type") != TYPE:
        return None
    data = {key: _text(value) for key, value in (secret.get("data") or {}).items()}
    pair = split_token(f"{data.get('token-id', '')}.{data.get('token-secret', '')}")
    if pair is None or secret["metadata"].get("name") != NAME_PREFIX + pair[0]:
        return None
    groups = tuple(group for group in data.get("auth-extra-groups", "").split(",") if group)
    if not all(map(is_extra_group, groups)):
        return None
    usages = tuple(usage for usage in USAGES if data.get(f"usage-bootstrap-{usage}") == "true")
    expires_at = expiration_of(data.get("expiration", ""))
    return BootstrapToken(*pair, expires_at, usages, groups, data.get("description", ""))


def expiration_of(text: str) -> float | None:
    """Return when a token expires; what cannot be read has expired long ago."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return 0.0
    return moment.timestamp() if moment.tzinfo is not None else 0.0


def _text(encoded: str) -> str:
    try:
        return base64.b64decode(encoded).decode()
    except ValueError:
        return ""
