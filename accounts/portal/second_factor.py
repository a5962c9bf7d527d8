"""The page on which a person sets up, changes and gives up their second factor."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.mixins import LoginRequiredMixin
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.utils.safestring import mark_safe
from django.views import View
from django.views.decorators.cache import never_cache
from django_otp import login as remember_device

from accounts import second_factor
from accounts.models import Authenticator, RecoveryCodes, TokenFamily, User
from accounts.sign_in import CODE_WRONG, recorded
from accounts.tokens import end_families_of


class CodeForm(forms.Form):
    deed = forms.ChoiceField(choices=[(name, name) for name in ("set_up", "renew_codes", "remove")], widget=forms.HiddenInput)
    code = forms.CharField(max_length=64, widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "autofocus": True}))


@method_decorator(never_cache, name="dispatch")
class SecondFactorPage(LoginRequiredMixin, View):
    """GET shows how it stands; POST does one deed, each against a code. Recovery codes are in the one answer that made them."""

    http_method_names = ["get", "post", "head", "options"]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        user = request.user
        if user.is_authenticated and second_factor.is_on(user) and not second_factor.is_satisfied(user):
            # Set up since this session began: it has shown a password only.
            return redirect("admin:login")
        answer: HttpResponse = super().dispatch(request, *args, **kwargs)  # type: ignore[assignment]  # no view here is asynchronous
        return answer

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._page(request, CodeForm())

    def post(self, request: HttpRequest) -> HttpResponse:
        form = CodeForm(request.POST)
        if form.is_valid():
            user: Any = request.user
            deed, code = form.cleaned_data["deed"], form.cleaned_data["code"]
            if (deed == "set_up") == second_factor.is_on(user):
                # The page is older than what was done since.
                return redirect("second-factor")
            # What can't be recorded is not done: the exception takes it back. A wrong code returns, and stays counted.
            with transaction.atomic():
                answer = getattr(self, f"_{deed}")(request, user, code)
            if answer is not None:
                done: HttpResponse = answer
                return done
            recorded(request, user, "SECOND_FACTOR_REFUSED", "failure", attempted=deed)
            form.add_error("code", CODE_WRONG)
        return self._page(request, form, status=422)

    def _set_up(self, request: HttpRequest, user: User, code: str) -> HttpResponse | None:
        codes = second_factor.confirm(user, code)
        if codes is None:
            return None
        recorded(request, user, "SECOND_FACTOR_SET_UP")
        # Whoever signed in before has shown a password only.
        end_families_of(user, TokenFamily.Reason.SECOND_FACTOR)
        remember_device(request, Authenticator.objects.get(user=user, confirmed=True))
        request.session.cycle_key()
        return self._codes(request, codes)

    def _renew_codes(self, request: HttpRequest, user: User, code: str) -> HttpResponse | None:
        if second_factor.device_that_accepts(user, code) is None:
            return None
        codes = RecoveryCodes.renew(user)
        recorded(request, user, "SECOND_FACTOR_CODES_RENEWED")
        return self._codes(request, codes)

    def _remove(self, request: HttpRequest, user: User, code: str) -> HttpResponse | None:
        if second_factor.device_that_accepts(user, code) is None:
            return None
        recorded(request, user, "SECOND_FACTOR_REMOVED")
        second_factor.remove(user)
        end_families_of(user, TokenFamily.Reason.SECOND_FACTOR)
        return HttpResponseRedirect(request.path)

    def _codes(self, request: HttpRequest, codes: list[str]) -> HttpResponse:
        return render(request, "accounts/recovery_codes.html", {"codes": codes})

    def _page(self, request: HttpRequest, form: CodeForm, *, status: int = 200) -> HttpResponse:
        user: Any = request.user
        device = Authenticator.objects.filter(user=user, confirmed=True).first()
        shown: dict[str, Any] = {"form": form, "device": device}
        if device is None:
            pending = Authenticator.unconfirmed(user)
            # Our own drawing of our own text.
            shown |= {"picture": mark_safe(second_factor.picture(pending.uri)), "seed": pending.seed_as_text}  # noqa: S308  # nosec B308 B703
        else:
            codes = RecoveryCodes.objects.filter(user=user).first()
            shown |= {"codes_left": len(codes.digests) if codes else 0}
        return render(request, "accounts/second_factor.html", shown, status=status)
