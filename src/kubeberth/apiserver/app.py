"""The application: health, discovery, and every resource, in the order of upstream's filters.

authenticate -> take a seat -> authorize -> route -> read the body -> verb -> answer
"""

from __future__ import annotations

import ipaddress
import logging
import random
import re
from dataclasses import dataclass, field

from kubeberth.api.scheme import BINDINGS, NAMESPACES
from kubeberth.apiserver import issuer_metadata, refusals
from kubeberth.apiserver.admission.chain import Chain
from kubeberth.apiserver.admission.roster import Surroundings, plugins
from kubeberth.apiserver.admission.versions import Versions
from kubeberth.apiserver.admission_selection import AdmissionSettings, restriction_warning
from kubeberth.apiserver.audit.auditor import Auditor
from kubeberth.apiserver.audit.trail import HEADER as AUDIT_ID
from kubeberth.apiserver.audit.trail import TRAIL, UNTOLD, Trail, id_of
from kubeberth.apiserver.auth.authn import ANONYMOUS, Authenticator, User
from kubeberth.apiserver.auth.bootstrap_tokens import BootstrapTokens
from kubeberth.apiserver.auth.impersonation import PREFIX as IMPERSONATE
from kubeberth.apiserver.auth.impersonation import acting_user
from kubeberth.apiserver.auth.node_authorizer import NodeAuthorizer
from kubeberth.apiserver.auth.node_graph import NodeGraph
from kubeberth.apiserver.auth.rbac import Authorizer, forbidden
from kubeberth.apiserver.auth.service_accounts import ISSUER, ServiceAccountTokens
from kubeberth.apiserver.auth.signing_key import SigningKey
from kubeberth.apiserver.auth.stored_policy import StoredPolicy
from kubeberth.apiserver.bootstrap import ensure, make_bootstrap_objects
from kubeberth.apiserver.catalogue import Catalogue
from kubeberth.apiserver.converted_watch import ConvertedWatches
from kubeberth.apiserver.definitions import Definitions
from kubeberth.apiserver.discovery import VERSION, Discovery
from kubeberth.apiserver.exchange import in_asked_form
from kubeberth.apiserver.http.request import Request
from kubeberth.apiserver.in_flight import InFlight, Limits, NoSeatError
from kubeberth.apiserver.lookup import Lookup
from kubeberth.apiserver.media import negotiate
from kubeberth.apiserver.openapi import OpenApi
from kubeberth.apiserver.registry import Registry
from kubeberth.apiserver.request_metrics import RequestMetrics
from kubeberth.apiserver.responses import (
    Response,
    encode,
    error_response,
    warning_headers,
)
from kubeberth.apiserver.reviews import Reviews
from kubeberth.apiserver.route import (
    PlainNotFoundError,
    RequestInfo,
    parse_request,
    served,
    unknown_method,
)
from kubeberth.apiserver.storage.store import StorageError, Store
from kubeberth.apiserver.subresources import Subresources
from kubeberth.apiserver.verbs import Answer, Call, Verb, Verbs
from kubeberth.apiserver.watch import WatchHub
from kubeberth.clock import Clock
from kubeberth.errors import ApiError, BadRequestError, UnauthorizedError
from kubeberth.metrics import CONTENT_TYPE, to_text

logger = logging.getLogger(__name__)

HEALTH_PATHS = ("/healthz", "/livez", "/readyz")
PUBLIC_PATHS = frozenset((*HEALTH_PATHS, "/version", "/version/"))
METRICS_PATH = "/metrics"
TEXT = "text/plain; charset=utf-8"
# A duration as Go's `time.ParseDuration` reads it.
_DURATION = re.compile(r"[+-]?(0|((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))+)")


@dataclass(slots=True)
class AppSettings:
    """How an application is made.

    Parameters
    ----------
    server_address
        `HOST:PORT` under which clients reach the server.
    service_cidr
        Where the addresses of services come from; the first is that of `default/kubernetes`.
    signing_key, issuer
        Of the tokens of service accounts.
    takes_bootstrap_tokens
        Whether secrets with bootstrap tokens let their owners in.
    auditor
        Writes down what is asked; None when nobody does.
    """

    server_address: str = "127.0.0.1:6443"
    service_cidr: str = "10.96.0.0/16"
    authenticator: Authenticator = field(default_factory=Authenticator)
    limits: Limits = field(default_factory=Limits)
    chance: random.Random = field(default_factory=random.Random)
    signing_key: SigningKey = field(default_factory=SigningKey.generate)
    issuer: str = ISSUER
    takes_bootstrap_tokens: bool = False
    auditor: Auditor | None = None
    admission: AdmissionSettings = field(default_factory=AdmissionSettings)


