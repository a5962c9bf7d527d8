"""The log's own proofs over HTTP: checkpoints, tiles, keys, consistency, and the proof of one entry."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse, QueryDict
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from accounts.deeds import Deed, note
from accounts.models import EndpointClass
from accounts.permissions import MayRead, principal_of
from accounts.problems import Fault, NotFound
from logs.api import integrity_documentation as documentation
from logs.api.answers import json_response
from logs.api.views import LeanView, entry_id
from logs.errors import InvalidQuery
from logs.integrity import proving, published
from logs.integrity.tiles import Tile, parse_path
from logs.search import sight
from logs.search.pages import limit_of
from logs.search.parameters import MAX_NUMBER, check_parameters, number_in
from logs.storage.columns import STORED_WITH_BATCH
from logs.storage.reading import tenant_transaction

# By principal and tenant, so no shared cache may keep it; a browser's own may, for ever.
IMMUTABLE = {"Cache-Control": "private, max-age=31536000, immutable", "Vary": "Authorization, X-Tenant"}
CHANGING = {"Cache-Control": "no-cache"}
LOOK = Deed("VERIFY", "audit_log_verification")


class CheckpointView(LeanView):
    rate_class = EndpointClass.SEARCH
    permission_classes = [MayRead]
    deeds = {"GET": LOOK}

    @extend_schema(**documentation.checkpoint)
    def get(self, request: Request) -> HttpResponse:
        check_parameters(request._request.GET, [])
        with tenant_transaction(principal_of(request).tenant_id) as cursor:
            head = proving.head_of(cursor)
        return _text(head.checkpoint, CHANGING)


class CheckpointsView(LeanView):
    rate_class = EndpointClass.SEARCH
    permission_classes = [MayRead]
    deeds = {"GET": LOOK}

    @extend_schema(**documentation.checkpoints)
    def get(self, request: Request) -> HttpResponse:
        query = request._request.GET
        check_parameters(query, ["before", "limit"])
        before, limit = number_in(query, "before"), limit_of(query)
        with tenant_transaction(principal_of(request).tenant_id) as cursor:
            page = published.list_checkpoints(cursor, MAX_NUMBER if before is None else before, limit)
        note(request, results=len(page.results))
        following = None if page.before is None else f"{request._request.path}?{urlencode({'limit': limit, 'before': page.before})}"
        return json_response(published.CheckpointPage(page.results, following))


class KeptCheckpointView(LeanView):
    rate_class = EndpointClass.SEARCH
    permission_classes = [MayRead]
    deeds = {"GET": LOOK}

    @extend_schema(**documentation.kept_checkpoint)
    def get(self, request: Request, size: int) -> HttpResponse:
        check_parameters(request._request.GET, [])
        with tenant_transaction(principal_of(request).tenant_id) as cursor:
            text = proving.kept_checkpoint(cursor, size) if size <= MAX_NUMBER else None
        if text is None:
            raise NotFound(f"No checkpoint of {size} entries is kept. See /api/v1/integrity/checkpoints.")
        return _text(text, CHANGING)


class TileView(LeanView):
    rate_class = EndpointClass.SEARCH
    permission_classes = [MayRead]
    deeds = {"GET": LOOK}

    @extend_schema(**documentation.tile)
    def get(self, request: Request, level: str, path: str) -> HttpResponse:
        check_parameters(request._request.GET, [])
        is_bundle = level == "entries"
        tile = _tile("0" if is_bundle else level, path)
        with tenant_transaction(principal_of(request).tenant_id) as cursor:
            content = published.read_bundle(cursor, tile) if is_bundle else published.read_tile(cursor, tile)
        if content is None:
            raise NotFound("The log has no such tile, or not yet.")
        return HttpResponse(content, content_type="application/octet-stream", headers=IMMUTABLE | {"Content-Length": str(len(content))})


class ConsistencyView(LeanView):
    rate_class = EndpointClass.SEARCH
    permission_classes = [MayRead]
    deeds = {"GET": LOOK}

    @extend_schema(**documentation.consistency)
    def get(self, request: Request) -> HttpResponse:
        query = request._request.GET
        check_parameters(query, ["from", "to"])
        first, second = number_in(query, "from"), number_in(query, "to")
        if first is None:
            raise InvalidQuery([Fault("from", "missing_parameter", "`from` is needed: the size of the first tree.")])
        with tenant_transaction(principal_of(request).tenant_id) as cursor:
            return json_response(proving.prove_consistency(cursor, first, second))


class KeyView(LeanView):
    rate_class = EndpointClass.SEARCH
    permission_classes = [MayRead]
    deeds = {"GET": LOOK}

    @extend_schema(**documentation.key)
    def get(self, request: Request) -> HttpResponse:
        check_parameters(request._request.GET, [])
        tenant_id = principal_of(request).tenant_id
        with tenant_transaction(tenant_id) as cursor:
            return json_response(published.describe_keys(cursor, tenant_id))


class ProofView(LeanView):
    rate_class = EndpointClass.SEARCH
    permission_classes = [MayRead]
    deeds = {"GET": LOOK}

    @extend_schema(**documentation.proof)
    def get(self, request: Request, id: str) -> HttpResponse:
        query, principal = request._request.GET, principal_of(request)
        check_parameters(query, ["tree_size", "format"])
        as_text = _format(query) == "tlog-proof"
        with tenant_transaction(principal.tenant_id) as cursor:
            # Before anything is said of it, be it that it has no position yet.
            row = sight.find_one(cursor, STORED_WITH_BATCH, entry_id(id), principal)
            found = None if row is None else proving.prove_row(cursor, row, number_in(query, "tree_size"))
        if found is None:
            raise NotFound(f"There is no entry {id}, or none that you may see.")
        note(request, resource_id=id, results=1)
        return _text(found.proof.encoded, CHANGING) if as_text else json_response(found.output, headers=CHANGING)


def _format(query: QueryDict) -> str:
    """The form of a proof. Raises InvalidQuery."""
    form = query.get("format", "json")
    if form not in ("json", "tlog-proof"):
        raise InvalidQuery([Fault("format", "unknown_value", "format is json or tlog-proof.")])
    return form


def _tile(level: str, path: str) -> Tile:
    tile = parse_path(level, path)
    if tile is None:
        raise NotFound("A tile's path is <level>/<index> or <level>/<index>.p/<width>, as C2SP tlog-tiles writes them: 0/x001/234.p/17.")
    return tile


def _text(text: str, headers: dict[str, Any]) -> HttpResponse:
    return HttpResponse(text, content_type="text/plain; charset=utf-8", headers=headers)
