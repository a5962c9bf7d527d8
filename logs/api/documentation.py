"""What the OpenAPI document says of posting and reading entries, with examples of every answer."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from accounts.schema import NOT_FOUND, TOO_LARGE, UNAVAILABLE, WRONG_TYPE, problem_response
from logs.ingest.entry_input import EntryInput
from logs.ingest.receive import BulkReceipt, EntryReceipt
from logs.search import EntryFilterSet, EntryOutput
from logs.search.pages import DEFAULT_LIMIT, MAX_LIMIT

ID = "019a2b3c-4d5e-7000-8000-00000000002a"
POSTED = {
    "user_id": "alice",
    "action": "UPDATE",
    "resource_type": "invoice",
    "resource_id": "inv-2041",
    "timestamp": "2026-01-31T12:00:00.123456Z",
    "ip_address": "203.0.113.7",
    "request_id": "req-7f3a",
    "severity": "INFO",
    "outcome": "success",
    "before": {"status": "draft"},
    "after": {"status": "sent"},
    "metadata": {"channel": "web"},
}
DIGEST = "momcUPiDDQA0z5BQZrJ0TaItT/otC+IIfurJ+guGhOA="
LEAF_HASH = "bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0="
RECEIVED_AT = "2026-01-31T12:00:00.234567Z"
STORED = (
    {"id": ID, "received_at": "2026-01-31T12:00:00.234567Z", "source": "key:abcdefghijkl", "changed_fields": ["status"]}
    | POSTED
    | {"integrity": {"position": 41, "leaf_hash": LEAF_HASH}}
)


INTEGER_ID = OpenApiParameter("id", {"type": "integer", "minimum": 0}, OpenApiParameter.PATH)
LIMIT = OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT})
BEFORE = OpenApiParameter("before", {"type": "integer", "minimum": 0}, description="From `next` of an answer.")


def shown(name: str, value: Any, status: str = "200") -> OpenApiExample:
    """An example of an answer."""
    return OpenApiExample(name, value=value, response_only=True, status_codes=[status])


def _fault(pointer: str, code: str, detail: str) -> list[dict[str, str]]:
    return [{"pointer": pointer, "code": code, "detail": detail}]


NOT_JSON = problem_response(
    400,
    "not_json",
    "The body is not JSON",
    "This is not JSON: JSON is malformed: expected '}' (byte 17).",
    errors=_fault("", "not_json", "This is not JSON: JSON is malformed: expected '}' (byte 17)."),
)
ENTRY_TOO_LARGE = problem_response(
    413,
    "entry_too_large",
    "The entry is too large",
    "The entry is over the limit of 262144 bytes. It was not stored, not even in part.",
    errors=_fault("", "entry_too_large", "The entry is over the limit of 262144 bytes. It was not stored, not even in part."),
)
INVALID_ENTRY = problem_response(
    422,
    "invalid_entry",
    "The entry is not right",
    "The timestamp has no offset: write 2026-01-31T12:00:00Z or 2026-01-31T13:00:00+01:00.",
    errors=_fault("/timestamp", "timestamp_without_offset", "The timestamp has no offset: write 2026-01-31T12:00:00Z or 2026-01-31T13:00:00+01:00."),
)
INVALID_BULK = problem_response(
    422,
    "invalid_entry",
    "The entry is not right",
    "The entry missing required field `user_id`.",
    errors=_fault("/1/user_id", "missing_field", "The entry missing required field `user_id`."),
)
INVALID_QUERY = problem_response(
    422,
    "invalid_query",
    "The question is not right",
    "There is no parameter 'usr_id'. Did you mean user_id?",
    errors=_fault("usr_id", "unknown_parameter", "There is no parameter 'usr_id'. Did you mean user_id?"),
)
_PROBLEMS_OF_POSTING: dict[Any, Any] = {400: NOT_JSON, 415: WRONG_TYPE, 503: UNAVAILABLE}
_IMPORTED = OpenApiParameter("imported", OpenApiTypes.BOOL, description="Marks the entries as taken over from another log.")
_ENCODING = OpenApiParameter("Content-Encoding", OpenApiTypes.STR, OpenApiParameter.HEADER, enum=["gzip", "zstd"])
_PREFER = OpenApiParameter(
    "Prefer",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="`wait=5`: answer when the entries have their positions, or after so many seconds (at most 30) without (RFC 7240).",
)
TENANT = OpenApiParameter(
    "X-Tenant",
    {"type": "string", "minLength": 1, "maxLength": 63},
    OpenApiParameter.HEADER,
    description="Slug of the tenant, for people who belong to several.",
)


CURSOR = {"type": "string", "minLength": 1}


def _answer(kind: type, description: str) -> OpenApiResponse:
    return OpenApiResponse(kind, description=description)


_RECEIPT = {"id": ID, "timestamp": POSTED["timestamp"], "received_at": RECEIVED_AT, "record_digest": DIGEST}
post_entry: dict[str, Any] = {
    "operation_id": "entries_post",
    "summary": "Post one entry",
    "description": "Answers once the entry is on disk. With an idempotency key (header or field) a retry is stored once.",
    "parameters": [
        OpenApiParameter(
            "Idempotency-Key",
            {"type": "string", "pattern": "^[ -~]{1,255}$"},
            OpenApiParameter.HEADER,
            description="Serves as the entry's `idempotency_key`; needs a `timestamp`.",
        ),
        _ENCODING,
        _PREFER,
        _IMPORTED,
        TENANT,
    ],
    "request": EntryInput,
    "responses": {
        201: _answer(EntryReceipt, "Stored. `Location` is the entry's address."),
        200: _answer(EntryReceipt, "The same entry was stored before (`Idempotency-Replayed: true`)."),
        413: ENTRY_TOO_LARGE,
        422: INVALID_ENTRY,
        **_PROBLEMS_OF_POSTING,
    },
    "examples": [
        OpenApiExample("an update", value=POSTED, request_only=True),
        OpenApiExample("stored", value=_RECEIPT | {"status": "stored"}, response_only=True, status_codes=["201"]),
        OpenApiExample("replayed", value=_RECEIPT | {"status": "replayed"}, response_only=True, status_codes=["200"]),
    ],
}
_BULK_STORED = {"received_at": RECEIVED_AT, "stored": 1, "replayed": 0, "successful": [{"index": 0, "id": ID, "status": "stored", "record_digest": DIGEST}]}
_BULK_REPLAYED = {
    "received_at": "2026-01-31T12:00:09.876543Z",
    "stored": 0,
    "replayed": 1,
    "successful": [{"index": 0, "id": ID, "status": "replayed", "record_digest": DIGEST, "received_at": RECEIVED_AT}],
}
post_bulk: dict[str, Any] = {
    "operation_id": "entries_post_bulk",
    "summary": "Post many entries",
    "description": (
        "A JSON array or NDJSON (`application/x-ndjson`) of up to 10,000 entries or 16 MiB, gzip or zstd accepted. All or nothing; "
        "with `partial=true` what is right is stored and each failure is reported."
    ),
    "parameters": [
        OpenApiParameter("partial", OpenApiTypes.BOOL, description="Store what is right and report the rest."),
        _IMPORTED,
        _ENCODING,
        _PREFER,
        TENANT,
    ],
    "request": {
        "application/json": {"type": "array", "items": {"$ref": "#/components/schemas/EntryInputRequest"}, "minItems": 1, "maxItems": 10_000},
        "application/x-ndjson": {"type": "string", "description": "One entry a line."},
    },
    "responses": {
        201: _answer(BulkReceipt, "Stored."),
        200: _answer(BulkReceipt, "Every entry was stored before (`Idempotency-Replayed: true`)."),
        207: _answer(BulkReceipt, "Some entries failed (`partial=true`)."),
        413: TOO_LARGE,
        422: INVALID_BULK,
        **_PROBLEMS_OF_POSTING,
    },
    "examples": [
        OpenApiExample("an array", value=[POSTED], request_only=True, media_type="application/json"),
        OpenApiExample(
            "lines",
            value='{"user_id": "alice", "action": "LOGIN", "resource_type": "session"}\n{"user_id": "bob", "action": "LOGIN", "resource_type": "session"}\n',
            request_only=True,
            media_type="application/x-ndjson",
        ),
        OpenApiExample("stored", value=_BULK_STORED, response_only=True, status_codes=["201"]),
        OpenApiExample(
            "replayed",
            value=_BULK_REPLAYED,
            response_only=True,
            status_codes=["200"],
        ),
        OpenApiExample(
            "some failed",
            value=_BULK_STORED
            | {"failed": [{"index": 1, "code": "missing_field", "detail": "The entry missing required field `user_id`.", "pointer": "/1/user_id"}]},
            response_only=True,
            status_codes=["207"],
        ),
    ],
}
get_entry: dict[str, Any] = {
    "operation_id": "entries_get",
    "summary": "Read one entry",
    "parameters": [OpenApiParameter("id", OpenApiTypes.UUID, OpenApiParameter.PATH), TENANT],
    "responses": {200: _answer(EntryOutput, "The entry."), 404: NOT_FOUND, 503: UNAVAILABLE},
    "examples": [OpenApiExample("an entry", value=STORED, response_only=True, status_codes=["200"])],
}


def filter_parameters() -> list[OpenApiParameter]:
    """The query's parameters, from the filters themselves."""
    found = []
    for name, one in EntryFilterSet.base_filters.items():
        schema = {"type": "array", "items": one.json_schema} if one.is_repeated else one.json_schema
        found.append(OpenApiParameter(name, schema, description=one.extra["help_text"], explode=one.is_repeated or None))
    return found


