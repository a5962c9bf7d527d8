"""Views whose every use is recorded in the log that it concerns, before its answer goes out.

Invariants:
- An answer with anything of the log in it, or about a deed done, goes out only after the entry about it is committed. If that fails, the
  answer is `not_recorded` (503), and nothing of the other one goes out.
- What changes something runs in a transaction, which is committed after the entry. So an entry may tell of a deed that the database lost
  in the last instant (a second entry then says that it failed); no deed is without its entry.
- A refusal stands whether or not it could be recorded: it gives nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypedDict
from urllib.parse import unquote_plus

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.response import SimpleTemplateResponse
from rest_framework.response import Response

from accounts import extensions, refusals
from accounts.addresses import client_address
from accounts.authentication import authenticate
from accounts.deeds import Actor, Deed, actors_of, is_recorded_already, notes_of
from accounts.extensions import Outcome, Record, Recording
from accounts.limits import LimitedView
from accounts.principals import Principal
from accounts.problems import DeferredResponse, NotFound, NotRecorded, Problem

logger = logging.getLogger(__name__)
READS = ("GET", "HEAD", "OPTIONS")
REFUSALS = (401, 403, 404, 429)
REFUSED = "REFUSED"
UNKNOWN = Deed(REFUSED, "audit_log")
MAX_QUERY_BYTES = 4096
# Parameters that are credentials in themselves (the links of exports).
SECRET_PARAMETERS = ("signature",)


class RecordedView(LimitedView):
    """A view of the API. `deeds`: what each of its methods does, in the words of entries; HEAD does what GET does.

    The handler of a method that changes something runs in a transaction, which ends without effect when it raises, and which is
    committed after the entry about it is.
    """

    deeds: ClassVar[Mapping[str, Deed]] = {}
    _error: Exception | None = None
    _is_recorded = False

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """As Django REST framework's, with what it does recorded."""
        self._began_at = time.perf_counter()
        self.args, self.kwargs = args, kwargs
        asked = self.initialize_request(request, *args, **kwargs)
        self.request = asked
        self.headers = self.default_response_headers
        try:
            self.initial(asked, *args, **kwargs)
            method = (asked.method or "").lower()
            handler = getattr(self, method, self.http_method_not_allowed) if method in self.http_method_names else self.http_method_not_allowed
            deed = self._deed()
            response: Any
            if deed is None or deed.refusals_only or asked.method in READS:
                response = handler(asked, *args, **kwargs)
            else:
                response = self._change(handler)
        except Exception as error:
            response = self.handle_exception(error)
        self.response = self.finalize_response(asked, response, *args, **kwargs)
        return self._recorded(self.response)

    def handle_exception(self, exc: Exception) -> Response:
        self._error = exc
        return super().handle_exception(exc)

    def _deed(self) -> Deed | None:
        method = self.request.method or ""
        return self.deeds.get("GET" if method == "HEAD" else method)

    def _change(self, handler: Callable[..., HttpResponseBase]) -> HttpResponseBase:
        """Carry out what changes something. Raises NotRecorded, and then it is undone."""
        actors = self._actors()
        extensions.recorder().prepare([actor.tenant_id for actor in actors])
        try:
            with transaction.atomic():
                response = handler(self.request, *self.args, **self.kwargs)
                if response.status_code < 400:
                    if not is_recorded_already(self.request):
                        extensions.record_all(self._records(response.status_code))
                    self._is_recorded = True
        except DatabaseError:
            if self._is_recorded:
                self._tell_lost()
            raise
        return response

    def _tell_lost(self) -> None:
        """Record that the deed, which has its entry, was lost at its commit; as well as that can be done now."""
        try:
            extensions.record_all(self._records(503))
        except NotRecorded:
            logger.error("%s is recorded and was lost at its commit", self.request.META.get("auditlog.request_id"))

    def _recorded(self, response: HttpResponseBase) -> HttpResponseBase:
        """`response` once what it tells is recorded."""
        is_refusal = response.status_code in REFUSALS
        if self._is_recorded or not (is_refusal or response.status_code < 400) or self.request.method == "OPTIONS":
            return response
        deed = self._deed()
        if not is_refusal and (deed is None or deed.refusals_only):
            return response
        records = self._refusals(response.status_code) if is_refusal else self._records(response.status_code)
        return answer_when_recorded(self.request._request, response, records)

    def _actors(self) -> Sequence[Actor]:
        """Who acts, for each log that it concerns. Nobody, if that can't be told."""
        named = actors_of(self.request)
        if named:
            return named
        principal = getattr(self.request, "_user", None)
        return (Actor.of(principal),) if isinstance(principal, Principal) else suspects_in(self._error)

    def _records(self, status: int) -> list[Record]:
        deed = self._deed() or UNKNOWN
        outcome: Outcome = "success" if status < 400 else "failure"
        return [record_of(self.request._request, actor, deed, outcome, status, began_at=self._began_at) for actor in self._actors()]

    def _refusals(self, status: int) -> list[Record]:
        return refusals_of(self.request._request, self._actors(), self._deed(), self._error, status, began_at=self._began_at)


def suspects_in(error: Exception | None) -> Sequence[Actor]:
    """Whose bad credential it was that was refused, where that can be told."""
    return error.suspects if isinstance(error, Problem) else ()


