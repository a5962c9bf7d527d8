"""What the OpenAPI document says of exports, with examples of every answer."""

from __future__ import annotations

from typing import Any

import msgspec
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from accounts.schema import UNAVAILABLE
from logs.api.documentation import INVALID_QUERY, STORED, TENANT, filter_parameters
from logs.api.integrity_documentation import NONE_YET, ORIGIN, STEP
from logs.evidence import DEFAULT_LIMIT as DEFAULT_EVIDENCE
from logs.evidence import MAX_LIMIT as MAX_EVIDENCE
from logs.export.asking import COMPRESSIONS, EVIDENCE, FORMAT_NAMES, ORDERS
from logs.export.formats import FORMATS

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
    "message,idempotency_key,is_imported,changed_fields,metadata,before,after,position\r\n"
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
