"""Paths of archival's API, below /api/v1/."""

from django.urls import path

from archival.api import holds, restores

urlpatterns = [
    path("legal-holds", holds.LegalHoldsView.as_view(), name="legal-holds"),
    path("legal-holds/<int:id>", holds.LegalHoldView.as_view(), name="legal-hold"),
    path("legal-holds/<int:id>/release", holds.LegalHoldReleaseView.as_view(), name="legal-hold-release"),
    path("archive/restores", restores.RestoresView.as_view(), name="archive-restores"),
    path("archive/restores/<int:id>", restores.RestoreView.as_view(), name="archive-restore"),
]
