"""Who may be answered with what was asked for: said anew, without what decides it in the server.

Nothing here is what the server reads; these are a few sentences about each of the intruders. Paths
are compared after the one decoding that RFC 3986 has for them.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs, unquote

from benchmarks.isolation.world import MINE, NODE

SPACE = r"api/v1/namespaces/[^/]+"
LEASES = r"apis/coordination\.k8s\.io/v1/namespaces/kube-node-lease/leases"
PUBLIC = r"GET,HEAD (healthz|livez|readyz|version)"
_SELF = (
    PUBLIC,
    r"GET,HEAD (api|apis|openapi)(/.*)?",
    r"POST apis/authorization\.k8s\.io/v1/selfsubject(access|rules)reviews",
    r"POST apis/authentication\.k8s\.io/v1/selfsubjectreviews",
)
_NODE = (
    f"GET,PUT,PATCH api/v1/nodes/{NODE}",
    f"PUT,PATCH api/v1/nodes/{NODE}/status",
    r"POST api/v1/nodes",  # of its own name alone, and that is there
    f"GET api/v1/namespaces/default/(pods|secrets|configmaps)/{MINE}",
    f"GET,DELETE api/v1/namespaces/default/pods/({MINE}|leaving)",
    f"PUT,PATCH api/v1/namespaces/default/pods/({MINE}|leaving)/status",
    f"POST api/v1/namespaces/default/pods/({MINE}|leaving)/eviction",
    r"GET (api/v1|" + SPACE + r")/services(/[^/]+)?",
    f"GET {SPACE}/endpoints/[^/]+",
    r"POST,PUT,PATCH (api/v1|apis/events\.k8s\.io/v1)/namespaces/[^/]+/events(/[^/]+)?",
    r"GET,POST apis/certificates\.k8s\.io/v1/certificatesigningrequests",
    r"GET apis/certificates\.k8s\.io/v1/certificatesigningrequests/[^/]+",
    r"GET apis/storage\.k8s\.io/v1/csidrivers(/[^/]+)?",
    r"GET apis/node\.k8s\.io/v1/runtimeclasses(/[^/]+)?",
    f"GET,PUT,PATCH,DELETE apis/storage\\.k8s\\.io/v1/csinodes/{NODE}",
    r"POST apis/storage\.k8s\.io/v1/csinodes",
    f"GET,PUT,PATCH,DELETE {LEASES}/{NODE}",
    f"POST {LEASES}",
    r"POST apis/authentication\.k8s\.io/v1/tokenreviews",
    r"POST apis/authorization\.k8s\.io/v1/(namespaces/[^/]+/local|)subjectaccessreviews",
    r"POST api/v1/namespaces/default/serviceaccounts/default/token",
    r"GET api/v1/namespaces/default/serviceaccounts/default",
)
# Of one object, or those of its node: lists that must say so by their selector.
_SELECTED = {
    r"api/v1/(namespaces/[^/]+/)?pods": {
        ("spec.nodeName", NODE): "",
        ("metadata.name", MINE): "default",
    },
    r"api/v1/nodes": {("metadata.name", NODE): ""},
    r"api/v1/namespaces/[^/]+/(secrets|configmaps)": {("metadata.name", MINE): "default"},
}
_ISSUER = (r"GET,HEAD (\.well-known/openid-configuration|openid/v1/jwks)",)
ALLOWED: dict[str, tuple[str, ...]] = {
    "nobody": (PUBLIC,),
    "user": _SELF,
    "account": (*_SELF, *_ISSUER),
    "bootstrap": _SELF,
    "node": (*_SELF, *_NODE),
}
_PATTERNS = {
    who: [
        (frozenset(methods.split(",")), re.compile(path))
        for methods, _, path in (entry.partition(" ") for entry in entries)
    ]
    for who, entries in ALLOWED.items()
}


def may_get_in(who: str, method: str, target: str) -> bool:
    """Return whether a request of one of the intruders may be done."""
    path, query = _read(target)
    method = method.upper()  # as it is told to who decides about paths that are no resources
    if who == "node" and method in ("GET", "HEAD") and _selects_own(path, query):
        return True
    return any(method in methods and pattern.fullmatch(path) for methods, pattern in _PATTERNS[who])


def _read(target: str) -> tuple[str, str]:
    """Return the path as segments without the slashes around them, and the query."""
    raw, _, query = target.partition("?")
    if not raw.startswith("/"):
        raw = re.sub(r"^https?://[^/]*", "", raw)
    path = unquote(raw).strip("/")
    # The old form of watches, and a second name for the same.
    return re.sub(r"^(api/v1|apis/[^/]+/[^/]+)/watch/", r"\1/", path), query


def _selects_own(path: str, query: str) -> bool:
    selector = (parse_qs(query).get("fieldSelector") or [""])[0]
    terms = {tuple(term.split("=", 1)) for term in selector.split(",") if "!=" not in term}
    for pattern, selections in _SELECTED.items():
        if re.fullmatch(pattern, path):
            return any(
                term in terms and (not namespace or f"/namespaces/{namespace}/" in f"/{path}")
                for term, namespace in selections.items()
            )
    return False
