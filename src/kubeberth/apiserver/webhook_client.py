"""Calls webhooks: a document goes to a URL or to a service of the cluster, another comes back.

Matches `k8s.io/apiserver/pkg/util/webhook` of Kubernetes 1.36. A service is reached through its
endpoints: the cluster IP of a simulated cluster leads nowhere.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import posixpath
import ssl
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import urlsplit

from kubeberth.api.json_syntax import JSONSyntaxError, parse_json
from kubeberth.api.scheme import ENDPOINT_SLICES, ENDPOINTS, SERVICES, Resource
from kubeberth.apiserver.https import Address, Answer, Connections, ExchangeError, Peer
from kubeberth.apiserver.objects import encode

Document = dict[str, Any]

HTTPS_PORT = 443
# As long as a request may take upstream.
MAX_REQUEST_S = 60
SERVICE_NAME = "kubernetes.io/service-name"
_MAX_SHOWN_BYTES = 2048
# What clients make of an answer that is no Status, by its code.
_BY_CODE = {
    400: "the server rejected our request for an unknown reason",
    401: "the server has asked for the client to provide credentials",
    404: "the server could not find the requested resource",
    405: "the server does not allow this method on the requested resource",
    409: "the server reported a conflict",
    422: "the server rejected our request due to an error in our request",
    429: "the server has received too many requests and has asked us to try again later",
    503: "the server is currently unable to handle the request",
    504: "the server was unable to return a response in the time allotted, but may still be "
    "processing the request",
}
# Whose answer says itself what is wrong.
_TOLD_BY_SERVER = (403, 406, 413, 415)
_NO_KIND = (
    "couldn't get version/kind; json parse error: json: cannot unmarshal {} into Go value of type "
    'struct {{ APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string '
    '"json:\\"kind,omitempty\\"" }}'
)
_JSON_NAMES = {str: "string", bool: "bool", list: "array"}


class WebhookCallError(Exception):
    """A webhook gave no answer that could be read; the text says why."""


class Reader(Protocol):
    """Where services and their endpoints are found."""

    def find(self, resource: Resource, namespace: str, name: str) -> Document | None:
        """Return an object, or None."""

    def find_all(self, resource: Resource, namespace: str = "") -> Iterable[Document]:
        """Return the objects of a resource."""


class WebhookClient:
    """Calls webhooks, and keeps the connections to them."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._connections = Connections()

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    async def call(
        self, config: Mapping[str, Any], document: Document, timeout_s: int | None = None
    ) -> Document:
        """Return what a webhook answers.

        Parameters
        ----------
        config
            A `WebhookClientConfig`.
        timeout_s
            How long it may take; it is told so, too. None is as long as a request may take.

        Raises
        ------
        WebhookCallError
            It did not answer in time, or not as one answers.
        """
        context = trusting(config.get("caBundle") or "")
        path = _path_of(config)
        query = f"?timeout={timeout_s}s" if timeout_s else ""
        base = _base_of(config)
        try:
            async with asyncio.timeout(timeout_s or MAX_REQUEST_S):
                answer = await self._connections.post(
                    self._peer(config), context, path + query, encode(document)
                )
        except TimeoutError as error:
            why = f'Post "{base}{path}{query}": context deadline exceeded'
            raise WebhookCallError(why) from error
        except ExchangeError as error:
            raise WebhookCallError(f'Post "{base}{path}{query}": {error}') from error
        return _document_of(answer)

    def _peer(self, config: Mapping[str, Any]) -> Peer:
        service = config.get("service")
        if service is None:
            url = urlsplit(config.get("url") or "")
            host = url.hostname or ""
            return Peer(url.netloc, host, ((host, url.port or HTTPS_PORT),))
        name, namespace = service.get("name", ""), service.get("namespace", "")
        server_name = f"{name}.{namespace}.svc"
        port = service.get("port") or HTTPS_PORT
        addresses = tuple(addresses_of(self._reader, namespace, name, port))
        return Peer(f"{server_name}:{port}", server_name, addresses)


def _base_of(config: Mapping[str, Any]) -> str:
    """Return the part of a webhook's URL before the path."""
    service = config.get("service")
    if service is None:
        url = urlsplit(config.get("url") or "")
        return f"{url.scheme}://{url.netloc}"
    port = service.get("port") or HTTPS_PORT
    return f"https://{service.get('name', '')}.{service.get('namespace', '')}.svc:{port}"


