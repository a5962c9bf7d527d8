"""How the API says no: RFC 9457 problem documents.

    Problem
    ├── Refused        4xx: the caller's doing; says where (`pointer`) and what would be right
    │   └── PayloadTooLarge, NotAuthenticated, NotAllowed, NotFound, ChangedMeanwhile, ...
    └── Unavailable    503 with Retry-After: ours or the database's doing; nothing was stored unless it says so
        └── NotRecorded    what was asked would leave no entry, so it is not done

`logs.errors` continues the tree. Every problem has a stable `code`; `type` is `urn:auditlog:problem:<code>`.
"""

from __future__ import annotations

import abc
import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import msgspec
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from rest_framework import exceptions

if TYPE_CHECKING:
    from accounts.deeds import Actor

logger = logging.getLogger(__name__)
CONTENT_TYPE = "application/problem+json"


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a request: `pointer` is a JSON Pointer (RFC 6901) into the body, or a parameter's name.

    `column`: where in the parameter's value, in characters from 1.
    """

    pointer: str
    code: str
    detail: str
    column: int | None = None

    def as_json(self) -> dict[str, str | int]:
        found: dict[str, str | int] = {"pointer": self.pointer, "code": self.code, "detail": self.detail}
        return found if self.column is None else found | {"column": self.column}


def escape_pointer(token: str) -> str:
    """One reference token of a JSON Pointer (RFC 6901 §3)."""
    return token.replace("~", "~0").replace("/", "~1")


class Problem(Exception):
    """An answer that is not a success. `headers` are sent with it.

    `suspects`: whose credential was refused, for each log that it concerns; where that can be told.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "The server failed"

    def __init__(self, detail: str, *, faults: Sequence[Fault] = (), headers: Mapping[str, str] | None = None, **members: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.faults = tuple(faults)
        self.headers = dict(headers or {})
        self.members = members
        self.suspects: Sequence[Actor] = ()

    def blaming(self, *suspects: Actor) -> Self:
        """This problem, with the actors whose credential is bad."""
        self.suspects = suspects
        return self

    @classmethod
    def internal(cls) -> Problem:
        return cls("The server failed on this request. The failure was logged with the request's id.")

    def as_json(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "type": f"urn:auditlog:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        if self.faults:
            body["errors"] = [fault.as_json() for fault in self.faults]
        return body | self.members

    def response(self) -> HttpResponse:
        body = msgspec.json.encode(self.as_json())
        headers = {"Content-Length": str(len(body)), "Cache-Control": "no-store"} | self.headers
        return HttpResponse(body, status=self.status, content_type=CONTENT_TYPE, headers=headers)


class Refused(Problem):
    """The request can't be carried out as it is; sending it again unchanged will not help."""

    status = 400
    code = "bad_request"
    title = "The request is not right"


class Invalid(Refused):
    """The request was understood and its content is wrong; `errors` names each fault."""

    status = 422
    code = "invalid"
    title = "The content is not right"

    def __init__(self, faults: Sequence[Fault], detail: str | None = None, **more: Any) -> None:
        super().__init__(detail or (faults[0].detail if len(faults) == 1 else f"{len(faults)} things are wrong."), faults=faults, **more)


class NotAuthenticated(Refused):
    status = 401
    code = "not_authenticated"
    title = "Who are you?"

    def __init__(self, detail: str = "Send an API key or an access token: Authorization: Bearer ...", code: str | None = None) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": 'Bearer realm="auditlog"'})
        if code:
            self.code = code  # type: ignore[misc]  # a class variable, narrowed for this one


class NotAllowed(Refused):
    status = 403
    code = "not_allowed"
    title = "You may not do this"


class NotFound(Refused):
    status = 404
    code = "not_found"
    title = "There is nothing here"


class MethodNotAllowed(Refused):
    status = 405
    code = "method_not_allowed"
    title = "This method does not work here"


class NotAcceptable(Refused):
    status = 406
    code = "not_acceptable"
    title = "No answer in a format that you accept"


class ChangedMeanwhile(Refused):
    status = 412
    code = "changed_meanwhile"
    title = "It was changed meanwhile"

    def __init__(self, etag: str) -> None:
        super().__init__(f"It was changed since you read it. It is at {etag} now: read it again, then change it.", headers={"ETag": etag})


class PayloadTooLarge(Refused):
    status = 413
    code = "body_too_large"
    title = "The body is too large"

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The body is over the limit of {limit_bytes} bytes. Send it in smaller parts.", limit_bytes=limit_bytes)


class UnsupportedMediaType(Refused):
    status = 415
    code = "unsupported_media_type"
    title = "This content type is not understood"


class TooManyRequests(Refused):
    status = 429
    code = "too_many_requests"
    title = "Too many requests"


class LockedOut(Refused):
    """Too many failed attempts to sign in by this name; the same for names that nobody has."""

    status = 429
    code = "locked_out"
    title = "Too many failed attempts to sign in"

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(
            f"Signing in by this name has failed too often. Try again in {retry_after_seconds} seconds.",
            headers={"Retry-After": str(retry_after_seconds)},
        )
        self.retry_after_seconds = retry_after_seconds


class RateLimited(TooManyRequests):
    """More than a limit allows; `retry_after_seconds` from now it may succeed."""

    code = "rate_limited"

    def __init__(self, detail: str, retry_after_seconds: int) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_seconds)})


