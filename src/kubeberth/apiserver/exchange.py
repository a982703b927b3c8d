"""The answer in the form that its client asked for: as YAML, indented, compressed."""

from __future__ import annotations

import asyncio
import gzip
from functools import lru_cache
from urllib.parse import parse_qs

import msgspec

from kubeberth.apiserver.http.request import Request
from kubeberth.apiserver.media import JSON, SERVED, YAML, parse_accept, to_yaml
from kubeberth.apiserver.responses import Response, StreamResponse

# As kube-apiserver, which compresses no watches either: fast, and only where it pays.
COMPRESS_ABOVE_BYTES = 128 * 1024
COMPRESS_LEVEL = 1

Answer = Response | StreamResponse


async def in_asked_form(answer: Answer, request: Request) -> Answer:
    """Return an answer as YAML, indented or compressed, if the client wants it so.

    A stream of events is sent as it is; a large document that stays as it is, in chunks.
    """
    if isinstance(answer, StreamResponse):
        if not answer.is_document or not _wants_another_form(request):
            return answer
        answer = answer.whole()
    response = _reshaped(answer, request)
    if len(response.body) <= COMPRESS_ABOVE_BYTES or not _takes_gzip(request):
        return response
    return await _compressed(response)


def _wants_another_form(request: Request) -> bool:
    return _takes_gzip(request) or wants_indentation(request) or _wants_yaml(request)


def _reshaped(response: Response, request: Request) -> Response:
    if response.content_type != JSON or not response.body:
        return response
    if _wants_yaml(request):
        response.body, response.content_type = to_yaml(response.body), YAML
    elif wants_indentation(request):
        response.body = msgspec.json.format(response.body, indent=2) + b"\n"
    return response


def _wants_yaml(request: Request) -> bool:
    return _names_yaml(request.headers.get("accept", ""))


@lru_cache(maxsize=256)
def _names_yaml(accept: str) -> bool:
    clauses = parse_accept(accept)
    first = next((c.media_type for c in clauses if c.media_type in SERVED), JSON)
    return SERVED[first] == YAML


def _takes_gzip(request: Request) -> bool:
    accepted = request.headers.get("accept-encoding", "").split(",")
    return request.method != "HEAD" and "gzip" in (token.strip() for token in accepted)


async def _compressed(response: Response) -> Response:
    # In a thread: this is the one thing that takes long, and the interpreter is free meanwhile.
    response.body = await asyncio.to_thread(gzip.compress, response.body, COMPRESS_LEVEL, mtime=0)
    response.headers += [("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")]
    return response


def wants_indentation(request: Request) -> bool:
    """Return whether a person reads the answer."""
    if "pretty=" in request.query:
        return parse_qs(request.query).get("pretty", [""])[0].lower() not in ("false", "0", "")
    return request.headers.get("user-agent", "").startswith(("curl", "Wget", "Mozilla/5.0"))
