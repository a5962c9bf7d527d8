"""`single`: one entry a request, as services post while they work, on many connections at once.

Held against bare one-row INSERTs by pgbench (the limit) and against a stock Django REST framework view (the peer).
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

from benchmarks.limits import bare_insert
from benchmarks.load import Client, Outcome, latency_figures
from benchmarks.product import WEB_WORKERS, check_that_all_are_stored, installation, product_server, sequencer
from benchmarks.report import Report, Target, progress
from benchmarks.rows import application_entries, single_bodies
from benchmarks.stock_peer.serving import StockPeer, stock_entry

SEED = 20
CONNECTIONS = 64
INSERT_CLIENTS = (16, 32, 64)
STOCK_THREADS = (2, 8)
TARGETS = {
    "entries_per_s": Target(least=2500),
    "p99_ms": Target(below=100),
    "web_rss_mib": Target(below=300),
    "over_stock_view": Target(least=2.5),
}


@dataclass(frozen=True)
class Scale:
    """How much: `pool` different entries; seconds of each measurement in each round."""

    pool: int
    rounds: int
    warm_up_seconds: float
    product_seconds: float
    limit_seconds: int
    peer_seconds: float


FULL = Scale(pool=20_000, rounds=5, warm_up_seconds=3, product_seconds=8, limit_seconds=4, peer_seconds=4)
QUICK = Scale(pool=10_000, rounds=2, warm_up_seconds=1, product_seconds=3, limit_seconds=1, peer_seconds=1.5)


def run(*, is_quick: bool) -> Report:
    scale = QUICK if is_quick else FULL
    entries = application_entries(SEED, scale.pool)
    outcomes: list[Outcome] = []
    inserts: list[float] = []
    stock: dict[int, list[float]] = {threads: [] for threads in STOCK_THREADS}
    with ExitStack() as stack:
        installed = stack.enter_context(installation())
        web = stack.enter_context(product_server(installed))
        stack.enter_context(sequencer(installed))
        product = Client(web, "/api/v1/logs", f"Bearer {installed.api_key}")
        requests = product.requests(single_bodies(entries))
        peer = StockPeer(installed)
        peer_clients = {threads: peer.client(stack.enter_context(peer.server(threads))) for threads in STOCK_THREADS}
        peer_requests = peer_clients[STOCK_THREADS[0]].requests(single_bodies(map(stock_entry, entries)))
        insert = stack.enter_context(bare_insert(installed.servers, entries))

        for client, asked in [(product, requests), *((client, peer_requests) for client in peer_clients.values())]:
            client.run(asked, scale.warm_up_seconds, connections=CONNECTIONS)
        tried = {clients: insert.entries_per_s(clients, 1) for clients in INSERT_CLIENTS}
        insert_clients = max(tried, key=tried.__getitem__)
        for number in range(scale.rounds):
            outcomes.append(product.run(requests, scale.product_seconds, connections=CONNECTIONS))
            inserts.append(insert.entries_per_s(insert_clients, scale.limit_seconds))
            for threads, client in peer_clients.items():
                stock[threads].append(client.run(peer_requests, scale.peer_seconds, connections=CONNECTIONS).entries_per_s)
            shown = {"product": outcomes[-1].entries_per_s, "bare insert": inserts[-1]}
            progress(number, shown | {f"stock view, {threads} threads": rates[-1] for threads, rates in stock.items()})

        check_that_all_are_stored(installed, product.acknowledged)
        peer.check_that_all_are_stored(sum(client.acknowledged for client in peer_clients.values()))
        rss_mib = web.peak_rss_mib()
        postgresql = installed.postgresql_version

    entries_per_s = median(outcome.entries_per_s for outcome in outcomes)
    insert_rate = median(inserts)
    stock_rates = {threads: median(rates) for threads, rates in stock.items()}
    stock_threads = max(stock_rates, key=stock_rates.__getitem__)
    return Report(
        benchmark="single",
        postgresql=postgresql,
        params={
            "entries": sum(outcome.entries for outcome in outcomes),
            "connections": CONNECTIONS,
            "rounds": scale.rounds,
            "web_workers": WEB_WORKERS,
            "bare_insert": f"pgbench, prepared, {insert_clients} clients",
            "stock_view": f"granian WSGI, {WEB_WORKERS} workers, {stock_threads} threads each",
        },
        figures={"entries_per_s": entries_per_s, **latency_figures(outcomes), "web_rss_mib": rss_mib},
        limits={"bare_insert_entries_per_s": insert_rate, "stock_view_entries_per_s": stock_rates[stock_threads]},
        ratios={"of_bare_insert": entries_per_s / insert_rate, "over_stock_view": entries_per_s / stock_rates[stock_threads]},
        targets=TARGETS,
    )
