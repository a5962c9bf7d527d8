"""What the OpenAPI document says of exports, with examples of every answer."""

from __future__ import annotations

from typing import Any

import msgspec
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from accounts.schema import UNAVAILABLE, problem_response
from logs.api.documentation import INVALID_QUERY, STORED, TENANT, filter_parameters
from logs.api.integrity_documentation import NONE_YET, ORIGIN, STEP
from logs.evidence import DEFAULT_LIMIT as DEFAULT_EVIDENCE
from logs.evidence import MAX_LIMIT as MAX_EVIDENCE
from logs.export.asking import COMPRESSIONS, EVIDENCE, FORMAT_NAMES, ORDERS
from logs.export.formats import FORMATS
from logs.export.output import ExportJobOutput
from logs.search.pages import DEFAULT_LIMIT, MAX_LIMIT

MANIFEST = {
    "format": "ndjson",
    "compression": "none",
    "question": "user_id=alice",
    "order": "desc",
    "made_at": "2026-01-31T12:00:02.000000Z",
    "tree_size": 42,
    "entries": 1,
    "bytes": 612,
    "sha256": "6ee4029dcffeb39ac978a4d4e69bb80f747a2d1f3fbf69e09e2f1e5f7b6f8b0d",
}
_LINE = msgspec.json.encode(STORED).decode()
_CSV = (
    "id,timestamp,received_at,user_id,action,resource_type,resource_id,severity,outcome,source,session_id,request_id,ip_address,user_agent,"
    "message,idempotency_key,is_imported,changed_fields,masked,metadata,before,after,position\r\n"
    f"{STORED['id']},2026-01-31T12:00:00.123456Z,2026-01-31T12:00:00.234567Z,alice,UPDATE,invoice,inv-2041,INFO,success,key:abcdefghijkl,,req-7f3a,"
    '203.0.113.7,,,,false,"[""status""]","{""channel"": ""web""}","{""status"": ""draft""}","{""status"": ""sent""}",41\r\n'
)
_BUNDLE = (
    f'{{"kind":"header","format":"auditlog-evidence@v1","origin":"{ORIGIN}","tenant":"019a2b3c-0000-7000-8000-000000000001",'
    f'"made_at":"2026-01-31T12:00:02Z","question":"user_id=alice","keys":["..."],"checkpoint":"..."}}\n'
    f'{{"kind":"entry","position":0,"canonical":"...","path":["{STEP}","..."]}}\n'
    '{"kind":"end","entries":1,"waiting":0,"has_more":false}\n'
)


def _answer(kind: Any, description: str) -> OpenApiResponse:
    return OpenApiResponse(kind, description=description)


def _shown(name: str, value: Any, media_type: str = "application/json", status: int = 200) -> OpenApiExample:
    return OpenApiExample(name, value=value, response_only=True, status_codes=[str(status)], media_type=media_type)


