"""The stream's place among the paths of the API: the stream itself is no Django view (logs.streaming)."""

from __future__ import annotations

from typing import Any, NoReturn

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request

from accounts.deeds import Deed
from accounts.models import EndpointClass
from accounts.permissions import MayRead
from accounts.problems import NotAcceptable
from accounts.schema import UNAVAILABLE, problem_response
from logs.api.documentation import INVALID_QUERY, TENANT, filter_parameters
from logs.api.views import LeanView
from logs.streaming.messages import MAX_LAST

_EVENTS = (
    'event: subscribed\ndata: {"type":"subscribed","after":40,"tree_size":41}\n\n'
    'id: 41\nevent: entry\ndata: {"id":"019a2b3c-4d5e-7000-8000-00000000002a","user_id":"alice","action":"UPDATE","resource_type":"invoice"}\n\n'
)
_documentation: dict[str, Any] = {
    "operation_id": "entries_stream",
    "summary": "Follow the log live",
    "description": (
        "Server-sent events with `Accept: text/event-stream`: an `entry` event for each entry that the filters find, as it gets its position, which is the "
        "event's `id`. `Last-Event-ID` (or `after`) goes on after a position: what was missed comes first. The same path takes WebSockets: docs/asyncapi.yaml."
    ),
    "parameters": [
        *filter_parameters(),
        OpenApiParameter("after", {"type": "integer", "minimum": -1}, description="A position to go on after; -1: from the beginning. Default: from now on."),
        OpenApiParameter("last", {"type": "integer", "minimum": 0, "maximum": MAX_LAST}, description="So many of the newest entries first."),
        OpenApiParameter("Last-Event-ID", OpenApiTypes.INT, OpenApiParameter.HEADER, description="As `after`; browsers send it by themselves."),
        TENANT,
    ],
    "responses": {
        (200, "text/event-stream"): OpenApiResponse(
            OpenApiTypes.STR,
            description="Events without an end.",
            examples=[OpenApiExample("events", value=_EVENTS, response_only=True, status_codes=["200"], media_type="text/event-stream")],
        ),
        406: problem_response(406, "not_acceptable", "No answer in a format that you accept", "Send Accept: text/event-stream."),
        422: INVALID_QUERY,
        503: UNAVAILABLE,
    },
}


class StreamView(LeanView):
    """Answers who asks without saying that they accept events, and servers that were sent what only the ASGI server can serve."""

    rate_class = EndpointClass.SEARCH
    permission_classes = [MayRead]
    # The socket records its subscription itself (logs.streaming.socket).
    deeds = {"GET": Deed("STREAM", "audit_log_stream", refusals_only=True)}

    @extend_schema(**_documentation)
    def get(self, request: Request) -> NoReturn:
        raise NotAcceptable("This is a stream: send Accept: text/event-stream, or open a WebSocket. Behind a proxy this path belongs to the ASGI server.")
