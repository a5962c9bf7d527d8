"""Paths of the log's API, below /api/v1/."""

from django.urls import path

from logs.api import catalogue, views

urlpatterns = [
    path("logs", views.EntriesView.as_view(), name="entries"),
    path("logs/bulk", views.BulkView.as_view(), name="entries-bulk"),
    path("logs/<str:id>", views.EntryView.as_view(), name="entry"),
    path("actions", catalogue.ActionsView.as_view(), name="actions"),
    path("actions/<str:name>", catalogue.ActionView.as_view(), name="action"),
    path("actions/<str:name>/schemas", catalogue.ActionSchemasView.as_view(), name="action-schemas"),
    path("log-settings", catalogue.LogSettingsView.as_view(), name="log-settings"),
]
