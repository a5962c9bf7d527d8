"""Paths of the account API, below /api/v1/."""

from django.urls import path

from accounts.api import views

urlpatterns = [
    path("auth/token", views.TokenView.as_view(), name="auth-token"),
    path("auth/token/refresh", views.RefreshView.as_view(), name="auth-refresh"),
    path("auth/token/verify", views.VerifyView.as_view(), name="auth-verify"),
    path("auth/sign-out", views.SignOutView.as_view(), name="auth-sign-out"),
    path("auth/me", views.MeView.as_view(), name="auth-me"),
    path("api-keys", views.ApiKeysView.as_view(), name="api-keys"),
    path("api-keys/<int:pk>", views.ApiKeyView.as_view(), name="api-key"),
]
