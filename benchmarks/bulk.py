"""`bulk`: batches of entries, as importers and log shippers post them, on a few connections.

Held against COPY of the same rows into the same table (the limit), for entries of a business application and for long,
nested ones in the shape of AWS CloudTrail records.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from benchmarks.cloudtrail import cloudtrail_entries
from benchmarks.limits import COPY_CONNECTIONS, RawCopy
from benchmarks.load import Client, Outcome, latency_figures
from benchmarks.masked import with_masking_of_without
from benchmarks.product import (
    WEB_WORKERS,
    Installation,
    SequencerProcess,
    WebServer,
    check_that_all_are_stored,
    installation,
    product_server,
    sequencer,
    with_tenant,
)
from benchmarks.report import Report, Target, progress
from benchmarks.rows import Entry, application_entries, bulk_bodies

SEED = 21
CONNECTIONS = 4
BATCH = 1000
# What an entry's own row holds for the sake of the log: batch_id (8 bytes) and batch_index (4).
BATCH_COLUMNS_BYTES = 12
TARGETS = {
    "entries_per_s": Target(least=15_000),
    "of_raw_copy": Target(least=0.5),
    "with_sequencer_of_without": Target(least=0.9),
    "with_masking_of_without": Target(least=0.85),
    "with_encryption_of_without": Target(least=0.8),
    "integrity_bytes_per_entry": Target(below=64),
    "cloudtrail_of_raw_copy": Target(least=0.5),
    "web_rss_mib": Target(below=300),
}


@dataclass(frozen=True)
class Scale:
    """How much: different entries of each kind, seconds and COPY batches of each measurement in each round."""

    pool: int
    cloudtrail_pool: int
    rounds: int
    warm_up_seconds: float
    seconds: float
    copy_batches: int
    curve_seconds: float
    curve: tuple[int, ...]


FULL = Scale(
    pool=40_000, cloudtrail_pool=20_000, rounds=5, warm_up_seconds=3, seconds=6, copy_batches=120, curve_seconds=4, curve=(1, 10, 100)
)  # fmt: skip
QUICK = Scale(
    pool=20_000, cloudtrail_pool=10_000, rounds=3, warm_up_seconds=1.5, seconds=2, copy_batches=40, curve_seconds=0, curve=()
)  # fmt: skip


@dataclass
class Race:
    """One kind of entries: the product's requests and the limit, and what they came to round by round."""

    client: Client
    requests: list[bytes]
    copy: RawCopy
    outcomes: list[Outcome] = field(default_factory=list)
    copies: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, entries: list[Entry], client: Client, installed: Installation) -> Race:
        return cls(client, client.requests(bulk_bodies(entries, BATCH)), RawCopy(installed.servers, entries, BATCH))

    def warm_up(self, seconds: float) -> None:
        self.client.run(self.requests, seconds, connections=CONNECTIONS, entries_per_request=BATCH)

    def run(self, seconds: float, copy_batches: int) -> None:
        self.outcomes.append(self.client.run(self.requests, seconds, connections=CONNECTIONS, entries_per_request=BATCH))
        self.copies.append(self.copy.entries_per_s(copy_batches))

    @property
    def entries_per_s(self) -> float:
        return median(outcome.entries_per_s for outcome in self.outcomes)

    @property
    def copy_entries_per_s(self) -> float:
        return median(self.copies)


