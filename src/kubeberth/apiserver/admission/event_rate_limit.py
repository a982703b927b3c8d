"""EventRateLimit: a storm of events is turned away before it is stored.

Each limit is a bucket of tokens, one for the server or one for each namespace, user or subject.
Matches `plugin/pkg/admission/eventratelimit` of Kubernetes 1.36.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kubeberth.api.scheme import EVENTS
from kubeberth.apiserver.admission.chain import Attributes, Document, Plugin
from kubeberth.errors import TooManyRequestsError, UsageError

# As many buckets as upstream keeps of a limit that does not say.
CACHE_SIZE = 4096
_SUBJECT = ("kind", "namespace", "name", "uid", "apiVersion")


@dataclass(slots=True)
class Bucket:
    """Tokens as of a moment."""

    tokens: float
    at: float


class Limit:
    """One limit of the configuration.

    Raises
    ------
    UsageError
        It is of no known type, or lets nothing pass.
    """

    def __init__(self, configuration: Mapping[str, Any]) -> None:
        self.type = configuration.get("type", "")
        if self.type not in KEYS:
            raise UsageError(
                f"EventRateLimit: limits of type {self.type!r} are not known, only "
                f"{', '.join(KEYS)}"
            )
        self._qps, self._burst = configuration.get("qps", 0), configuration.get("burst", 0)
        for field, value in (("qps", self._qps), ("burst", self._burst)):
            if not isinstance(value, int) or value <= 0:
                raise UsageError(f"EventRateLimit: {field} must be a positive number")
        self._size = configuration.get("cacheSize") or CACHE_SIZE
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def takes(self, attributes: Attributes, now: float) -> bool:
        """Take a token, if there is one."""
        key = self.key_of(attributes)
        bucket = self._buckets.setdefault(key, Bucket(self._burst, now))
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._size:
            self._buckets.popitem(last=False)
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) * self._qps)
        bucket.at = now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True

    def key_of(self, attributes: Attributes) -> str:
        """Return whose bucket an event takes from."""
        return KEYS[self.type](attributes)


def _source_and_object(attributes: Attributes) -> str:
    event: Document = attributes.document or {}
    source, subject = event.get("source") or {}, event.get("involvedObject") or {}
    return "".join(
        (
            source.get("component", ""),
            source.get("host", ""),
            *(subject.get(field, "") for field in _SUBJECT),
        )
    )


KEYS: dict[str, Callable[[Attributes], str]] = {
    "Server": lambda attributes: "",
    "Namespace": lambda attributes: attributes.namespace,
    "User": lambda attributes: attributes.user.name,
    "SourceAndObject": _source_and_object,
}


class EventRateLimit(Plugin):
    """Turns events away when there are too many.

    Parameters
    ----------
    configuration
        The plugin's own: its `limits`.
    now
        Returns seconds that only grow.

    Raises
    ------
    UsageError
        There are no limits, or bad ones.
    """

    def __init__(self, configuration: Mapping[str, Any], now: Callable[[], float]) -> None:
        self._limits = [Limit(limit) for limit in configuration.get("limits") or ()]
        if not self._limits:
            raise UsageError("EventRateLimit: its configuration must have limits")
        self._now = now

    async def validate(self, attributes: Attributes) -> None:
        """Take a token of every limit for a new or changed event."""
        resource = attributes.resource
        is_event = (resource.stored_as or resource) is EVENTS
        if not is_event or attributes.document is None or attributes.dry_run:
            return
        now = self._now()
        reached = [limit for limit in self._limits if not limit.takes(attributes, now)]
        if reached:
            texts = [
                f"limit reached on type {limit.type} for key {limit.key_of(attributes)}"
                for limit in reached
            ]
            raise TooManyRequestsError(texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]")