_NDJSON, _CSV_TYPE, _PARQUET = "application/x-ndjson", "text/csv", FORMATS["parquet"].content_type
export: dict[str, Any] = {
    "operation_id": "entries_export",
    "summary": "Export entries",
    "description": (
        "One file with all entries that the filters find, as they are at one moment, sent while it is read. `json` and `ndjson` have each entry as "
        "search gives it; `csv` and `parquet` have the columns of docs/export.md. `evidence`: NDJSON with each entry's proof and the checkpoint and "
        "keys that prove them (`python -m auditlog_verify FILE` checks it without this server). A JSON document, NDJSON with `manifest=true`, "
        "Parquet and evidence end with their own end: without it they were cut off. For more than a connection lasts there are export jobs."
    ),
    "parameters": [
        OpenApiParameter("format", OpenApiTypes.STR, enum=[*FORMAT_NAMES, EVIDENCE], required=True),
        *filter_parameters(),
        OpenApiParameter("compression", OpenApiTypes.STR, enum=list(COMPRESSIONS), default="none", description="Of the file; not with `parquet`, `evidence`."),
        OpenApiParameter("order", OpenApiTypes.STR, enum=list(ORDERS), default="desc", description="`desc`: newest first. Not with `evidence`."),
        OpenApiParameter(
            "limit",
            {"type": "integer", "minimum": 1},
            description=f"At most so many. Without it all; of `evidence` {DEFAULT_EVIDENCE}, and at most {MAX_EVIDENCE}.",
        ),
        OpenApiParameter(
            "pseudonymise",
            OpenApiTypes.BOOL,
            description="Leave out, or replace by pseudonyms, what says who the entries are about (docs/erasure.md). Not with `evidence`.",
        ),
        OpenApiParameter("manifest", OpenApiTypes.BOOL, description="With `ndjson`: a last line with the count and the SHA-256 of those before it."),
        TENANT,
    ],
    "responses": {
        (200, "application/json"): _answer(OpenApiTypes.OBJECT, "The document. `Auditlog-Tree-Size` says how many entries were sequenced at its moment."),
        (200, _NDJSON): _answer(OpenApiTypes.STR, "An entry a line; or the bundle (`evidence`)."),
        (200, _CSV_TYPE): _answer(OpenApiTypes.STR, "RFC 4180. A cell that begins as a formula does has an apostrophe before it."),
        (200, _PARQUET): _answer(OpenApiTypes.BINARY, "Parquet."),
        404: NONE_YET,
        422: INVALID_QUERY,
        503: UNAVAILABLE,
    },
    "examples": [
        _shown("a document", {"entries": [STORED], "manifest": MANIFEST | {"format": "json"}}),
        _shown("lines", _LINE + "\n" + msgspec.json.encode({"manifest": MANIFEST}).decode() + "\n", _NDJSON),
        _shown("a bundle", _BUNDLE, _NDJSON),
        _shown("a table", _CSV, _CSV_TYPE),
        _shown("a Parquet file", "PAR1...", _PARQUET),
    ],
}

JOB_ID = "019a2b3c-4d5e-7000-8000-0000000000e1"
_ASKED = {"format": "ndjson", "compression": "zstd", "query": "user_id=alice"}
_QUEUED = {
    "id": JOB_ID,
    "state": "queued",
    "format": "ndjson",
    "compression": "zstd",
    "order": "desc",
    "query": "user_id=alice",
    "asked_by": "user:anna",
    "created_at": "2026-01-31T12:00:01.000000Z",
    "attempts": 0,
    "entries_written": 0,
    "bytes_written": 0,
}
_FILE_PATH = f"/api/v1/exports/{JOB_ID}/file?expires=1769861702&signature=4be1c2"
_DONE = _QUEUED | {
    "state": "done",
    "attempts": 1,
    "entries_written": 1,
    "bytes_written": 401,
    "started_at": "2026-01-31T12:00:01.500000Z",
    "finished_at": "2026-01-31T12:00:02.000000Z",
    "expires_at": "2026-02-07T12:00:02.000000Z",
    "manifest": MANIFEST | {"compression": "zstd", "bytes": 401},
    "file": {
        "url": _FILE_PATH,
        "url_expires_at": "2026-01-31T12:15:02.000000Z",
        "name": "entries-acme-20260131T120001Z.ndjson.zst",
        "bytes": 401,
        "sha256": MANIFEST["sha256"],
    },
}
_NO_JOB = problem_response(404, "not_found", "There is nothing here", f"There is no export job {JOB_ID}, or none that you may see.")
_NO_PARAMETERS = problem_response(
    422,
    "invalid_query",
    "The question is not right",
    "There is no parameter 'x'. There is none here.",
    errors=[{"pointer": "x", "code": "unknown_parameter", "detail": "There is no parameter 'x'. There is none here."}],
)
TOO_MANY_JOBS = problem_response(429, "too_many_requests", "Too many requests", "You have 3 export jobs under way already. Wait for one of them, or cancel it.")
_ID = OpenApiParameter("id", OpenApiTypes.UUID, OpenApiParameter.PATH)
_COMMON: dict[Any, Any] = {422: _NO_PARAMETERS, 503: UNAVAILABLE}