def run(*, is_quick: bool) -> Report:
    scale = QUICK if is_quick else FULL
    entries = application_entries(SEED, scale.pool)
    with ExitStack() as stack:
        installed = stack.enter_context(installation())
        web = stack.enter_context(product_server(installed))
        sequencing = stack.enter_context(sequencer(installed))
        client = Client(web, "/api/v1/logs/bulk", f"Bearer {installed.api_key}")
        application = Race.of(entries, client, installed)
        cloudtrail = Race.of(cloudtrail_entries(SEED, scale.cloudtrail_pool), client, installed)

        without: list[float] = []
        application.warm_up(scale.warm_up_seconds)
        for number in range(scale.rounds):
            # Each is first in every other round: the tables grow, and the machine has its moods.
            if number % 2:
                without.append(_rate_without(sequencing, application, scale.seconds))
            application.run(scale.seconds, scale.copy_batches)
            if not number % 2:
                without.append(_rate_without(sequencing, application, scale.seconds))
            cloudtrail.run(scale.seconds, scale.copy_batches // 2)
            progress(
                number,
                {
                    "product": application.outcomes[-1].entries_per_s,
                    "without sequencer": without[-1],
                    "raw COPY": application.copies[-1],
                    "CloudTrail": cloudtrail.outcomes[-1].entries_per_s,
                    "its raw COPY": cloudtrail.copies[-1],
                },
            )
        with_masking = with_masking_of_without(
            installed,
            web,
            sequencing,
            bulk_bodies(entries, BATCH),
            rounds=scale.rounds,
            warm_up_seconds=scale.warm_up_seconds,
            seconds=scale.seconds,
            connections=CONNECTIONS,
            batch=BATCH,
        )
        with_encryption = _with_encryption_of_without(installed, web, sequencing, scale)
        sequencing.wait_until_all_is_sequenced()
        integrity_bytes = _integrity_bytes_per_entry(installed)
        curve = {str(batch): _rate_of_batches(client, entries, batch, scale.curve_seconds) for batch in scale.curve}

        check_that_all_are_stored(installed, client.acknowledged)
        rss_mib = web.peak_rss_mib()
        postgresql = installed.postgresql_version

    figures: dict[str, Any] = {
        "entries_per_s": application.entries_per_s,
        **latency_figures(application.outcomes),
        "web_rss_mib": rss_mib,
        "integrity_bytes_per_entry": integrity_bytes,
        "cloudtrail_entries_per_s": cloudtrail.entries_per_s,
    }
    if curve:
        figures["entries_per_s_by_batch"] = curve | {str(BATCH): application.entries_per_s}
    return Report(
        benchmark="bulk",
        postgresql=postgresql,
        params={
            "entries": sum(outcome.entries for race in (application, cloudtrail) for outcome in race.outcomes),
            "connections": CONNECTIONS,
            "batch": BATCH,
            "rounds": scale.rounds,
            "web_workers": WEB_WORKERS,
            "copy_connections": COPY_CONNECTIONS,
        },
        figures=figures,
        limits={"raw_copy_entries_per_s": application.copy_entries_per_s, "cloudtrail_raw_copy_entries_per_s": cloudtrail.copy_entries_per_s},
        ratios={
            "with_masking_of_without": with_masking,
            "with_encryption_of_without": with_encryption,
            "with_sequencer_of_without": application.entries_per_s / median(without),
            "of_raw_copy": application.entries_per_s / application.copy_entries_per_s,
            "cloudtrail_of_raw_copy": cloudtrail.entries_per_s / cloudtrail.copy_entries_per_s,
        },
        targets=TARGETS,
    )


def _with_encryption_of_without(installed: Installation, web: WebServer, sequencing: SequencerProcess, scale: Scale) -> float:
    """The rate of entries that all have `before` and `after`, for a tenant that encrypts them, of that for one that does not."""
    requests = bulk_bodies([entry for entry in application_entries(SEED, 4 * scale.pool) if "before" in entry], BATCH)
    rates: dict[str, list[float]] = {"encrypted": [], "clear": []}
    tenants = {"encrypted": with_tenant(installed, "encrypted"), "clear": with_tenant(installed, "clear", encrypted_fields=[])}
    clients = {name: Client(web, "/api/v1/logs/bulk", f"Bearer {tenant.api_key}") for name, tenant in tenants.items()}
    posts = {name: client.requests(requests) for name, client in clients.items()}
    for number in range(-1, scale.rounds):
        for name in sorted(rates, reverse=bool(number % 2)):
            seconds = scale.warm_up_seconds if number < 0 else scale.seconds
            outcome = clients[name].run(posts[name], seconds, connections=CONNECTIONS, entries_per_request=BATCH)
            # What one left to be sequenced is not the other's to bear.
            sequencing.wait_until_all_is_sequenced()
            if number >= 0:
                rates[name].append(outcome.entries_per_s)
        if number >= 0:
            progress(number, {name: found[-1] for name, found in rates.items()})
    for name, tenant in tenants.items():
        check_that_all_are_stored(tenant, clients[name].acknowledged)
    # Round by round: both grow slower as the tables grow.
    return median(one / other for one, other in zip(rates["encrypted"], rates["clear"], strict=True))


def _rate_of_batches(client: Client, entries: list[Entry], batch: int, seconds: float) -> float:
    requests = client.requests(bulk_bodies(entries, batch))
    return client.run(requests, seconds, connections=CONNECTIONS, entries_per_request=batch).entries_per_s


def _integrity_bytes_per_entry(installed: Installation) -> float:
    """What the log costs on disk for each entry: records, trees, checkpoints, and the entry's two columns with their index."""
    tables = [f"pg_total_relation_size('auditlog.logs_{name}')" for name in ("batch", "head", "tile", "checkpoint")]
    partitions = "pg_index JOIN pg_inherits ON inhrelid = indexrelid WHERE inhparent = 'auditlog.logs_entry_batch'::regclass"
    indexes = f"(SELECT sum(pg_relation_size(indexrelid)) FROM {partitions})"
    size_bytes = installed.number(f"SELECT {' + '.join([*tables, indexes])}")
    return size_bytes / installed.number("SELECT sum(entry_count) FROM auditlog.logs_batch") + BATCH_COLUMNS_BYTES


def _rate_without(sequencing: SequencerProcess, race: Race, seconds: float) -> float:
    """Entries a second with the sequencer stopped; it has caught up again when this returns."""
    sequencing.stop()
    outcome = race.client.run(race.requests, seconds, connections=CONNECTIONS, entries_per_request=BATCH)
    sequencing.start()
    sequencing.wait_until_all_is_sequenced()
    return outcome.entries_per_s