def refusals_of(request: HttpRequest, actors: Sequence[Actor], deed: Deed | None, error: Exception | None, status: int, *, began_at: float) -> list[Record]:
    """The records of a refused attempt: none of what is over the bound."""
    found = []
    for actor in actors:
        suppressed = refusals.bound.admit(actor, client_address(request))
        if suppressed is not None:
            more: dict[str, Any] = {"attempted": deed.action} if deed else {}
            more |= {"code": error.code} if isinstance(error, Problem) else {}
            more |= {"suppressed": suppressed} if suppressed else {}
            refused = Deed(REFUSED, (deed or UNKNOWN).resource_type)
            found.append(record_of(request, actor, refused, "failure", status, began_at=began_at, **more))
    return found


def record_of(request: HttpRequest, actor: Actor, deed: Deed, outcome: Outcome, status: int, *, began_at: float, **more: Any) -> Record:
    """What a request did, as a record."""
    notes = notes_of(request) if outcome == "success" else {}
    metadata: dict[str, Any] = {"method": request.method, "path": request.path_info, "status": status, "principal": actor.source}
    if query := query_of(request):
        metadata["query"] = query
    metadata["took_ms"] = round((time.perf_counter() - began_at) * 1000, 1)
    metadata |= {name: value for name, value in notes.items() if name != "resource_id"} | more
    resource_id = notes.get("resource_id")
    return Record(actor.tenant_id, actor.user_id, deed, outcome, None if resource_id is None else str(resource_id), metadata, **whence(request))


class Whence(TypedDict):
    """Where a request came from."""

    ip_address: str | None
    user_agent: str | None
    request_id: str | None


def whence(request: HttpRequest) -> Whence:
    """Where a request came from, as `Record` and `extensions.record` take it."""
    meta = request.META
    return {"ip_address": client_address(request), "user_agent": meta.get("HTTP_USER_AGENT"), "request_id": meta.get("auditlog.request_id")}


def query_of(request: HttpRequest) -> str:
    """The query string as it was asked, without credentials, decoded and cut to MAX_QUERY_BYTES.

    Decoded, because what masks it reads plain text: behind `%22` no detector sees where a token begins.
    """
    query: str = request.META.get("QUERY_STRING", "")
    if any(name in query for name in SECRET_PARAMETERS):
        kept = [pair for pair in query.split("&") if pair.partition("=")[0] not in SECRET_PARAMETERS]
        query = "&".join(kept)
    return unquote_plus(query, errors="replace").encode("utf-8", "replace")[:MAX_QUERY_BYTES].decode("utf-8", "ignore")


def answer_when_recorded(request: HttpRequest, response: HttpResponseBase, records: Sequence[Record]) -> HttpResponseBase:
    """`response`, to go out once `records` are on disk; or the problem that they can't be. A refusal goes out in any case."""
    if not records:
        return response
    stands = response.status_code >= 400
    if isinstance(response, SimpleTemplateResponse) and not response.is_rendered:
        response = response.render()
    try:
        recording = extensions.submit(records)
    except NotRecorded as problem:
        return response if stands else _withheld(response, problem)
    if request.META.get("auditlog.defer") and isinstance(response, HttpResponse):
        return _RecordedAnswer(response, recording)
    found = recording.wait()
    return response if found is None or stands else _withheld(response, found)


def _withheld(response: HttpResponseBase, problem: NotRecorded) -> HttpResponse:
    """The problem in the place of an answer, whose resources (of a stream: its snapshot) are given back."""
    logger.warning("%s: an answer was withheld", problem.code)
    if response.streaming:
        response.close()
    return problem.response()


class _RecordedAnswer(DeferredResponse):
    """An answer that waits, without a thread, for the entry about it to be committed."""

    def __init__(self, response: HttpResponse, recording: Recording) -> None:
        super().__init__(content_type=response.headers.get("Content-Type"))
        self._response = response
        self._recording = recording
        self.timeout_seconds = settings.AUDITLOG_COMMIT_TIMEOUT_SECONDS

    def when_done(self, loop: asyncio.AbstractEventLoop, callback: Callable[[DeferredResponse], None]) -> None:
        self._recording.call_when_done(loop, lambda: callback(self))

    def complete(self) -> None:
        self._answer(self._recording.problem)

    def time_out(self) -> None:
        self._answer(self._recording.give_up())

    def _answer(self, problem: NotRecorded | None) -> None:
        response, stands = self._response, self._response.status_code >= 400
        # As the answers to posted entries: what was answered need not live until the next garbage collection.
        del self._response, self._recording
        self.become(response if problem is None or stands else _withheld(response, problem))


def unknown_route(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Django's page for an address at which there is nothing. Of the API, the attempt is recorded."""
    began_at = time.perf_counter()
    response = NotFound(f"There is nothing at {request.path_info}.").response()
    if not request.path_info.startswith("/api/"):
        return response
    problem: Problem = NotFound("")
    try:
        principal = authenticate(request)
        actors: Sequence[Actor] = (Actor.of(principal),) if principal else ()
    except Problem as error:
        problem, actors = error, suspects_in(error)
    except DatabaseError:
        # Nobody knows who asked, and nothing is given.
        return response
    records = refusals_of(request, actors, None, problem, response.status_code, began_at=began_at)
    return answer_when_recorded(request, response, records)
