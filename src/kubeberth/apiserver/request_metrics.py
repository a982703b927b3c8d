"""What the server counts of its requests, and shows under `/metrics`, by kube-apiserver's names.

Requests for resources count, whatever becomes of them, and those that found no seat; not health,
discovery and what nobody may do or nothing serves. A watch counts when it ends.

Source: `k8s.io/apiserver/pkg/endpoints/metrics` and `pkg/registry/generic/registry` of 1.36.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial

from kubeberth.apiserver.in_flight import InFlight
from kubeberth.apiserver.patch import APPLY_PATCH
from kubeberth.apiserver.responses import Response, StreamResponse, ToldSource
from kubeberth.apiserver.route import RequestInfo
from kubeberth.metrics import Count, Histogram, Labels, Metric, Reading

Answer = Response | StreamResponse

COMPONENT = "apiserver"
# In the order in which Prometheus' libraries print them.
ENDPOINT = ("component", "group", "resource", "scope", "subresource", "verb", "version")
REQUEST = ("component", "dry_run", *ENDPOINT[1:])
DURATION_BUCKETS = (
    *(0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5),
    *(2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60),
)
_VERBS = {"create": "POST", "update": "PUT"}
_CONNECTING = frozenset(("attach", "exec", "portforward", "proxy"))
_OF_MANY = frozenset(("list", "watch", "deletecollection"))


class RequestMetrics:
    """Counts requests.

    Parameters
    ----------
    counts
        Returns how many objects of each resource are stored.
    monotonic
        Seconds that only grow.
    """

    def __init__(
        self,
        in_flight: InFlight,
        counts: Callable[[], Mapping[str, int]],
        monotonic: Callable[[], float],
    ) -> None:
        self.now = monotonic
        self._total = Count("apiserver_request_total", "Requests answered.", ("code", *REQUEST))
        self._seconds = Histogram(
            "apiserver_request_duration_seconds",
            "Seconds from the authorized request to its answer, or to the end of a watch.",
            DURATION_BUCKETS,
            REQUEST,
        )
        self._open: Counter[Labels] = Counter()
        self.metrics: tuple[Metric, ...] = (
            self._total,
            self._seconds,
            Reading(
                "apiserver_current_inflight_requests",
                "Requests that are worked on now.",
                ("request_kind",),
                lambda: {("readOnly",): in_flight.n_reads, ("mutating",): in_flight.n_writes},
            ),
            Reading(
                "apiserver_longrunning_requests",
                "Watches, and logs that are followed, that are open now.",
                ENDPOINT,
                lambda: self._open,
            ),
            Reading(
                "apiserver_storage_objects",
                "Objects that are stored.",
                ("resource",),
                lambda: {(name,): n for name, n in counts().items() if n},
            ),
        )

    def answered(self, info: RequestInfo, media_type: str, began_at: float, answer: Answer) -> None:
        """Count a request when its answer is there, or when that ends, if it grows.

        Parameters
        ----------
        media_type
            Of the request's body, which tells an apply from other patches.
        """
        labels = _labels(info, media_type)
        if isinstance(answer, Response):
            self._count(labels, answer.status, began_at)
        elif answer.is_document:
            self._count(labels, 200, began_at)
        else:
            self._open[_endpoint(labels)] += 1
            answer.source = ToldSource(answer.source, partial(self._ended, labels, began_at))

    def failed(self, info: RequestInfo, media_type: str, began_at: float, code: int) -> None:
        """Count a request to which nobody had an answer."""
        self._count(_labels(info, media_type), code, began_at)

    def _count(self, labels: Labels, code: int, began_at: float) -> None:
        self._total.add(str(code), *labels)
        self._seconds.observe(self.now() - began_at, *labels)

    def _ended(self, labels: Labels, began_at: float) -> None:
        endpoint = _endpoint(labels)
        self._open[endpoint] -= 1
        if not self._open[endpoint]:
            del self._open[endpoint]
        self._count(labels, 200, began_at)


def _labels(info: RequestInfo, media_type: str) -> Labels:
    query = info.query
    dry_run = "" if query.is_empty else ",".join(sorted({*query.all("dryRun")}))
    verb = _verb(info, media_type)
    where = (info.group, info.plural, _scope(info), info.subresource, verb, info.version)
    return (COMPONENT, dry_run, *where)


def _endpoint(labels: Labels) -> Labels:
    """Return the labels that do not tell of a single request."""
    return (labels[0], *labels[2:])


def _verb(info: RequestInfo, media_type: str) -> str:
    if info.verb == "patch" and media_type.startswith(APPLY_PATCH):
        return "APPLY"
    if info.subresource in _CONNECTING:
        return "CONNECT"
    return _VERBS.get(info.verb) or info.verb.upper()


def _scope(info: RequestInfo) -> str:
    if info.verb not in _OF_MANY:
        return "resource"
    return "namespace" if info.scope else "cluster"
