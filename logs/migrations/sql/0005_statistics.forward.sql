-- Roll-ups by the day and by 16 days, counts by user, and sketches of who was seen (docs/decisions/0015). Written by the sequencer
-- alone: the hour with the positions, the rest when the time is over.

-- How many entries each user has in each hour of the batch, {"2026-01-31T12": {"alice": 3}}, until they are added to the roll-ups.
ALTER TABLE auditlog.logs_batch ADD COLUMN users text;
UPDATE auditlog.logs_batch AS b SET users = counted.users
FROM (SELECT batch_id, json_object_agg(hour, by_user)::text AS users
      FROM (SELECT batch_id, hour, json_object_agg(user_id, entry_count) AS by_user
            FROM (SELECT e.batch_id, to_char(e."timestamp" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24') AS hour, e.user_id, count(*) AS entry_count
                  FROM auditlog.logs_entry AS e JOIN auditlog.logs_batch AS w ON w.id = e.batch_id AND w.first_position IS NULL
                  GROUP BY 1, 2, 3) AS one
            GROUP BY 1, 2) AS by_hour
      GROUP BY 1) AS counted
WHERE counted.batch_id = b.id;
CREATE OR REPLACE VIEW auditlog.logs_batch_view AS
    SELECT * FROM auditlog.logs_batch WHERE tenant_id = (nullif(current_setting('auditlog.tenant', true), ''))::uuid;

-- A row counts a span of time that begins at `begins_at`. Level 0: an hour; 1: a day; 2: 16 days (logs/stats/levels.py).
DROP VIEW auditlog.logs_rollup_view;
ALTER TABLE auditlog.logs_rollup RENAME COLUMN hour TO begins_at;
ALTER TABLE auditlog.logs_rollup ADD COLUMN level smallint NOT NULL DEFAULT 0 CHECK (level BETWEEN 0 AND 2);
ALTER TABLE auditlog.logs_rollup ALTER COLUMN level DROP DEFAULT;
ALTER TABLE auditlog.logs_rollup DROP CONSTRAINT logs_rollup_pkey;
ALTER TABLE auditlog.logs_rollup ADD PRIMARY KEY (tenant_id, level, begins_at, action, severity, outcome, resource_type, source);

-- The same by severity and outcome alone: what the course of time is drawn from, ten rows a day instead of hundreds.
CREATE TABLE auditlog.logs_rollup_total (
    tenant_id   uuid        NOT NULL,
    level       smallint    NOT NULL CHECK (level BETWEEN 0 AND 2),
    begins_at   timestamptz NOT NULL,
    severity    smallint    NOT NULL,
    outcome     smallint    NOT NULL,
    entry_count bigint      NOT NULL,
    PRIMARY KEY (tenant_id, level, begins_at, severity, outcome)
) WITH (fillfactor = 70);
INSERT INTO auditlog.logs_rollup_total
SELECT tenant_id, 0, begins_at, severity, outcome, sum(entry_count) FROM auditlog.logs_rollup GROUP BY tenant_id, begins_at, severity, outcome;

-- Of hours only those that are not over: then they move into one row of logs_rollup_seen, which takes a tenth of the space.
CREATE TABLE auditlog.logs_rollup_user (
    tenant_id   uuid        NOT NULL,
    level       smallint    NOT NULL CHECK (level BETWEEN 0 AND 2),
    begins_at   timestamptz NOT NULL,
    user_id     text        NOT NULL,
    entry_count bigint      NOT NULL,
    PRIMARY KEY (tenant_id, level, begins_at, user_id)
) WITH (fillfactor = 80);
-- The busiest users of a day or of 16 days first (logs/stats/users.py). Not of hours: their counts change with every round,
-- and stay out of every index so that PostgreSQL changes them in place.
CREATE INDEX logs_rollup_user_busiest ON auditlog.logs_rollup_user (tenant_id, level, begins_at, entry_count DESC, user_id) WHERE level > 0;
INSERT INTO auditlog.logs_rollup_user
SELECT e.tenant_id, 0, date_trunc('hour', e."timestamp", 'UTC'), e.user_id, count(*)
FROM auditlog.logs_entry AS e JOIN auditlog.logs_batch AS b ON b.id = e.batch_id
WHERE b.first_position IS NOT NULL
GROUP BY 1, 3, 4;

-- Who was seen in a span that is over.
CREATE TABLE auditlog.logs_rollup_seen (
    tenant_id uuid        NOT NULL,
    level     smallint    NOT NULL CHECK (level BETWEEN 0 AND 2),
    begins_at timestamptz NOT NULL,
    -- HyperLogLog (logs/stats/sketch.py): what distinct users of a long range are counted from.
    registers bytea       NOT NULL CHECK (octet_length(registers) = 4096),
    -- Of hours and days, how many entries each user has: {"alice": 3}.
    users     text        CHECK ((users IS NULL) = (level = 2)),
    PRIMARY KEY (tenant_id, level, begins_at)
);

-- How far each level is compacted: what begins before stands in it as a whole.
CREATE TABLE auditlog.logs_compaction (
    tenant_id     uuid        PRIMARY KEY,
    hours_before  timestamptz NOT NULL DEFAULT 'epoch',
    days_before   timestamptz NOT NULL DEFAULT 'epoch',
    blocks_before timestamptz NOT NULL DEFAULT 'epoch'
) WITH (fillfactor = 50);
INSERT INTO auditlog.logs_compaction (tenant_id) SELECT DISTINCT tenant_id FROM auditlog.logs_rollup;
-- The sequencer's question: whose hours are over?
CREATE INDEX logs_compaction_due ON auditlog.logs_compaction (hours_before);

CREATE VIEW auditlog.logs_rollup_view AS
    SELECT * FROM auditlog.logs_rollup WHERE tenant_id = (nullif(current_setting('auditlog.tenant', true), ''))::uuid;
CREATE VIEW auditlog.logs_rollup_user_view AS
    SELECT * FROM auditlog.logs_rollup_user WHERE tenant_id = (nullif(current_setting('auditlog.tenant', true), ''))::uuid;
CREATE VIEW auditlog.logs_rollup_total_view AS
    SELECT * FROM auditlog.logs_rollup_total WHERE tenant_id = (nullif(current_setting('auditlog.tenant', true), ''))::uuid;
CREATE VIEW auditlog.logs_rollup_seen_view AS
    SELECT * FROM auditlog.logs_rollup_seen WHERE tenant_id = (nullif(current_setting('auditlog.tenant', true), ''))::uuid;
CREATE VIEW auditlog.logs_compaction_view AS
    SELECT * FROM auditlog.logs_compaction WHERE tenant_id = (nullif(current_setting('auditlog.tenant', true), ''))::uuid;

GRANT SELECT ON auditlog.logs_rollup_view, auditlog.logs_rollup_total_view, auditlog.logs_rollup_user_view, auditlog.logs_rollup_seen_view,
    auditlog.logs_compaction_view TO {app_role};
GRANT UPDATE (users) ON auditlog.logs_batch TO {sequencer_role};
GRANT SELECT, INSERT, UPDATE ON auditlog.logs_rollup_total, auditlog.logs_rollup_seen, auditlog.logs_compaction TO {sequencer_role};
GRANT SELECT, INSERT, UPDATE, DELETE ON auditlog.logs_rollup_user TO {sequencer_role};