class Unavailable(Problem):
    """The service can't do it now; the same request may succeed after `Retry-After`."""

    status = 503
    code = "unavailable"
    title = "Not available at the moment"

    def __init__(self, detail: str, *, retry_after_seconds: int = 2, **members: Any) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_seconds)}, **members)


class NotRecorded(Unavailable):
    """Whatever is done to the log has to be recorded in it. That failed, so it is not done."""

    code = "not_recorded"
    title = "The deed could not be recorded"

    def __init__(self) -> None:
        super().__init__("Every use of the log is recorded in it, and that is not possible at the moment. Nothing was done or given.")


class DeferredResponse(HttpResponse, abc.ABC):
    """An answer that is known later, without a thread that waits for it. The HTTP bridge finishes it.

    `when_done(loop, callback)` arranges for `callback(response)` in the event loop; then `complete()` fills the
    response in. `time_out()` fills it in when nothing came within `timeout_seconds`. Whoever fills it in keeps the
    headers that middleware has set by then.
    """

    timeout_seconds: float = 15

    @abc.abstractmethod
    def when_done(self, loop: asyncio.AbstractEventLoop, callback: Callable[[DeferredResponse], None]) -> None:
        """Have `callback(self)` called in `loop` when the answer is known. May be called from any thread."""

    @abc.abstractmethod
    def complete(self) -> None:
        """Fill the response in with the answer."""

    @abc.abstractmethod
    def time_out(self) -> None:
        """Fill the response in: no answer came in time."""

    def become(self, other: HttpResponse) -> None:
        """Take over status, headers, cookies and body of `other`."""
        self.status_code = other.status_code
        self.cookies.update(other.cookies)
        for name, value in other.items():
            self.headers[name] = value
        self.content = other.content
        self.headers["Content-Length"] = str(len(other.content))


_CODES_BY_STATUS: dict[int, type[Refused]] = {
    kind.status: kind for kind in (Refused, NotAllowed, NotFound, MethodNotAllowed, NotAcceptable, UnsupportedMediaType, TooManyRequests)
}


def exception_handler(error: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """Django REST framework's hook: every exception that is an answer becomes a problem document."""
    if isinstance(error, Problem):
        if error.status >= 500:
            logger.warning("%s: %s", error.code, error.detail)
        return error.response()
    if isinstance(error, Http404):
        return NotFound("There is nothing at this address, or nothing that you may see.").response()
    if isinstance(error, exceptions.ValidationError):
        return Invalid(list(_faults(error.detail, ""))).response()
    if isinstance(error, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        return NotAuthenticated(_text(error.detail)).response()
    if isinstance(error, exceptions.ParseError):
        return Refused(_text(error.detail)).response()
    if isinstance(error, exceptions.APIException):
        kind = _CODES_BY_STATUS.get(error.status_code, Refused)
        wait_seconds = getattr(error, "wait", None)
        headers = {"Retry-After": str(int(wait_seconds))} if wait_seconds else {}
        if isinstance(error, exceptions.MethodNotAllowed):
            # RFC 9110 §15.5.6 wants it with every 405.
            headers["Allow"] = ", ".join(context["view"].allowed_methods)
        return kind(_text(error.detail), headers=headers).response()
    if isinstance(error, OperationalError | InterfaceError):
        # Also psycopg's PoolTimeout and a statement that ran into its time limit.
        logger.warning("the database is away or slow: %s", error)
        return Unavailable("The database does not answer in time.").response()
    return None


def _text(detail: Any) -> str:
    if isinstance(detail, dict):
        return str(detail.get("detail", detail))
    return str(detail)


def _faults(detail: Any, pointer: str) -> list[Fault]:
    """Django REST framework's nested error details as a flat list."""
    if isinstance(detail, dict):
        return [
            fault
            for key, value in detail.items()
            for fault in _faults(value, pointer if key == "non_field_errors" else f"{pointer}/{escape_pointer(str(key))}")
        ]
    if isinstance(detail, list):
        found = []
        for index, value in enumerate(detail):
            is_nested = isinstance(value, dict | list)
            found += _faults(value, f"{pointer}/{index}" if is_nested else pointer)
        return found
    return [Fault(pointer, getattr(detail, "code", "invalid"), str(detail))]


def bad_request_page(request: HttpRequest, exception: Exception) -> HttpResponse:
    return Refused("The request could not be read.").response()


def server_error_page(request: HttpRequest) -> HttpResponse:
    return Problem.internal().response()
