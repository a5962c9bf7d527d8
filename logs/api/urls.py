"""Paths of the log's API, below /api/v1/."""

from django.urls import path, register_converter

from logs.api import alert_rules, alerts, catalogue, erasures, export, integrity, masking, saved_searches, stats, stream, subject_reports, timeline, views

register_converter(timeline.AnyTextConverter, "any")

urlpatterns = [
    path("logs", views.EntriesView.as_view(), name="entries"),
    path("logs/bulk", views.BulkView.as_view(), name="entries-bulk"),
    path("logs/export", export.ExportView.as_view(), name="export"),
    path("exports", export.ExportsView.as_view(), name="exports"),
    path("exports/<str:id>", export.ExportJobView.as_view(), name="export-job"),
    path("exports/<str:id>/file", export.ExportFileView.as_view(), name="export-file"),
    path("logs/stats", stats.StatsView.as_view(), name="stats"),
    path("logs/facets", stats.FacetsView.as_view(), name="facets"),
    path("logs/stream", stream.StreamView.as_view(), name="stream"),
    path("logs/<str:id>", views.EntryView.as_view(), name="entry"),
    path("logs/<str:id>/proof", integrity.ProofView.as_view(), name="entry-proof"),
    path("integrity/checkpoint", integrity.CheckpointView.as_view(), name="checkpoint"),
    path("integrity/checkpoints", integrity.CheckpointsView.as_view(), name="checkpoints"),
    path("integrity/checkpoints/<int:size>", integrity.KeptCheckpointView.as_view(), name="kept-checkpoint"),
    path("integrity/tile/<str:level>/<path:path>", integrity.TileView.as_view(), name="tile"),
    path("integrity/consistency", integrity.ConsistencyView.as_view(), name="consistency"),
    path("integrity/key", integrity.KeyView.as_view(), name="log-key"),
    path("requests/<any:request_id>", timeline.TimelineView.as_view(), name="timeline"),
    path("saved-searches", saved_searches.SavedSearchesView.as_view(), name="saved-searches"),
    path("saved-searches/<int:id>", saved_searches.SavedSearchView.as_view(), name="saved-search"),
    path("saved-searches/<int:id>/entries", saved_searches.SavedSearchEntriesView.as_view(), name="saved-search-entries"),
    path("masking-rules", masking.MaskingRulesView.as_view(), name="masking-rules"),
    path("masking-rules/preview", masking.MaskingPreviewView.as_view(), name="masking-preview"),
    path("masking-rules/built-in/<str:name>", masking.BuiltInMaskingView.as_view(), name="built-in-masking"),
    path("masking-rules/<int:id>", masking.MaskingRuleView.as_view(), name="masking-rule"),
    path("actions", catalogue.ActionsView.as_view(), name="actions"),
    path("actions/<str:name>", catalogue.ActionView.as_view(), name="action"),
    path("actions/<str:name>/schemas", catalogue.ActionSchemasView.as_view(), name="action-schemas"),
    path("erasures", erasures.ErasuresView.as_view(), name="erasures"),
    path("erasures/<str:id>", erasures.ErasureView.as_view(), name="erasure"),
    path("subject-reports", subject_reports.SubjectReportsView.as_view(), name="subject-reports"),
    path("alert-rules", alert_rules.AlertRulesView.as_view(), name="alert-rules"),
    path("alert-rules/test", alert_rules.AlertRuleTestView.as_view(), name="alert-rule-test"),
    path("alert-rules/sigma", alert_rules.AlertRuleSigmaView.as_view(), name="alert-rule-sigma"),
    path("alert-rules/<int:id>", alert_rules.AlertRuleView.as_view(), name="alert-rule"),
    path("alert-rules/<int:id>/mute", alert_rules.AlertRuleMuteView.as_view(), name="alert-rule-mute"),
    path("alerts", alerts.AlertsView.as_view(), name="alerts"),
    path("alerts/<int:id>", alerts.AlertView.as_view(), name="alert"),
    path("alerts/<int:id>/acknowledge", alerts.AlertAcknowledgeView.as_view(), name="alert-acknowledge"),
    path("alerts/<int:id>/close", alerts.AlertCloseView.as_view(), name="alert-close"),
    path("log-settings", catalogue.LogSettingsView.as_view(), name="log-settings"),
]
