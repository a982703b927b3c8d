"""The exceptions of kubeberth.

    BerthError                     anything kubeberth raises on purpose
    ├── UsageError                 our own command was given something it cannot use
    ├── ManifestError              a file holds no objects, in YAML or in JSON
    ├── InvalidObjectError         an object that no API server would store, or that makes no sense
    ├── NoSuchObjectError          a cluster in memory has no object of that name
    ├── TransportError             no answer: the server is away, or is not who it should be
    └── ApiError                   the API server's answer is a Status that says no
        ├── BadRequestError        400
        ├── UnauthorizedError      401
        ├── ForbiddenError         403
        ├── NotFoundError          404
        ├── MethodNotAllowedError  405
        ├── NotAcceptableError     406
        ├── AlreadyExistsError     409  the name is taken
        ├── ConflictError          409  the object has changed, or is not in the right state
        ├── ExpiredError           410  the asked-for version is compacted
        ├── RequestEntityTooLargeError 413
        ├── UnsupportedMediaTypeError 415
        ├── InvalidError           422  the object breaks its kind's rules
        ├── TooManyRequestsError   429
        ├── InternalError          500
        ├── ServiceUnavailableError 503
        └── ServerTimeoutError     504

The API server raises ApiErrors and writes them as Status; the client reads a Status and raises
the same class.
Expected outcomes ("no node fits") are values, not exceptions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class BerthError(Exception):
    """Anything kubeberth raises on purpose."""


class UsageError(BerthError):
    """One of our own commands was given something it cannot use; the text says what to do."""


class ManifestError(BerthError):
    """A file, or a stream, holds no objects in YAML or JSON; the text names it and the line."""


class NoSuchObjectError(BerthError):
    """A cluster in memory has no object of that name."""

    def __init__(self, kind: str, name: str) -> None:
        self.kind, self.name = kind, name
        super().__init__(f'no {kind} "{name}"')


class InvalidObjectError(BerthError):
    """An object that no API server would store, or that makes no sense; nothing was changed.

    Reads `Node "a": status.allocatable[cpu]: Invalid value: "-1": must be ...`.

    Parameters
    ----------
    faults
        Pairs of field and reason, the first one to be shown; the field is empty when the fault is
        none of a single field.
    source
        Where the object came from, such as `nodes.yaml:12`; empty when it came from no file.
    """

    def __init__(
        self,
        kind: str,
        namespace: str,
        name: str,
        faults: Sequence[tuple[str, str]],
        source: str = "",
    ) -> None:
        self.kind, self.namespace, self.name = kind, namespace, name
        self.faults = tuple(faults)
        self.field, self.reason = self.faults[0]
        self.source = source
        super().__init__(kind, namespace, name, self.faults, source)

    def __str__(self) -> str:
        key = f"{self.namespace}/{self.name}" if self.namespace else self.name
        where = f"{self.source}: " if self.source else ""
        what = f"{self.field}: {self.reason}" if self.field else self.reason
        others = len(self.faults) - 1
        more = f" (and {others} more fault{'s' if others > 1 else ''})" if others else ""
        return f'{where}{self.kind} "{key}": {what}{more}'.replace("\n", " ")

    def at(self, source: str) -> InvalidObjectError:
        """Return the same error of an object that came from somewhere."""
        return InvalidObjectError(self.kind, self.namespace, self.name, self.faults, source)


class TransportError(BerthError):
    """No answer came: the server is away, or is not who it should be."""


class ApiError(BerthError):
    """A `meta/v1 Status` of status Failure.

    Parameters
    ----------
    message
        What went wrong, as kubectl prints it.
    code, reason
        HTTP status and `StatusReason`; the class's own when left out. An empty reason is left out
        of the Status.
    details
        `Status.details` as JSON: name, group, kind, uid, causes, retryAfterSeconds. None leaves
        them out of the Status, empty ones are written as `{}`.
    """

    code: int = 500
    reason: str = ""
    _by_reason: ClassVar[dict[str, type[ApiError]]] = {}
    _by_code: ClassVar[dict[int, type[ApiError]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        ApiError._by_reason[cls.reason] = cls
        ApiError._by_code.setdefault(cls.code, cls)

    def __init__(
        self,
        message: str,
        *,
        code: int | None = None,
        reason: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = type(self).code if code is None else code
        self.reason = type(self).reason if reason is None else reason
        self.details = dict(details or {})
        self._has_details = details is not None

    def __str__(self) -> str:
        return self.message

    @property
    def status(self) -> dict[str, Any]:
        """The error as a `v1 Status` document."""
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            status["reason"] = self.reason
        if self.details or self._has_details:
            status["details"] = self.details
        status["code"] = self.code
        return status

    @classmethod
    def from_status(cls, status: Mapping[str, Any], code: int) -> ApiError:
        """Return the exception that a Status document stands for.

        Parameters
        ----------
        status
            The Status, or whatever else the server sent as JSON object.
        code
            The HTTP status, for bodies that do not say.
        """
        code = status.get("code") or code
        reason = status.get("reason") or ""
        kind = cls._by_reason.get(reason) or cls._by_code.get(code) or ApiError
        message = status.get("message") or f"the server answered {code}"
        return kind(message, code=code, reason=reason, details=status.get("details"))


class BadRequestError(ApiError):
    """400: the request itself is malformed."""

    code, reason = 400, "BadRequest"


class UnauthorizedError(ApiError):
    """401: nobody the server knows."""

    code, reason = 401, "Unauthorized"

    def __init__(self, message: str = "Unauthorized", **kwargs: Any) -> None:
        super().__init__(message, **kwargs)


class ForbiddenError(ApiError):
    """403: known, but not allowed."""

    code, reason = 403, "Forbidden"


class NotFoundError(ApiError):
    """404: no such object, or no such resource."""

    code, reason = 404, "NotFound"


class MethodNotAllowedError(ApiError):
    """405: the resource does not support the verb."""

    code, reason = 405, "MethodNotAllowed"


class NotAcceptableError(ApiError):
    """406: no media type that both sides speak."""

    code, reason = 406, "NotAcceptable"


class AlreadyExistsError(ApiError):
    """409: the name is taken."""

    code, reason = 409, "AlreadyExists"


class ConflictError(ApiError):
    """409: the object has changed since it was read, or is not in the right state."""

    code, reason = 409, "Conflict"


class ExpiredError(ApiError):
    """410: the asked-for version is compacted; list again."""

    code, reason = 410, "Expired"


class RequestEntityTooLargeError(ApiError):
    """413: the body is over the limit."""

    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaTypeError(ApiError):
    """415: a body in a format the server does not read."""

    code, reason = 415, "UnsupportedMediaType"


class InvalidError(ApiError):
    """422: the object breaks the rules of its kind."""

    code, reason = 422, "Invalid"


class TooManyRequestsError(ApiError):
    """429: not now."""

    code, reason = 429, "TooManyRequests"


class InternalError(ApiError):
    """500: the server's own fault."""

    code, reason = 500, "InternalError"


class ServiceUnavailableError(ApiError):
    """503: the server cannot serve at the moment."""

    code, reason = 503, "ServiceUnavailable"


class ServerTimeoutError(ApiError):
    """504: the server did not finish in time."""

    code, reason = 504, "Timeout"
