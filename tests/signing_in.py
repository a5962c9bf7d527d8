"""People with passwords, and what they sign in with."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db import connections
from django.test import Client
from django_otp.oath import TOTP

from accounts import second_factor
from accounts.limits import rules
from accounts.models import Authenticator, EndpointClass, Membership, RateLimit, Role, SubjectKind, Tenant, User
from tests.api import Api

if TYPE_CHECKING:
    # The stubs' name for a response with `json()` on it.
    from django.test.client import _MonkeyPatchedWSGIResponse as Answer

PASSWORD = "correct horse battery staple"
AUTH = "/api/v1/auth/"
TOKEN, REFRESH, VERIFY, SIGN_OUT, JWKS = (AUTH + name for name in ("token", "token/refresh", "token/verify", "sign-out", "jwks"))


@contextmanager
def many_attempts() -> Iterator[None]:
    """As many attempts to sign in as a test needs: the limits of requests are not what is tested."""
    rows = [
        RateLimit.objects.create(endpoint_class=EndpointClass.SIGN_IN, subject_kind=kind, amount=1_000_000)
        for kind in (SubjectKind.PRINCIPAL, SubjectKind.ADDRESS)
    ]
    rules.forget()
    yield
    for row in rows:
        row.delete()
    rules.forget()


def new_user(tenant: Tenant | None = None, role: Role = Role.AUDITOR, *, is_staff: bool = False) -> User:
    name = f"u{uuid.uuid4().hex[:12]}"
    user = User.objects.create_user(name, password=PASSWORD, is_staff=is_staff, is_superuser=is_staff)
    if tenant is not None:
        Membership.objects.create(user=user, tenant=tenant, role=role)
    return user


def try_to_sign_in(user: User | str, password: str = PASSWORD, otp: str | None = None, address: str = "192.0.2.7") -> Answer:
    """The API's answer to an attempt from `address`."""
    name = user if isinstance(user, str) else user.username
    body = {"username": name, "password": password} | ({} if otp is None else {"otp": otp})
    return Client(REMOTE_ADDR=address).post(TOKEN, body, content_type="application/json")


def sign_in(user: User) -> dict[str, str]:
    """The pair of tokens."""
    answer = try_to_sign_in(user)
    assert answer.status_code == 200, answer.content
    tokens: dict[str, str] = answer.json()
    return tokens


def refresh(token: str) -> Answer:
    return Api(None).post(REFRESH, {"refresh": token})


def with_second_factor(user: User) -> list[str]:
    """Set one up for the person. Answers their recovery codes; the first code is used up."""
    Authenticator.unconfirmed(user)
    codes = second_factor.confirm(user, code_of(Authenticator.objects.get(user=user)))
    assert codes is not None
    return codes


def code_of(device: Authenticator, *, steps: int = 0) -> str:
    """The code that the person's authenticator shows; in so many steps of 30 seconds from now."""

    totp = TOTP(device.seed, drift=steps)
    totp.time = time.time()
    return f"{totp.token():06}"


def sign_in_to_admin(client: Client, user: User, code: str = "", password: str = PASSWORD) -> Answer:
    form = {"username": user.username, "password": password, "code": code, "next": "/admin/"}
    return client.post("/admin/login/", form)


def stored_bytes(table: str) -> bytes:
    """Every row of a table as PostgreSQL would write it out."""
    with connections["maintenance"].cursor() as cursor:
        cursor.execute(f"SELECT t::text FROM {table} t")
        return "\n".join(row[0] for row in cursor.fetchall()).encode()
