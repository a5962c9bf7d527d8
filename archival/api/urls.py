"""Paths of archival's API, below /api/v1/."""

from django.urls import path

from archival.api import cleanups, holds, pending_acts, policies, restores

urlpatterns = [
    path("legal-holds", holds.LegalHoldsView.as_view(), name="legal-holds"),
    path("legal-holds/preview", holds.LegalHoldPreviewView.as_view(), name="legal-holds-preview"),
    path("legal-holds/<int:id>", holds.LegalHoldView.as_view(), name="legal-hold"),
    path("legal-holds/<int:id>/release", holds.LegalHoldReleaseView.as_view(), name="legal-hold-release"),
    path("archive/restores", restores.RestoresView.as_view(), name="archive-restores"),
    path("archive/restores/<int:id>", restores.RestoreView.as_view(), name="archive-restore"),
    path("cleanups", cleanups.CleanupsView.as_view(), name="cleanups"),
    path("cleanups/<str:id>", cleanups.CleanupJobView.as_view(), name="cleanup-job"),
    path("dual-control", pending_acts.DualControlView.as_view(), name="dual-control"),
    path("pending-acts", pending_acts.PendingActsView.as_view(), name="pending-acts"),
    path("pending-acts/<int:id>", pending_acts.PendingActView.as_view(), name="pending-act"),
    path("pending-acts/<int:id>/confirm", pending_acts.PendingActConfirmView.as_view(), name="pending-act-confirm"),
    path("pending-acts/<int:id>/refuse", pending_acts.PendingActRefuseView.as_view(), name="pending-act-refuse"),
    path("retention-policies", policies.RetentionPoliciesView.as_view(), name="retention-policies"),
    path("retention-policies/preview", policies.PolicyPreviewView.as_view(), name="retention-policies-preview"),
    path("retention-policies/order", policies.PolicyOrderView.as_view(), name="retention-policies-order"),
    path("retention-policies/<int:id>", policies.RetentionPolicyView.as_view(), name="retention-policy"),
]