class App:
    """See the module. `start` before the first request, `close` when the server stops."""

    def __init__(self, store: Store, clock: Clock, settings: AppSettings | None = None) -> None:
        self._settings = settings = settings or AppSettings()
        self._clock = clock
        self._auditor = settings.auditor
        self._authenticator = settings.authenticator
        self._in_flight = InFlight(settings.limits)
        self._requests = RequestMetrics(self._in_flight, store.counts, clock.monotonic)
        self._discovery = Discovery(settings.server_address)
        self._openapi = OpenApi()
        self.hub = WatchHub(store)
        self.registry = Registry(store, clock, settings.chance)
        policy = StoredPolicy(self.registry, store)
        self._authorizer = authorizer = Authorizer(policy, NodeAuthorizer(NodeGraph(store)))
        self._converted = ConvertedWatches(store, self.registry.conversions)
        self.definitions = definitions = Definitions(self.registry, self._end_watches, clock)
        lookup = Lookup(self.registry)
        around = Surroundings(
            lookup,
            store,
            policy,
            authorizer,
            Versions(lambda: definitions.catalogue, self.registry.conversions.turned),
            self.registry.webhooks,
            settings.chance,
            settings.service_cidr,
            self.registry.stamp,
            clock.monotonic,
            self._make_namespace,
            settings.admission,
        )
        self.registry.chain = Chain(plugins(around))
        verbs = Verbs(self.registry, self.hub, self._converted, clock, authorizer)
        self._verbs = verbs
        self._tokens = ServiceAccountTokens(settings.signing_key, lookup, settings.issuer)
        settings.authenticator.issued = self._tokens
        if settings.takes_bootstrap_tokens:
            settings.authenticator.invited = BootstrapTokens(lookup)
        self._reviews = Reviews(verbs, settings.authenticator, authorizer, clock)
        self._subresources = Subresources(verbs, self.registry, authorizer, self._tokens, clock)
        self._table: dict[str, Verb] = {
            "get": verbs.get,
            "list": verbs.list_objects,
            "watch": verbs.watch,
            "create": verbs.create,
            "update": verbs.update,
            "patch": verbs.patch,
            "delete": verbs.delete,
            "deletecollection": verbs.delete_collection,
        }
        self._is_ready = False
        self._warning = restriction_warning(settings.admission)

    async def start(self) -> None:
        """Make what every cluster starts with."""
        if self._warning:
            logger.warning(self._warning)
        port = int(self._settings.server_address.rpartition(":")[2])
        address = str(ipaddress.ip_network(self._settings.service_cidr)[1])
        await make_bootstrap_objects(self.registry, address, port)
        await self.definitions.start()
        self._is_ready = True

    async def _make_namespace(self, name: str) -> None:
        """Make a namespace for the first object in it."""
        await ensure(self.registry, NAMESPACES, {"metadata": {"name": name}})

    def _end_watches(self, bucket: str) -> None:
        self.hub.end(bucket)
        self._converted.end(bucket)

    def close(self) -> None:
        """Stop being ready, and end all watches."""
        self._is_ready = False
        self.definitions.close()
        self.hub.close()
        self._converted.close()
        self.registry.webhooks.close()

    async def answer(self, request: Request) -> Answer:
        """Answer one request."""
        audit_id = id_of(request)
        if self._auditor is None:
            answer = await self._answer(request, UNTOLD)
        else:
            answer = await self._told(request, await self._auditor.trail(request, audit_id))
        answer.headers.append((AUDIT_ID, audit_id))
        return await in_asked_form(answer, request)

    async def _told(self, request: Request, trail: Trail) -> Answer:
        """Answer one request, and let its trail be told of it."""
        before = TRAIL.set(trail)
        try:
            answer = await self._answer(request, trail)
        finally:
            TRAIL.reset(before)
        return trail.answered(answer)

    async def _answer(self, request: Request, trail: Trail) -> Answer:
        try:
            return await self._dispatch(request, trail)
        except ApiError as error:
            return error_response(error)
        except PlainNotFoundError:
            return Response(b"404 page not found\n", 404, content_type=TEXT)
        except NoSeatError:
            why = b"Too many requests, please try again later.\n"
            return Response(why, 429, content_type=TEXT, headers=[("Retry-After", "1")])
        except StorageError as error:
            logger.exception("cannot store", extra={"path": request.path})
            return error_response(refusals.internal(str(error)))
        except Exception as error:
            trail.broke()
            logger.exception("cannot answer", extra={"path": request.path})
            return error_response(refusals.internal(f"{type(error).__name__}: {error}"))

    async def _dispatch(self, request: Request, trail: Trail) -> Answer:
        catalogue = self.definitions.catalogue
        info = parse_request(request.method, request.path, request.query, catalogue)
        shown = request.shown
        if info.path in PUBLIC_PATHS and info.method in ("GET", "HEAD") and not shown:
            trail.received(info, ANONYMOUS)
            return self._non_resource(info, request, catalogue)
        try:
            user = self._authenticator.authenticate(shown, self._clock.now())
        except UnauthorizedError:
            trail.received(info, None)
            raise
        trail.received(info, user)
        if asked := request.all_named(IMPERSONATE):
            user = acting_user(user, asked, info, self._authorizer)
        trail.acts_as(user)
        seats = self._in_flight.seats(user, info)
        if not seats.take():
            try:
                await seats.wait(user.name)
            except NoSeatError:
                self._requests.failed(info, "", self._requests.now(), 429)
                raise
        try:
            decision = self._authorizer.decide(user, info)
            trail.decided(decision)
            if not decision.is_allowed:
                raise forbidden(user, info, decision.reason)
            return await self._serve(info, request, user, catalogue)
        finally:
            seats.give_back()

    async def _serve(
        self, info: RequestInfo, request: Request, user: User, catalogue: Catalogue
    ) -> Answer:
        if not info.is_resource:
            return self._non_resource(info, request, catalogue)
        resource = served(info, catalogue)
        _check_timeout(info.query.get("timeout"))
        verb = self._verb(info)
        body = b"" if info.method == "GET" else await request.body()
        call = Call(
            info,
            resource,
            user,
            request.headers.get("accept", ""),
            request.headers.get("content-type", ""),
            body,
            request.headers.get("user-agent", ""),
            request.headers.get("upgrade", ""),
        )
        began_at = self._requests.now()
        try:
            answer = await verb(call)
        except ApiError as error:
            answer = error_response(error)
        except Exception:
            self._requests.failed(info, call.content_type, began_at, 500)
            raise
        self._requests.answered(info, call.content_type, began_at, answer)
        deprecation = [resource.custom.deprecation] if resource.custom else []
        if warnings := [*filter(None, deprecation), *call.warnings]:
            answer.headers += warning_headers(warnings)
        return answer

    def _verb(self, info: RequestInfo) -> Verb:
        if info.resource is BINDINGS:
            return self._subresources.bind
        if info.resource is not None and (review := self._reviews.verb(info.resource)):
            return review
        if not info.subresource:
            return self._table[info.verb]
        verb = self._subresources.verb(info.subresource, info.verb)
        if verb is None:
            raise unknown_method()
        return verb

    def _non_resource(self, info: RequestInfo, request: Request, catalogue: Catalogue) -> Answer:
        path = info.path if info.path == "/" else info.path.rstrip("/")
        if path in HEALTH_PATHS:
            return self._health(path, is_verbose="verbose" in info.query)
        root = path.split("/")[1]
        is_of_issuer = path in issuer_metadata.PATHS
        is_known = is_of_issuer or path == METRICS_PATH
        if root not in ("api", "apis", "version", "openapi") and not is_known:
            raise PlainNotFoundError
        if info.method != "GET":
            raise unknown_method()
        if is_of_issuer:
            return issuer_metadata.respond(path, self._tokens, self._settings.server_address)
        if path == METRICS_PATH:
            text = to_text(self._requests.metrics)
            return Response(text.encode(), content_type=CONTENT_TYPE)
        accept = request.headers.get("accept", "")
        if path == "/version":
            negotiate(accept)
            return Response(encode(VERSION))
        if root == "openapi":
            return self._openapi.respond(catalogue, path, info.query, request.headers)
        known = request.headers.get("if-none-match", "")
        return self._discovery.respond(catalogue, path, accept, known)

    def _health(self, path: str, *, is_verbose: bool) -> Response:
        is_well = self._is_ready or path != "/readyz"
        lines = ["[+]ping ok", "[+]etcd ok"]
        if path == "/readyz" and self._warning:
            lines.append(f"[+]admission ok, WARNING: {self._warning}")
        if path == "/readyz":
            lines.append("[+]shutdown ok" if is_well else "[-]shutdown failed: reason withheld")
        if is_well and not is_verbose:
            return Response(b"ok", content_type=TEXT)
        name = path.strip("/")
        lines.append(f"{name} check {'passed' if is_well else 'failed'}")
        body = "".join(f"{line}\n" for line in lines).encode()
        return Response(body, 200 if is_well else 500, content_type=TEXT)


def _check_timeout(text: str) -> None:
    if text and not _DURATION.fullmatch(text):
        raise BadRequestError(
            f'invalid timeout specified in the request URL - time: invalid duration "{text}"'
        )