def list_entries_with(page: type) -> dict[str, Any]:
    """`extend_schema` arguments for the list; `page` is the type of its answer."""
    return {
        "operation_id": "entries_list",
        "summary": "Search entries",
        "description": (
            "Newest first. `q` is the query language (docs/search.md). The range is half-open: `[from, to)`. A parameter given several times means "
            "any of its values; different parameters all have to hold. `next` and `previous`, also as `Link` headers, lead to the pages beside this "
            "one. With `order=position` the entries after a position, in the order of their commits: whoever goes on with `next` misses none and gets "
            "none twice."
        ),
        "parameters": [
            *filter_parameters(),
            OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}),
            OpenApiParameter("cursor", CURSOR, description="From `next` or `previous` of an answer."),
            OpenApiParameter("highlight", OpenApiTypes.BOOL, description="Say where the words of `q` stand in each entry (newest first only)."),
            OpenApiParameter("order", OpenApiTypes.STR, enum=["time", "position"], default="time"),
            OpenApiParameter(
                "after",
                {"type": "integer", "format": "int64", "minimum": -1},
                description="With `order=position`: the entries after this position; -1, and without it, all.",
            ),
            TENANT,
        ],
        "responses": {200: _answer(page, "One page."), 422: INVALID_QUERY, 503: UNAVAILABLE},
        "examples": [
            OpenApiExample(
                "a page",
                value={"results": [STORED], "next": "/api/v1/logs?user_id=alice&cursor=AAGaKzxN...", "previous": None},
                response_only=True,
                status_codes=["200"],
            ),
            OpenApiExample(
                "a page in the order of positions",
                value={"results": [STORED], "next": "/api/v1/logs?order=position&after=41", "previous": None, "after": 41, "has_more": False},
                response_only=True,
                status_codes=["200"],
            ),
        ],
    }
