"""Pages under a policy without inline script or style: every page has it, and none needs more."""

from __future__ import annotations

import datetime
import re
import uuid
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import tasks
from accounts.models import Authenticator, TokenFamily, User
from auditlog_project.middleware import API_POLICY
from tests.api import Api
from tests.signing_in import PASSWORD, many_attempts, new_user, sign_in, sign_in_to_admin, with_second_factor
from tests.storing import new_key, new_tenant

STRICT = {
    "default-src": {"'none'"},
    "script-src": {"'self'"},
    "style-src": {"'self'"},
    "img-src": {"'self'", "data:"},
    "font-src": {"'self'"},
    "connect-src": {"'self'"},
    "form-action": {"'self'"},
    "frame-ancestors": {"'none'"},
    "base-uri": {"'none'"},
}
REDOC = STRICT | {"style-src": {"'self'", "'unsafe-inline'"}, "worker-src": {"blob:"}}
SCRIPT = "/api/v1/docs?script="
_EVENT = re.compile(r"on[a-z]+")
# Types of a script that no browser runs.
DATA = {"application/json", "text/template"}


class Inline(HTMLParser):
    """Collects what a policy without `unsafe-inline` would refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.elsewhere: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "style" or (tag == "script" and "src" not in given and given.get("type") not in DATA):
            self.found.append(f"<{tag}>")
        self.found += [f"{tag} {name}" for name in given if name == "style" or _EVENT.fullmatch(name)]
        self.found += [f"{tag} {name}" for name in ("href", "src", "action") if (given.get(name) or "").lower().startswith("javascript:")]
        address = given.get("src") or (given.get("href") if tag == "link" else None) or ""
        if address.startswith(("http:", "https:", "//")):
            self.elsewhere.append(address)


def policy_of(answer: Any) -> dict[str, set[str]]:
    parts = [part.split() for part in answer["Content-Security-Policy"].split(";") if part.strip()]
    return {name: set(values) for name, *values in parts}


def inline_in(answer: Any) -> list[str]:
    parser = Inline()
    parser.feed(answer.content.decode())
    assert parser.elsewhere == []
    return parser.found


@pytest.fixture(autouse=True)
def _many_attempts() -> Iterator[None]:
    with many_attempts():
        yield


@pytest.fixture(scope="module")
def stella() -> User:
    return new_user(new_tenant(), is_staff=True)


@pytest.fixture(scope="module")
def staff(stella: User) -> Client:
    client = Client()
    assert sign_in_to_admin(client, stella).status_code == 302
    return client


def admin_pages() -> Iterator[str]:
    """The list, the form for a new one, and one that is there, of every model in the admin."""
    yield from ("/admin/", "/admin/password_change/", "/admin/jsi18n/")
    for label in sorted({model._meta.app_label for model in admin.site._registry}):
        yield f"/admin/{label}/"
    for model in admin.site._registry:
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        yield reverse(f"admin:{name}_changelist")
        yield reverse(f"admin:{name}_add")


@pytest.mark.parametrize("path", list(admin_pages()) if apps.ready else [])
def test_admin_page_is_strict_and_has_nothing_inline(staff: Client, path: str) -> None:
    answer = staff.get(path)
    assert answer.status_code in (200, 403)
    assert policy_of(answer) == STRICT
    if answer["Content-Type"].startswith("text/html"):
        assert inline_in(answer) == []


def test_admin_pages_of_what_is_there_are_strict(staff: Client) -> None:
    someone = new_user(new_tenant(), is_staff=True)
    sign_in(someone)
    with_second_factor(someone)
    new_key(new_tenant())
    checked = 0
    for model in admin.site._registry:
        row = model._base_manager.order_by("-pk").first()
        if row is None:
            continue
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        for deed in ("change", "delete", "history"):
            answer = staff.get(reverse(f"{name}_{deed}", args=[row.pk]))
            if answer.status_code == 403:
                continue
            assert policy_of(answer) == STRICT
            assert inline_in(answer) == [], (name, deed)
            checked += 1
    assert checked > 12
    user = User.objects.latest("pk")
    answer = staff.get(reverse("admin:auth_user_password_change", args=[user.pk]))
    assert (policy_of(answer), inline_in(answer)) == (STRICT, [])


def test_pages_around_the_admin_are_strict(stella: User) -> None:
    client = Client()
    pages = [client.get("/admin/login/"), client.post("/admin/login/", {"username": stella.username, "password": "wrong"})]
    pages.append(Client(enforce_csrf_checks=True).post("/admin/login/", {"username": "x", "password": PASSWORD}))
    assert pages[-1].status_code == 403
    sign_in_to_admin(client, stella)
    pages += [client.get("/account/second-factor"), client.post("/account/second-factor", {"deed": "set_up", "code": "1"})]
    with_second_factor(other := new_user(is_staff=True))
    pages.append(sign_in_to_admin(Client(), other))
    pages.append(client.post("/admin/logout/"))
    for page in pages:
        assert page["Content-Type"].startswith("text/html")
        assert policy_of(page) == STRICT
        assert inline_in(page) == []
    redirect = Client().get("/")
    assert policy_of(redirect) == STRICT


def test_documentation_has_what_it_needs_and_no_more() -> None:
    swagger, redoc, script = (Client().get(path) for path in ("/api/v1/docs", "/api/v1/redoc", SCRIPT))
    assert (policy_of(swagger), inline_in(swagger)) == (STRICT, [])
    assert (policy_of(redoc), inline_in(redoc)) == (REDOC, [])
    assert script["Content-Type"].startswith("application/javascript")
    assert "SwaggerUIBundle" in script.content.decode()


def test_answers_of_the_api_can_load_nothing() -> None:
    tenant = new_tenant()
    for answer in (Api(new_key(tenant)).get("/api/v1/logs"), Api(None).get("/api/v1/logs"), Api(None).get("/healthz"), Api(None).get("/api/v1/none")):
        assert answer["Content-Security-Policy"] == API_POLICY
        assert answer["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/", "/admin/login/", "/api/v1/logs", "/api/v1/docs", "/healthz", "/.well-known/jwks.json", "/static/favicon.svg"])
def test_every_answer_is_closed_to_other_sites(path: str) -> None:
    answer = Client().get(path)
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in answer["Permissions-Policy"]


def test_session_is_new_at_sign_in_and_over_at_sign_out(stella: User) -> None:
    client = Client()
    client.cookies["session"] = "chosen-by-mallory-before-the-sign-in"
    sign_in_to_admin(client, stella)
    cookie = client.cookies["session"]
    assert cookie.value != "chosen-by-mallory-before-the-sign-in"
    assert (cookie["httponly"], cookie["samesite"], cookie["max-age"]) == (True, "Lax", 1800)
    kept = cookie.value
    client.post("/admin/logout/")
    thief = Client()
    thief.cookies["session"] = kept
    assert thief.get("/admin/").status_code == 302


def test_session_ends_after_twelve_hours_however_much_it_is_used(stella: User, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    client = Client()
    sign_in_to_admin(client, stella)
    assert client.get("/admin/").status_code == 200
    now = time.time()
    monkeypatch.setattr("auditlog_project.middleware.time.time", lambda: now + 12 * 3600 - 5)
    assert client.get("/admin/").status_code == 200
    monkeypatch.setattr("auditlog_project.middleware.time.time", lambda: now + 12 * 3600 + 5)
    assert client.get("/admin/").status_code == 302


def test_session_of_a_changed_password_is_over(stella: User) -> None:
    someone = new_user(is_staff=True)
    client = Client()
    sign_in_to_admin(client, someone)
    assert client.get("/admin/").status_code == 200
    someone.set_password("another password altogether")
    someone.save()
    assert client.get("/admin/").status_code == 302


def test_sessions_that_are_over_are_removed() -> None:
    old = Session.objects.create(session_key=uuid.uuid4().hex, session_data="", expire_date=timezone.now() - datetime.timedelta(seconds=1))
    tasks.clear_sessions()
    assert not Session.objects.filter(pk=old.pk).exists()


def test_rows_that_come_by_signing_in_are_not_written_by_hand(staff: Client) -> None:
    sign_in(new_user(new_tenant()))
    family = TokenFamily.objects.first()
    assert family is not None
    assert staff.get("/admin/accounts/tokenfamily/add/").status_code == 403
    assert staff.post(f"/admin/accounts/tokenfamily/{family.pk}/delete/", {"post": "yes"}).status_code == 403
    assert staff.post("/admin/accounts/authenticator/add/", {"user": "1", "name": "x", "confirmed": "on"}).status_code == 403
    assert not Authenticator.objects.filter(name="x").exists()