def list_exports_with(page: type) -> dict[str, Any]:
    """`extend_schema` arguments for the list; `page` is the type of its answer."""
    return {
        "operation_id": "exports_list",
        "summary": "List export jobs",
        "description": "Newest first: your own; for Admins, all of the tenant.",
        "parameters": [
            OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}),
            OpenApiParameter("cursor", OpenApiTypes.STR, description="From `next` of an answer."),
            TENANT,
        ],
        "responses": {200: _answer(page, "One page."), **_COMMON},
        "examples": [_shown("jobs", {"results": [_DONE], "next": None})],
    }


def create_export_with(request: type) -> dict[str, Any]:
    """`extend_schema` arguments for asking; `request` is the type of the body."""
    return {
        "operation_id": "exports_create",
        "summary": "Make an export in the background",
        "description": (
            "A worker writes the file to object storage, with the rights that you have then. The answer's address (`Location`) tells how far it is and, "
            "once it is done, where the file is. Formats and filters as in `GET /api/v1/logs/export`, but for `evidence`."
        ),
        "parameters": [TENANT],
        "request": request,
        "responses": {
            202: _answer(ExportJobOutput, "Asked for."),
            400: problem_response(400, "bad_request", "The request is not right", "The body is not JSON: JSON is malformed."),
            422: problem_response(
                422,
                "invalid",
                "The content is not right",
                '"xml" is not a valid choice.',
                errors=[{"pointer": "/format", "code": "invalid_choice", "detail": '"xml" is not a valid choice.'}],
            ),
            429: TOO_MANY_JOBS,
            503: UNAVAILABLE,
        },
        "examples": [OpenApiExample("a job", value=_ASKED, request_only=True), _shown("asked for", _QUEUED, status=202)],
    }


get_export: dict[str, Any] = {
    "operation_id": "exports_get",
    "summary": "Read how far an export job is",
    "parameters": [_ID, TENANT],
    "responses": {200: _answer(ExportJobOutput, "The job."), 404: _NO_JOB, **_COMMON},
    "examples": [_shown("done", _DONE), _shown("queued", _QUEUED)],
}
delete_export: dict[str, Any] = {
    "operation_id": "exports_delete",
    "summary": "Cancel an export job, or remove its file",
    "description": "A job that runs stops within seconds. Of one that is done, the file is removed. Its record stays.",
    "parameters": [_ID, TENANT],
    "responses": {204: OpenApiResponse(description="So it is."), 404: _NO_JOB, **_COMMON},
}
_BYTES = "application/octet-stream"
get_export_file: dict[str, Any] = {
    "operation_id": "exports_file",
    "summary": "Download the file of an export job",
    "description": "The address comes from `file.url` of the job, and expires. It needs no credential: whoever has it can open the file.",
    "parameters": [
        _ID,
        OpenApiParameter("expires", OpenApiTypes.INT64, required=True),
        OpenApiParameter("signature", OpenApiTypes.STR, required=True),
        OpenApiParameter("Range", OpenApiTypes.STR, OpenApiParameter.HEADER, description="One range, such as `bytes=1000-` (RFC 9110)."),
        OpenApiParameter("If-Range", OpenApiTypes.STR, OpenApiParameter.HEADER, description="The `ETag` of the part that you have."),
    ],
    "auth": [],
    "responses": {
        (200, _BYTES): _answer(OpenApiTypes.BINARY, "The file, under its own content type. `ETag` is its SHA-256."),
        (206, _BYTES): _answer(OpenApiTypes.BINARY, "The part asked for."),
        403: problem_response(403, "not_allowed", "You may not do this", "The link has expired. The job's own address gives a new one."),
        404: problem_response(404, "not_found", "There is nothing here", "The file was removed."),
        416: problem_response(416, "range_not_satisfiable", "The file has no such range", "The file has 401 bytes."),
        **_COMMON,
    },
    "examples": [_shown("a file", "...", _BYTES), _shown("a part", "...", _BYTES, 206)],
}
