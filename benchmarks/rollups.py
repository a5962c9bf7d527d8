"""Roll-ups of a log that was written over months, without its entries: `fill`, then the product's own compaction.

`python -m benchmarks.rollups` compacts, in the environment of an installation.
"""

from __future__ import annotations

import os
import sys
import time

import django
import psycopg

from benchmarks.product import Installation, run_program

KINDS, KIND_EXPONENT = 400, 1.6
USERS, USER_EXPONENT = 5_000, 1.0
# Each hour has its share of the entries, more by day than by night; each kind and user its share of the hour, by Zipf's law. What
# is expected is rounded up or down by chance, so that the rare ones are there in some hours and in others not.
HOURS = """
CREATE TEMPORARY TABLE hours AS
SELECT begins_at, %(entries)s::float / (24 * %(days)s) * (1 + 0.5 * sin(extract(hour FROM begins_at) / 24 * 2 * pi())) AS expected
FROM generate_series(date_trunc('hour', now(), 'UTC') - make_interval(days => %(days)s), date_trunc('hour', now(), 'UTC'), interval '1 hour') AS begins_at
"""
WEIGHTS = """
CREATE TEMPORARY TABLE {name} AS SELECT n, n::float ^ -{exponent} / sum(n::float ^ -{exponent}) OVER () AS weight FROM generate_series(1, {count}) AS n
"""
FILL_KINDS = """
INSERT INTO auditlog.logs_rollup (tenant_id, level, begins_at, action, severity, outcome, resource_type, source, entry_count)
SELECT %(tenant)s, 0, begins_at, 'ACTION_' || n %% 41, CASE WHEN n %% 29 = 0 THEN 3 WHEN n %% 7 = 0 THEN 2 ELSE 1 END,
       CASE WHEN n %% 13 = 0 THEN 2 ELSE 1 END, 'type-' || n %% 31, 'key:' || n %% 17, drawn
FROM hours, kinds, LATERAL (SELECT floor(expected * weight + random())::bigint AS drawn) AS chance WHERE drawn > 0
"""
FILL_TOTALS = """
INSERT INTO auditlog.logs_rollup_total (tenant_id, level, begins_at, severity, outcome, entry_count)
SELECT tenant_id, level, begins_at, severity, outcome, sum(entry_count) FROM auditlog.logs_rollup GROUP BY 1, 2, 3, 4, 5
"""
FILL_USERS = """
INSERT INTO auditlog.logs_rollup_user (tenant_id, level, begins_at, user_id, entry_count)
SELECT %(tenant)s, 0, begins_at, 'user-' || n || '@example.com', drawn
FROM hours, users, LATERAL (SELECT floor(expected * weight + random())::bigint AS drawn) AS chance WHERE drawn > 0
ORDER BY begins_at
"""


def fill(installed: Installation, entries: int, days: int) -> float:
    """Write the hours, and have them compacted. Answers how many seconds the compaction took."""
    values = {"tenant": installed.tenant_id, "entries": entries, "days": days}
    with psycopg.connect(installed.superuser_url) as connection:
        connection.execute("SELECT setseed(0.4)")
        connection.execute(HOURS, values)
        connection.execute(WEIGHTS.format(name="kinds", exponent=KIND_EXPONENT, count=KINDS).encode())
        connection.execute(WEIGHTS.format(name="users", exponent=USER_EXPONENT, count=USERS).encode())
        connection.execute(FILL_KINDS, values)
        connection.execute(FILL_TOTALS)
        connection.execute(FILL_USERS, values)
        connection.execute("INSERT INTO auditlog.logs_compaction (tenant_id) VALUES (%s) ON CONFLICT DO NOTHING", [installed.tenant_id])
    return float(run_program([sys.executable, "-m", "benchmarks.rollups"], installed.environment).split()[-1])


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "auditlog_project.settings")
    django.setup()

    import datetime

    from logs.sequencer.compacting import Compacting
    from logs.storage import connecting

    with connecting.connect("sequencer") as connection:
        begun = time.monotonic()
        while Compacting(connection).run(datetime.datetime.now(datetime.UTC), {"set_aside": [], "groups": 1, "led": [0]}, seconds=60):
            pass
        print(time.monotonic() - begun)


if __name__ == "__main__":
    main()