def _path_of(config: Mapping[str, Any]) -> str:
    service = config.get("service")
    path = urlsplit(config.get("url") or "").path if service is None else service.get("path") or ""
    return posixpath.normpath(f"/{path.lstrip('/')}")


@lru_cache(maxsize=200)
def trusting(bundle: str) -> ssl.SSLContext:
    """Return how to check certificates: by a bundle (base64 of PEM), else as the machine does."""
    context = (
        ssl.create_default_context() if not bundle else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    )
    if bundle:
        try:
            context.load_verify_locations(cadata=base64.b64decode(bundle).decode("ascii"))
        except (ssl.SSLError, ValueError, binascii.Error) as error:
            raise WebhookCallError(
                "could not get REST client: unable to load root certificates: unable to parse "
                "bytes as PEM block"
            ) from error
        # As Go: whatever is in the bundle is trusted, also a server's own certificate.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def addresses_of(reader: Reader, namespace: str, name: str, port: int) -> list[Address]:
    """Return where a port of a service is served.

    Raises
    ------
    ExchangeError
        Nowhere.
    """
    service = reader.find(SERVICES, namespace, name)
    if service is None:
        raise ExchangeError(f'service "{name}" not found')
    spec = service["spec"]
    if spec.get("type") == "ExternalName":
        return [(spec.get("externalName", ""), port)]
    found = next((item for item in spec.get("ports") or () if item.get("port") == port), None)
    if found is None:
        raise ExchangeError(f'no service port {port} found for service "{name}"')
    port_name = found.get("name", "")
    addresses = [*_in_slices(reader, namespace, name, port_name)]
    addresses += _in_endpoints(reader.find(ENDPOINTS, namespace, name), port_name)
    if not addresses:
        raise ExchangeError(f'no endpoints available for service "{name}"')
    return list(dict.fromkeys(addresses))


def _in_slices(reader: Reader, namespace: str, name: str, port_name: str) -> Iterator[Address]:
    for found in reader.find_all(ENDPOINT_SLICES, namespace):
        if (found["metadata"].get("labels") or {}).get(SERVICE_NAME) != name:
            continue
        ports = [p["port"] for p in found.get("ports") or () if p.get("name", "") == port_name]
        for endpoint in found.get("endpoints") or ():
            if (endpoint.get("conditions") or {}).get("ready", True):
                yield from ((a, p) for a in endpoint.get("addresses") or () for p in ports)


def _in_endpoints(endpoints: Document | None, port_name: str) -> Iterator[Address]:
    for subset in (endpoints or {}).get("subsets") or ():
        ports = [p["port"] for p in subset.get("ports") or () if p.get("name", "") == port_name]
        yield from ((a["ip"], p) for a in subset.get("addresses") or () for p in ports)


def _document_of(answer: Answer) -> Document:
    """Return the document that an answer holds."""
    if not 200 <= answer.status <= 206:
        raise WebhookCallError(_refusal(answer))
    try:
        document = parse_json(answer.body)
    except JSONSyntaxError as error:
        why = f"couldn't get version/kind; json parse error: {error}"
        raise WebhookCallError(why) from error
    if not isinstance(document, dict):
        raise WebhookCallError(_NO_KIND.format(_JSON_NAMES.get(type(document), "number")))
    return document


def _refusal(answer: Answer) -> str:
    """Return what a client makes of an answer that is not good."""
    code = answer.status
    try:
        status = json.loads(answer.body)
    except ValueError:
        status = None
    if isinstance(status, dict) and status.get("kind") == "Status" and status.get("message"):
        return str(status["message"])
    kind = answer.headers.get("content-type", "text/plain")
    is_text = kind.startswith("text/")
    shown = answer.body[:_MAX_SHOWN_BYTES].decode("utf-8", "replace").strip()
    told = shown if is_text else "unknown"
    if code in _BY_CODE:
        return _BY_CODE[code]
    if code in _TOLD_BY_SERVER:
        return told
    if code >= 500:
        quoted = json.dumps(told, ensure_ascii=False)
        return f"an error on the server ({quoted}) has prevented the request from succeeding"
    return f"the server responded with the status code {code} but did not return more information"
