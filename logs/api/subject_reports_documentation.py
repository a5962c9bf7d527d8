"""What the OpenAPI document says of subject reports, with examples of every answer."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiResponse

from accounts.schema import problem_response
from logs.api.documentation import TENANT
from logs.api.export_documentation import TOO_MANY_JOBS

_JOB = {
    "id": "019a2b3c-4d5e-7000-8000-00000000002a",
    "state": "queued",
    "format": "subject_report",
    "compression": "none",
    "order": "desc",
    "query": "",
    "asked_by": "user:alice",
    "created_at": "2026-01-31T12:00:00.123456Z",
    "attempts": 0,
    "entries_written": 0,
    "bytes_written": 0,
    "subject": "carol",
}
_DETAIL = "Object missing required field `subject`."
INVALID = problem_response(422, "invalid", "The content is not right", _DETAIL, errors=[{"pointer": "/subject", "code": "missing_field", "detail": _DETAIL}])


def make_report_with(given: type, output: type) -> dict[str, Any]:
    return {
        "operation_id": "subject_reports_create",
        "summary": "Ask for a report on a data subject",
        "description": (
            "Everything that the log holds on one person, with what you may see of it, as an export job (`GET /api/v1/exports/{id}`). Its file is a ZIP: "
            "`report.html` to read, `entries.ndjson` for machines, `manifest.json` with the SHA-256 of both, the count and the log's checkpoint. "
            "Who asked about whom is recorded."
        ),
        "parameters": [TENANT],
        "request": given,
        "responses": {202: OpenApiResponse(output, description="The job. `Location` is its address."), 422: INVALID, 429: TOO_MANY_JOBS},
        "examples": [
            OpenApiExample("a report", value={"subject": "carol", "query": "from=2026-01-01T00:00:00Z"}, request_only=True),
            OpenApiExample("the job", value=_JOB, response_only=True, status_codes=["202"]),
        ],
    }
