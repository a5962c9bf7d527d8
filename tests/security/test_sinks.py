"""One text that is dangerous everywhere, in every field that takes text, and a look at each place where it comes out: stored as sent, shown inert."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from django.contrib import admin
from django.test import Client

from accounts.models import ApiKey, Membership, Role, Tenant, User
from auditlog_verify.inert import inert
from logs.models import ActionDefinition, SavedSearch, VerificationRun
from tests.api import LOGS, Api
from tests.exporting import EXPORT, body_of, read_parquet
from tests.sequencing import publish_all, sequence_all
from tests.storing import new_key, new_tenant, new_token, store
from tests.web import CHECKOUT, Web, product_environment

MARK = "P" + uuid.uuid4().hex[:10]
# Formula, HTML, attribute, template, SQL, path, header, ANSI, bidi, separators, JSON's and shells' quotes.
POLYGLOT = (
    f"=cmd|'/C calc'!A0;\"=1+1\n@{MARK}<script>alert(1)</script><img src=x onerror=alert(1)>\" onmouseover='alert(1)' {{{{7*7}}}}{{% debug %}}"
    "'; DROP TABLE x;-- ../../etc/passwd\r\nX-Injected: yes\r\n\r\n\x1b[2J\x1b]0;x\x07\u202egnp.exe\u2028\u2029`$(id)` %s %(message)s {0}\ufeff\x85"
)
TEXTS = ("user_id", "resource_type", "resource_id", "session_id", "request_id", "user_agent", "message")
RAW_HTML = ("<script>alert(1)", "<img src=x", "onmouseover='alert(1)'\"")


@pytest.fixture(scope="module")
def tenant() -> Tenant:
    tenant = new_tenant()
    fields: dict[str, Any] = dict.fromkeys(TEXTS, POLYGLOT[:128])
    fields |= {"user_agent": POLYGLOT, "message": POLYGLOT, "resource_id": POLYGLOT}
    fields |= {"metadata": {POLYGLOT: POLYGLOT, "list": [POLYGLOT]}, "before": {POLYGLOT: 1}, "after": {POLYGLOT: 2}}
    store(tenant, [fields] * 3)
    sequence_all()
    publish_all()
    return tenant


@pytest.fixture(scope="module")
def api(tenant: Tenant) -> Api:
    return Api(new_token(tenant, Role.ADMIN, "alice"))


def assert_safe_headers(answer: Any) -> None:
    """Nothing of the text is in a header but as an escape; a browser takes the body for nothing but what it is."""
    for name, value in answer.items():
        assert value.isprintable(), (name, value)
        assert value.isascii(), (name, value)
    assert "X-Injected" not in answer
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert not answer["Content-Type"].startswith("text/html")


def test_json_gives_back_what_was_sent(tenant: Tenant, api: Api) -> None:
    page = api.get(LOGS, limit=2, q=f'"{MARK}"')
    assert_safe_headers(page)
    (found, _) = page.json()["results"]
    assert (found["message"], found["user_agent"], found["resource_id"]) == (POLYGLOT,) * 3
    assert found["metadata"][POLYGLOT] == POLYGLOT
    for path in (f"{LOGS}/{found['id']}", f"{LOGS}/{found['id']}/proof", f"{LOGS}?order=position&after=0"):
        answer = api.get(path)
        assert answer.status_code == 200
        assert_safe_headers(answer)


def test_links_and_counts_hold_it_escaped(api: Api) -> None:
    answer = api.get(LOGS, limit=1, user_id=POLYGLOT[:128], resource_id=POLYGLOT)
    assert_safe_headers(answer)
    link = re.fullmatch(r'<([^<>"\s]+)>; rel="next"', answer["Link"])
    assert link
    following = api.get(link[1])
    assert [found["message"] for found in following.json()["results"]] == [POLYGLOT]
    for path in (f"{LOGS}/stats", f"{LOGS}/facets"):
        for query in ({}, {"user_id": POLYGLOT[:128]}, {"q": f'"{MARK}"'}):
            answer = api.get(path, **query)
            assert answer.status_code in (200, 422), answer.content
            assert_safe_headers(answer)


def test_each_ndjson_line_is_an_entry(api: Api) -> None:
    content = body_of(api.get(EXPORT, format="ndjson", user_id=POLYGLOT[:128]))
    lines = content.split(b"\n")
    assert (len(lines), lines[-1]) == (4, b"")
    assert {json.loads(line)["message"] for line in lines[:-1]} == {POLYGLOT}


def test_json_document_and_parquet_hold_it_as_it_is(api: Api) -> None:
    document = json.loads(body_of(api.get(EXPORT, format="json", user_id=POLYGLOT[:128])))
    assert [found["message"] for found in document["entries"]] == [POLYGLOT] * 3
    assert sum(POLYGLOT in row for row in read_parquet(body_of(api.get(EXPORT, format="parquet", user_id=POLYGLOT[:128])))) == 3


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_no_spreadsheet_finds_a_formula_in_csv(api: Api, separator: str) -> None:
    """Cut by commas as it is written, and by what the spreadsheets of other countries cut by."""
    answer = api.get(EXPORT, format="csv", user_id=POLYGLOT[:128])
    assert_safe_headers(answer)
    assert answer["Content-Disposition"].startswith("attachment; filename=")
    rows = list(csv.reader(io.StringIO(body_of(answer).decode(), newline=""), delimiter=separator))
    if separator == ",":
        assert len(rows) == 4
    for row in rows:
        for cell in row:
            assert not re.match(r'["\s]*[=+@\uff1d]', cell), (separator, cell)


def test_evidence_is_valid_and_prints_inert(api: Api, tenant: Tenant, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.ndjson"
    bundle.write_bytes(body_of(api.get(EXPORT, format="evidence", user_id=POLYGLOT[:128])))
    done = subprocess.run([sys.executable, "-m", "auditlog_verify", str(bundle)], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(line == inert(line) for line in done.stdout.splitlines())
    # Damaged where it shows most: what is wrong is told, and quotes nothing that acts.
    bundle.write_text(bundle.read_text(encoding="utf-8").replace(MARK, MARK[::-1]), encoding="utf-8")
    done = subprocess.run([sys.executable, "-m", "auditlog_verify", str(bundle)], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert all(line == inert(line) for line in (done.stdout + done.stderr).split("\n"))


def test_timeline_finds_it(api: Api) -> None:
    answer = api.get(f"/api/v1/requests/{quote(POLYGLOT[:128], safe='')}")
    assert answer.status_code == 200
    assert_safe_headers(answer)


REFUSED = [
    ("GET", f"{LOGS}?q={{}}", None),
    ("GET", f"{LOGS}?cursor={{}}", None),
    ("GET", f"{LOGS}?{{}}=1", None),
    ("GET", f"{LOGS}/{{}}", None),
    ("GET", "/api/v1/actions/{}", None),
    ("GET", "/api/v1/exports/{}", None),
    ("GET", "/{}", None),
    ("GET", "/api/v1/saved-searches/{}", None),
    ("POST", LOGS, {"user_id": "a", "action": POLYGLOT, "resource_type": "c"}),
    ("POST", LOGS, {"user_id": "a", "action": "B", "resource_type": "c", POLYGLOT: 1}),
    ("POST", LOGS, {"user_id": "a", "action": "B", "resource_type": "c", "ip_address": "<script>"}),
    ("POST", "/api/v1/actions", {"name": POLYGLOT}),
    ("POST", "/api/v1/api-keys", {"name": "x", "scopes": [POLYGLOT]}),
    ("POST", "/api/v1/exports", {"format": POLYGLOT}),
    ("POST", "/api/v1/exports", {"format": "csv", POLYGLOT: 1}),
    ("POST", "/api/v1/auth/token", {"username": POLYGLOT, "password": POLYGLOT}),
]


@pytest.mark.parametrize(("method", "path", "body"), REFUSED)
def test_refusal_is_json_whatever_it_quotes(api: Api, method: str, path: str, body: Any) -> None:
    answer = api.send(method, path.replace("{}", quote(POLYGLOT, safe="")), body)
    assert 400 <= answer.status_code < 500
    assert answer["Content-Type"] == "application/problem+json"
    assert_safe_headers(answer)
    json.loads(answer.content)


@pytest.mark.parametrize("name", ["X-Request-Id", "X-Tenant", "Idempotency-Key", "Content-Type", "Accept", "Range", "If-Match", "Prefer", "Authorization"])
def test_header_that_is_sent_comes_back_as_no_other(api: Api, name: str) -> None:
    for text in (POLYGLOT.replace("\r", "").replace("\n", "").encode("ascii", "ignore").decode(), "a\x85b", "<script>", "a\tb\x0b"):
        answer = api.send("GET", LOGS, b"", **{name.replace("-", "_"): text})
        assert_safe_headers(answer)


# -- pages


@pytest.fixture(scope="module")
def staff(tenant: Tenant) -> Client:
    user = User.objects.create_superuser(f"staff{uuid.uuid4().hex[:8]}", password="correct horse battery staple")
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


@pytest.fixture(scope="module")
def planted(tenant: Tenant, api: Api) -> None:
    """The text in each field of each row that the admin shows."""
    owner = User.objects.create_user(f"o{uuid.uuid4().hex[:8]}", first_name=POLYGLOT[:150], last_name=POLYGLOT[:150])
    Membership.objects.create(user=owner, tenant=tenant, role=Role.AUDITOR, log_user_id=POLYGLOT[:128])
    Tenant.objects.create(slug=f"x{uuid.uuid4().hex[:8]}", name=POLYGLOT[:200])
    SavedSearch.objects.create(tenant=tenant, owner=owner, name=POLYGLOT[:200], description=POLYGLOT, query={"q": [POLYGLOT]}, is_shared=True)
    ActionDefinition.objects.create(tenant=tenant, name=f"A{uuid.uuid4().hex[:8].upper()}", title_template=POLYGLOT)
    ApiKey.objects.create(tenant=tenant, name=POLYGLOT[:100], prefix=uuid.uuid4().hex[:12], digest=bytes(32), scopes=["logs:read"])
    VerificationRun.objects.create(
        tenant=tenant, started_by="=<script>alert(1", low=0, high=1, result="findings", error=POLYGLOT, findings=[{"kind": "changed", "detail": POLYGLOT}]
    )


def pages_of_admin() -> Iterator[str]:
    for model in admin.site._registry:
        base = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        yield base
        yield f"{base}?q={MARK}%3Cscript%3Ealert(1)"
        for key in model._default_manager.order_by("-pk").values_list("pk", flat=True)[:5]:
            yield f"{base}{key}/change/"
            yield f"{base}{key}/delete/"
            yield f"{base}{key}/history/"


@pytest.mark.usefixtures("planted")
def test_no_page_of_the_admin_shows_it_as_html(staff: Client) -> None:
    seen = False
    for page in pages_of_admin():
        answer = staff.get(page)
        assert answer.status_code < 500, page
        text = answer.content.decode()
        for raw in RAW_HTML:
            assert raw not in text, page
        seen = seen or "&lt;script&gt;alert(1)" in text
        for name, value in answer.items():
            assert "\n" not in value, (page, name)
    assert seen


def test_no_open_page_shows_what_it_is_asked_as_html() -> None:
    client = Client(raise_request_exception=False)
    for path in (
        "/",
        "/api/v1/docs",
        "/api/v1/redoc",
        "/admin/login/",
        "/admin/nowhere/",
        "/nowhere",
        "/api/v1/schema",
        "/static/nowhere",
        "/healthz",
        "/readyz",
    ):
        for query in (f"?next={RAW_HTML[0]}", f"?{RAW_HTML[1]}=1", "?next=//evil.example/", "?next=javascript:alert(1)"):
            answer = client.get(path + query)
            content = b"".join(answer) if answer.streaming else answer.content
            assert not any(raw.encode() in content for raw in RAW_HTML), (path, query)
            assert "evil.example" not in answer.get("Location", "").partition("?")[0]
    answer = client.get(f"/{RAW_HTML[0]}</script>")
    assert answer["Content-Type"] == "application/problem+json"


# -- the server's log


def test_log_of_the_web_process_holds_none_of_it() -> None:
    """Refusals, broken requests and a database that is away: whatever is logged of them is one inert line each, and shows no secret."""
    secret = "s3cr3t" + uuid.uuid4().hex[:8]
    url = re.sub(r"//([^:/@]*):[^@]*@", rf"//\1:{secret}@", settings_url())
    assert secret in url
    environment = product_environment(DATABASE_URL=url, AUDITLOG_DATABASE_TIMEOUT_SECONDS="2")
    key = new_key(new_tenant())
    web = Web(environment)
    try:
        web.start()
        line = POLYGLOT.replace("\r", " ").replace("\n", " ").encode("ascii", "ignore").decode().replace("\x1b", "").replace("\x07", "")
        with httpx.Client(base_url=web.url, timeout=30) as client:
            asked: list[Future[httpx.Response]] = []
            # Beside one another, for each waits until the database is given up.
            with ThreadPoolExecutor(12) as pool:
                for headers in ({"Authorization": f"Bearer {key}"}, {"Authorization": "Bearer eyJhbGciOi.eyJzdWIi.c2ln"}, {"X-Request-Id": line}, {}):
                    asked.append(pool.submit(client.get, LOGS, params={"q": POLYGLOT, "signature": secret}, headers=headers))
                    posted = {"user_id": POLYGLOT, "action": POLYGLOT, "password": secret}
                    asked.append(pool.submit(client.post, LOGS, json=posted, headers=headers))
                    asked.append(pool.submit(client.get, f"/admin/login/?next={secret}", headers=headers))
            # The password is wrong, so the database is away for whoever needs it: that is logged.
            assert {answer.result().status_code for answer in asked} <= {200, 400, 401, 403, 404, 422, 503, 500}
    finally:
        web.stop()
    output = web.output
    assert "the database is away" in output
    assert secret not in output
    assert key.split("_")[2] not in output
    assert MARK not in output
    for logged in output.splitlines():
        assert logged == inert(logged)
        assert logged.startswith(("[", "2", "    | ")), logged
    assert "alert(1)" not in output


def settings_url() -> str:
    """The application's address of the database."""
    return os.environ.get("DATABASE_URL") or Path(os.environ["DATABASE_URL_FILE"]).read_text().strip()
