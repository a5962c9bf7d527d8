"""What the OpenAPI document says of proofs, with examples of every answer. The examples are of one log of three entries."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from accounts.schema import NOT_FOUND, UNAVAILABLE, problem_response
from logs.api.documentation import ID, INVALID_QUERY, TENANT
from logs.integrity.proving import Consistency, EntryProof
from logs.integrity.published import CheckpointPage, LogKey
from logs.search.pages import DEFAULT_LIMIT, MAX_LIMIT

ORIGIN = "auditlog.example/019a2b3c-0000-7000-8000-000000000001"
PUBLIC_KEY = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
LEAF_HASH = "bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0="
STEP = "lqLSJPKFxnvuk8MPijCRV/DaozXFuH5BC3hjCgnPx78="
ROOT_HASH = "rrZrz+J0txpPsGelV55JJk27qbUa9eC6FZFYHzKeBnc="
CHECKPOINT = f"{ORIGIN}\n3\n{ROOT_HASH}\n\n— {ORIGIN} 4X5KKaeK6JSVyDXFo1wXhRfJbAJWNFQFMoHHjg8l1+3MOeIxRr6p0m6bSl4oZCqA0kjaB6yAhJtJmB1JdH5FZfJ1IQs=\n"
CANONICAL = f'{{"action":"LOGIN","id":"{ID}","outcome":"success","received_at":"2026-01-31T12:00:00.234567Z","resource_type":"session","v":1}}'
NOT_SEQUENCED = problem_response(
    409,
    "not_sequenced",
    "The entry has no position in the log yet",
    f"The entry {ID} is stored and has no position in the log yet. Ask again in a moment.",
)


def unknown_size(name: str) -> OpenApiResponse:
    detail = "The log has 3 entries, not 5."
    return problem_response(422, "invalid_query", "The question is not right", detail, errors=[{"pointer": name, "code": "unknown_size", "detail": detail}])


def _answer(kind: Any, description: str) -> OpenApiResponse:
    return OpenApiResponse(kind, description=description)


def _shown(name: str, value: Any, media_type: str = "application/json") -> list[OpenApiExample]:
    return [OpenApiExample(name, value=value, response_only=True, status_codes=["200"], media_type=media_type)]


_NUMBER = {"type": "integer", "format": "int64", "minimum": 0}
_COMMON: dict[Any, Any] = {422: INVALID_QUERY, 503: UNAVAILABLE}
_TEXT = "text/plain"
NONE_YET = problem_response(404, "not_found", "There is nothing here", "The log has no checkpoint yet: nothing is sequenced.")

checkpoint: dict[str, Any] = {
    "operation_id": "integrity_checkpoint",
    "summary": "Read the newest checkpoint",
    "description": "The signed tree head of the tenant's log (C2SP tlog-checkpoint): name, number of entries, root hash, signatures.",
    "parameters": [TENANT],
    "responses": {(200, _TEXT): _answer(OpenApiTypes.STR, "The signed note."), 404: NONE_YET, **_COMMON},
    "examples": _shown("a checkpoint", CHECKPOINT, _TEXT),
}
checkpoints: dict[str, Any] = {
    "operation_id": "integrity_checkpoints",
    "summary": "List the kept checkpoints",
    "description": "Newest first. While entries come one a minute is kept, while none do one an hour.",
    "parameters": [
        OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}),
        OpenApiParameter("before", _NUMBER, description="From `next` of an answer."),
        TENANT,
    ],
    "responses": {200: _answer(CheckpointPage, "One page."), **_COMMON},
    "examples": _shown(
        "a page",
        {
            "results": [{"tree_size": 3, "signed_at": "2026-01-31T12:00:01.5Z", "anchored_at": "2026-01-31T12:00:01.7Z", "checkpoint": CHECKPOINT}],
            "next": "/api/v1/integrity/checkpoints?limit=1&before=7",
        },
    ),
}
kept_checkpoint: dict[str, Any] = {
    "operation_id": "integrity_kept_checkpoint",
    "summary": "Read a kept checkpoint",
    "parameters": [OpenApiParameter("size", _NUMBER, OpenApiParameter.PATH, description="How many entries the log had."), TENANT],
    "responses": {(200, _TEXT): _answer(OpenApiTypes.STR, "The signed note."), 404: NOT_FOUND, **_COMMON},
    "examples": _shown("a checkpoint", CHECKPOINT, _TEXT),
}
tile: dict[str, Any] = {
    "operation_id": "integrity_tile",
    "summary": "Read a tile, or the records below one",
    "description": (
        "As C2SP tlog-tiles lays them out, height 8. `0` to `7` are levels of hashes (32 bytes each); `entries` gives the entries' records, "
        "each after its length in two bytes. What is at a path never changes."
    ),
    "parameters": [
        OpenApiParameter("level", OpenApiTypes.STR, OpenApiParameter.PATH, description="0 to 7, or `entries`."),
        OpenApiParameter("path", OpenApiTypes.STR, OpenApiParameter.PATH, description="`000`, `x001/234`; of a partial tile `000.p/17`."),
        TENANT,
    ],
    "responses": {(200, "application/octet-stream"): _answer(OpenApiTypes.BINARY, "The hashes or records."), 404: NOT_FOUND, **_COMMON},
    "examples": _shown("three hashes", "96 bytes", "application/octet-stream"),
}
consistency: dict[str, Any] = {
    "operation_id": "integrity_consistency",
    "summary": "Prove that one tree is the beginning of another",
    "parameters": [
        OpenApiParameter("from", _NUMBER, required=True, description="Size of the first tree."),
        OpenApiParameter("to", _NUMBER, description="Size of the second tree; the newest if it is left out."),
        TENANT,
    ],
    "responses": {200: _answer(Consistency, "The proof."), 404: NONE_YET, 422: unknown_size("to"), 503: UNAVAILABLE},
    "examples": _shown(
        "a proof",
        {"first_size": 2, "first_root_hash": STEP, "second_size": 3, "second_root_hash": ROOT_HASH, "consistency_path": [LEAF_HASH]},
    ),
}
key: dict[str, Any] = {
    "operation_id": "integrity_key",
    "summary": "Read the public keys of the log",
    "description": "Keep them elsewhere: a proof is worth as much as the way by which its key came.",
    "parameters": [TENANT],
    "responses": {200: _answer(LogKey, "The log's name and its keys."), **_COMMON},
    "examples": _shown(
        "a key",
        {"origin": ORIGIN, "keys": [{"public_key": PUBLIC_KEY, "verifier_keys": [f"{ORIGIN}+8a2b1c3d+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"]}]},
    ),
}
proof: dict[str, Any] = {
    "operation_id": "entries_proof",
    "summary": "Prove that an entry is in the log",
    "description": "Anyone who has the public key can check the proof without this server. `format=tlog-proof` gives it as C2SP tlog-proof text.",
    "parameters": [
        OpenApiParameter("id", OpenApiTypes.UUID, OpenApiParameter.PATH),
        OpenApiParameter("tree_size", _NUMBER, description="Against a kept checkpoint of this size, not the newest."),
        OpenApiParameter("format", OpenApiTypes.STR, enum=["json", "tlog-proof"], default="json"),
        TENANT,
    ],
    "responses": {
        (200, "application/json"): _answer(EntryProof, "The proof."),
        (200, _TEXT): _answer(OpenApiTypes.STR, "The proof as tlog-proof text (`format=tlog-proof`)."),
        404: NOT_FOUND,
        409: NOT_SEQUENCED,
        422: unknown_size("tree_size"),
        503: UNAVAILABLE,
    },
    "examples": [
        *_shown(
            "a proof",
            {
                "id": ID,
                "leaf_index": 0,
                "leaf_hash": LEAF_HASH,
                "tree_size": 3,
                "root_hash": ROOT_HASH,
                "inclusion_path": [STEP, ROOT_HASH],
                "checkpoint": CHECKPOINT,
                "canonical": CANONICAL,
            },
        ),
        *_shown("as text", f"c2sp.org/tlog-proof@v1\nindex 0\n{STEP}\n{ROOT_HASH}\n\n{CHECKPOINT}", _TEXT),
    ],
}
