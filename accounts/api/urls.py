"""Paths of the account API, below /api/v1/."""

from django.urls import path

from accounts.api import access, sign_in_views, views

urlpatterns = [
    path("auth/token", sign_in_views.TokenView.as_view(), name="auth-token"),
    path("auth/token/refresh", sign_in_views.RefreshView.as_view(), name="auth-refresh"),
    path("auth/token/verify", sign_in_views.VerifyView.as_view(), name="auth-verify"),
    path("auth/sign-out", sign_in_views.SignOutView.as_view(), name="auth-sign-out"),
    path("auth/jwks", sign_in_views.KeySetView.as_view(), name="auth-jwks"),
    path("auth/me", views.MeView.as_view(), name="auth-me"),
    path("api-keys", views.ApiKeysView.as_view(), name="api-keys"),
    path("api-keys/<int:pk>", views.ApiKeyView.as_view(), name="api-key"),
    path("grants", access.GrantsView.as_view(), name="grants"),
    path("grants/<int:pk>", access.GrantView.as_view(), name="grant"),
    path("members", access.MembersView.as_view(), name="members"),
    path("members/<int:pk>", access.MemberView.as_view(), name="member"),
    path("viewer-tokens", access.ViewerTokensView.as_view(), name="viewer-tokens"),
    path("viewer-tokens/<int:pk>", access.ViewerTokenView.as_view(), name="viewer-token"),
]
