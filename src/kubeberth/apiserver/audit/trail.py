"""What is written down of one request, while it is answered.

    received    who asks is known: RequestReceived
    answered    ResponseStarted of an answer that grows, else ResponseComplete
    the end of an answer that grows: ResponseComplete

Who is asked by a request to note something finds its trail in `TRAIL`.
"""

from __future__ import annotations

from contextvars import ContextVar

from kubeberth.apiserver.audit.event import Record
from kubeberth.apiserver.audit.log import AuditLog
from kubeberth.apiserver.audit.policy import NOTHING, Level, Measure, Policy, Stage
from kubeberth.apiserver.auth.authn import User
from kubeberth.apiserver.auth.rbac import Decision
from kubeberth.apiserver.http.request import Request
from kubeberth.apiserver.responses import Response, StreamResponse, ToldSource
from kubeberth.apiserver.route import RequestInfo
from kubeberth.apiserver.uid import new_uid
from kubeberth.clock import Clock

Answer = Response | StreamResponse

HEADER = "Audit-Id"
DECISION = "authorization.k8s.io/decision"
REASON = "authorization.k8s.io/reason"
# Of a client that brings its own; longer ones are hardly meant.
MAX_ID = 64


def id_of(request: Request) -> str:
    """Return the id under which a request is told of: its client's, or a new one."""
    return request.headers.get("audit-id", "")[:MAX_ID] or new_uid()


class Trail:
    """Nothing is written down; see `WrittenTrail`."""

    def received(self, info: RequestInfo, user: User | None) -> None:
        """Note what is asked for, and by whom; by None when nobody knows."""

    def acts_as(self, user: User) -> None:
        """Note as whom the request acts."""

    def decided(self, decision: Decision) -> None:
        """Note whether the request is allowed."""

    def note(self, key: str, value: str) -> None:
        """Note something else."""

    def broke(self) -> None:
        """Note that we have made a mistake."""

    def answered(self, answer: Answer) -> Answer:
        """Note the answer, and return it."""
        return answer


UNTOLD = Trail()
# Of the request that is being answered.
TRAIL: ContextVar[Trail] = ContextVar("trail", default=UNTOLD)


class WrittenTrail(Trail):
    """Goes to the log, as far as the policy wants it to."""

    def __init__(
        self, request: Request, audit_id: str, policy: Policy, log: AuditLog, clock: Clock
    ) -> None:
        self._request = request
        self._id = audit_id
        self._policy = policy
        self._log = log
        self._clock = clock
        self._received_at = clock.now()
        self._measure: Measure = NOTHING
        self._info: RequestInfo | None = None
        self._user: User | None = None
        self._acting: User | None = None
        self._annotations: dict[str, str] = {}
        self._last: Stage = "ResponseComplete"
        self._message = ""

    def received(self, info: RequestInfo, user: User | None) -> None:
        """Note what is asked for, and by whom; by None when nobody knows."""
        self._measure = self._policy.measure(user, info)
        self._info, self._user = info, user
        if user is not None:
            self._tell("RequestReceived")
            return
        scheme = self._request.headers.get("authorization", "").partition(" ")[0].lower()
        attempted = [scheme] if scheme in ("basic", "bearer") else []
        attempted += ["x509"] if self._request.shown.certificates else []
        self._message = f"Authentication failed, attempted: {', '.join(attempted)}"
        if not attempted:
            self._message = "Authentication failed, no credentials provided"
        self._last = "ResponseStarted"

    def acts_as(self, user: User) -> None:
        """Note as whom the request acts."""
        self._acting = None if user is self._user else user

    def decided(self, decision: Decision) -> None:
        """Note whether the request is allowed."""
        self._annotations[DECISION] = "allow" if decision.is_allowed else "forbid"
        self._annotations[REASON] = decision.reason

    def note(self, key: str, value: str) -> None:
        """Note something else; what was noted first stays."""
        self._annotations.setdefault(key, value)

    def broke(self) -> None:
        """Note that we have made a mistake."""
        self._last = "Panic"

    def answered(self, answer: Answer) -> Answer:
        """Note the answer, and return it."""
        level = self._measure.level
        if level is Level.None_:
            return answer
        if isinstance(answer, StreamResponse) and answer.is_document:
            if level < Level.RequestResponse:
                self._tell("ResponseComplete", 200)
                return answer
            answer = answer.whole()
        if isinstance(answer, Response):
            self._tell(self._last, answer.status, answer.body)
        else:
            self._tell("ResponseStarted", 200)
            answer.source = ToldSource(answer.source, lambda: self._tell("ResponseComplete", 200))
        return answer

    def _tell(self, stage: Stage, code: int = 0, body: bytes | None = None) -> None:
        measure, info = self._measure, self._info
        if info is None or measure.level is Level.None_ or stage not in measure.stages:
            return
        request = self._request
        # A Status tells what went wrong, at every level.
        keeps_body = measure.level >= Level.RequestResponse or _may_be_status(body)
        self._log.write(
            Record(
                audit_id=self._id,
                stage=stage,
                measure=measure,
                info=info,
                uri=request.target.decode("latin-1"),
                user=self._user,
                acting=self._acting,
                source_ip=request.address,
                user_agent=request.headers.get("user-agent", ""),
                received_at=self._received_at,
                stage_at=self._clock.now(),
                code=code,
                message=self._message,
                content_type=request.headers.get("content-type", ""),
                request_body=request.received if code else None,
                response_body=body if keeps_body else None,
                annotations=dict(self._annotations),
            )
        )


def _may_be_status(body: bytes | None) -> bool:
    return body is not None and b'"kind":"Status"' in body[:64]
