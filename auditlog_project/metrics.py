"""`/metrics` for Prometheus: figures of the whole installation, never content. Open to whoever has AUDITLOG_METRICS_TOKEN."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from accounts.problems import NotAuthenticated, NotFound
from logs.integrity.lag import read_lag


class _SequencerCollector(Collector):
    def collect(self) -> Iterator[Metric]:
        lag = read_lag()
        yield GaugeMetricFamily("auditlog_sequencer_waiting_batches", "Committed batches without a position (counted up to 10,000).", lag.batches)
        yield GaugeMetricFamily("auditlog_sequencer_lag_seconds", "Age of the oldest committed batch without a position.", lag.seconds)
        yield GaugeMetricFamily("auditlog_sequencer_stopped_tenants", "Tenants whose log the sequencer does not go on with.", lag.stopped_tenants)


def metrics(request: HttpRequest) -> HttpResponse:
    """The figures in Prometheus' text format; 404 unless a token is set, 401 without it."""
    token = settings.AUDITLOG_METRICS_TOKEN
    if not token:
        return NotFound("Metrics are off. Set AUDITLOG_METRICS_TOKEN to read them.").response()
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not constant_time_compare(given.strip(), token):
        return NotAuthenticated("Send the token of AUDITLOG_METRICS_TOKEN: Authorization: Bearer ...").response()
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_SequencerCollector())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})
