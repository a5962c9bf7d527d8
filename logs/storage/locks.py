"""Every advisory lock number of the product, so that no two things share one."""

from __future__ import annotations

import uuid

from django.db import connection

MAKE_PARTITION = 7_265_001  # in SQL: auditlog.ensure_partition
# With two keys, the second being the number of the group of tenants.
LEAD_SEQUENCER = 7_265_002
# Counting the export jobs of a principal (second key: a hash of who), and those that run (second key 0).
COUNT_EXPORTS = 7_265_014
# Placing a legal hold, and deciding an erasure (second key: a hash of the tenant).
DECIDE_ERASURE = 7_265_021
# One process runs the followers.
LEAD_FOLLOWERS = 7_265_035
# Carrying out a restore (second key: its id), by the session of whoever does.
RESTORE = 7_265_045
# Changing retention policies (second key: a hash of the tenant).
CHANGE_RETENTION = 7_265_050


def lock_erasures(tenant_id: uuid.UUID) -> None:
    """From here to the end of the transaction, nobody else places a hold in the tenant or decides an erasure."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [DECIDE_ERASURE, str(tenant_id)])


def lock_retention(tenant_id: uuid.UUID) -> None:
    """From here to the end of the transaction, nobody else changes the tenant's retention policies."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [CHANGE_RETENTION, str(tenant_id)])
