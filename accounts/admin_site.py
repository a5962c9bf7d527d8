"""The admin's site: Django's, with our way in and the second factor before its pages."""

from __future__ import annotations

import logging
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache

from accounts import second_factor
from accounts.problems import LockedOut, Problem, Unavailable
from accounts.sign_in import identify, recorded

logger = logging.getLogger(__name__)


class SignInForm(AdminAuthenticationForm):
    """Name, password and, for who has a second factor, its code."""

    code = forms.CharField(
        required=False,
        max_length=64,
        label="Code of the second factor",
        help_text="If you have one: what the authenticator shows, or a recovery code.",
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code"}),
    )

    def clean(self) -> dict[str, Any]:
        name, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        # Without both the fields' own errors say so; Django's form would ask the backends by itself.
        if self.request is not None and name is not None and password:
            try:
                user = identify(self.request, name, password, self.cleaned_data.get("code"))
                self.confirm_login_allowed(user)
                recorded(self.request, user, "LOGIN", second_factor=user.otp_device is not None)
                self.user_cache = user
            except Unavailable:
                # A problem document, as everywhere.
                raise
            except Problem as problem:
                raise ValidationError(_sentence(problem), code=problem.code) from problem
        return self.cleaned_data


class AdminSite(admin.AdminSite):
    """Opens for staff who have shown their second factor, if they have one or need one."""

    login_form = SignInForm
    login_template = "accounts/admin_login.html"
    site_header = site_title = "Audit log"

    def has_permission(self, request: HttpRequest) -> bool:
        return super().has_permission(request) and second_factor.is_satisfied(request.user)

    @method_decorator(never_cache)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method == "GET" and super().has_permission(request) and not self.has_permission(request) and not second_factor.is_on(request.user):
            return redirect("second-factor")
        answer = super().login(request, extra_context)
        if request.method == "POST" and request.user.is_authenticated:
            # The session's age counts from now, should it have been somebody's before.
            request.session.pop("signed_in_at", None)
        return answer

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        if request.user.is_authenticated:
            try:
                recorded(request, request.user, "LOGOUT")
            except Unavailable:
                # A person who wants to go is not held.
                logger.warning("the sign-out of user %s is not recorded", request.user.pk)
        return super().logout(request, extra_context)


def _sentence(problem: Problem) -> str:
    if isinstance(problem, LockedOut):
        minutes = -(-problem.retry_after_seconds // 60)
        return f"Signing in by this name has failed too often. Try again in {minutes} minute{'s' if minutes > 1 else ''}."
    return problem.detail
