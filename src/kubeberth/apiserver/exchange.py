"""The answer in the form that its client asked for: as YAML, indented, compressed."""

from __future__ import annotations

import asyncio
import gzip
from urllib.parse import parse_qs

import msgspec

from kubeberth.apiserver.http.request import Request
from kubeberth.apiserver.media import JSON, SERVED, YAML, parse_accept, to_yaml
from kubeberth.apiserver.responses import Response

# As kube-apiserver, which compresses no watches either: fast, and only where it pays.
COMPRESS_ABOVE_BYTES = 128 * 1024
COMPRESS_LEVEL = 1


def in_asked_form(response: Response, request: Request) -> Response:
    """Return a JSON answer as YAML, or indented, if the client wants it so."""
    if response.content_type != JSON or not response.body:
        return response
    indent = wants_indentation(request)
    clauses = parse_accept(request.headers.get("accept", ""))
    first = next((c.media_type for c in clauses if c.media_type in SERVED), JSON)
    if SERVED[first] == YAML:
        response.body, response.content_type = to_yaml(response.body), YAML
    elif indent:
        response.body = msgspec.json.format(response.body, indent=2) + b"\n"
    return response


async def compressed(response: Response, request: Request) -> Response:
    """Return a large answer as gzip, if the client takes that."""
    if len(response.body) <= COMPRESS_ABOVE_BYTES or request.method == "HEAD":
        return response
    accepted = request.headers.get("accept-encoding", "").split(",")
    if "gzip" not in (token.strip() for token in accepted):
        return response
    # In a thread: this is the one thing that takes long, and the interpreter is free meanwhile.
    response.body = await asyncio.to_thread(gzip.compress, response.body, COMPRESS_LEVEL, mtime=0)
    response.headers += [("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")]
    return response


def wants_indentation(request: Request) -> bool:
    """Return whether a person reads the answer."""
    if "pretty=" in request.query:
        return parse_qs(request.query).get("pretty", [""])[0].lower() not in ("false", "0", "")
    return request.headers.get("user-agent", "").startswith(("curl", "Wget", "Mozilla/5.0"))
