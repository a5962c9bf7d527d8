"""Paths of archival's API, below /api/v1/."""

from django.urls import path

from archival.api import holds, policies

urlpatterns = [
    path("legal-holds", holds.LegalHoldsView.as_view(), name="legal-holds"),
    path("legal-holds/<int:id>", holds.LegalHoldView.as_view(), name="legal-hold"),
    path("legal-holds/<int:id>/release", holds.LegalHoldReleaseView.as_view(), name="legal-hold-release"),
    path("retention-policies", policies.RetentionPoliciesView.as_view(), name="retention-policies"),
    path("retention-policies/preview", policies.PolicyPreviewView.as_view(), name="retention-policies-preview"),
    path("retention-policies/order", policies.PolicyOrderView.as_view(), name="retention-policies-order"),
    path("retention-policies/<int:id>", policies.RetentionPolicyView.as_view(), name="retention-policy"),
]
