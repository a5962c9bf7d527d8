"""The one way in for people, by the API and by the admin's form: lock-out, password, second factor, and an entry of what came of it.

Unknown names and wrong passwords cost the same: both are counted, both have a password hashed, both are recorded.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest
from django.utils import timezone

from accounts import lock_out, second_factor
from accounts.addresses import client_address
from accounts.deeds import Deed
from accounts.extensions import Outcome
from accounts.models import User
from accounts.problems import LockedOut, NotAuthenticated
from accounts.sign_ins import record_session

SESSION = "audit_log_session"
FAILED = "No active account found with the given credentials"
CODE_NEEDED = "This account has a second factor. Send the code of the authenticator, or a recovery code, as well."
CODE_WRONG = "The code is wrong, was used before, or comes too soon after a wrong one."


def identify(request: HttpRequest, name: str, password: str, code: str | None) -> User:
    """The person who has this name and password, and whose second factor this code is, if they have one.

    `user.otp_device` is what accepted the code; None without a second factor. Raises LockedOut, NotAuthenticated, and Unavailable if it can't
    be recorded. The caller records the success, once there is one.
    """
    now = timezone.now()
    try:
        attempt = lock_out.begin(name, client_address(request), now)
    except LockedOut as locked:
        recorded(request, _named(name), "LOGIN", "failure", reason="locked_out", retry_after_seconds=locked.retry_after_seconds)
        raise
    # Hashes a password for a name that nobody has, too.
    user = ModelBackend().authenticate(request, username=name, password=password)
    if not isinstance(user, User):
        _failed(request, _named(name), attempt, "password")
        raise NotAuthenticated(FAILED)
    user.otp_device = None
    if second_factor.is_on(user):
        if not code:
            lock_out.take_back(attempt)
            raise NotAuthenticated(CODE_NEEDED, code="second_factor_needed")
        user.otp_device = second_factor.device_that_accepts(user, code)
        if user.otp_device is None:
            _failed(request, user, attempt, "second_factor")
            raise NotAuthenticated(CODE_WRONG, code="wrong_second_factor")
    lock_out.succeeded(attempt)
    return user


def recorded(request: HttpRequest | None, user: User | None, action: str, outcome: Outcome = "success", **metadata: Any) -> None:
    """Make an entry of a deed of sessions in each log that it concerns. Raises Unavailable: then it may not be done.

    `user` None: somebody by a name that nobody has.
    """
    record_session(request, user, Deed(action, SESSION), outcome, **metadata)


def _failed(request: HttpRequest, user: User | None, attempt: lock_out.Attempt, reason: str) -> None:
    recorded(request, user, "LOGIN", "failure", reason=reason)
    if attempt.locks_until is not None:
        recorded(request, user, "LOCKED_OUT", "failure", until=attempt.locks_until.isoformat())


def _named(name: str) -> User | None:
    return User.objects.filter(username=name).first()
