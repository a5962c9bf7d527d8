-- The log itself. Everything of it lives in the schema "auditlog", where the application's role has only what is
-- granted here by name; the schema "public" (Django's tables) grants it all by default.

CREATE SCHEMA auditlog;

CREATE TABLE auditlog.logs_entry (
    -- UUIDv7 of the event's own timestamp: key, order, page cursor and partition bound in one.
    id              uuid        NOT NULL,
    tenant_id       uuid        NOT NULL,
    batch_id        bigint      NOT NULL,
    "timestamp"     timestamptz NOT NULL,
    received_at     timestamptz NOT NULL,
    -- Place of the entry among its batch's records, from 0.
    batch_index     integer     NOT NULL,
    severity        smallint    NOT NULL,
    outcome         smallint    NOT NULL,
    is_imported     boolean     NOT NULL,
    ip_address      inet,
    user_id         text        NOT NULL,
    action          text        NOT NULL,
    resource_type   text        NOT NULL,
    resource_id     text,
    session_id      text,
    request_id      text,
    user_agent      text,
    source          text        NOT NULL,
    message         text,
    idempotency_key text,
    changed_fields  text[],
    metadata        jsonb,
    before          jsonb,
    after           jsonb,
    PRIMARY KEY (tenant_id, id)
) PARTITION BY RANGE (id);

-- Each serves "newest first" of one filter (logs/search/sql.py); the key serves the rest.
CREATE INDEX logs_entry_user ON auditlog.logs_entry (tenant_id, user_id, id);
CREATE INDEX logs_entry_action ON auditlog.logs_entry (tenant_id, action, id);
CREATE INDEX logs_entry_resource ON auditlog.logs_entry (tenant_id, resource_type, resource_id, id);
CREATE INDEX logs_entry_request ON auditlog.logs_entry (tenant_id, request_id, id) WHERE request_id IS NOT NULL;
CREATE INDEX logs_entry_session ON auditlog.logs_entry (tenant_id, session_id, id) WHERE session_id IS NOT NULL;
CREATE INDEX logs_entry_ip_address ON auditlog.logs_entry (tenant_id, ip_address, id) WHERE ip_address IS NOT NULL;
-- Most entries are INFO (1); the rare ones are what is asked for.
CREATE INDEX logs_entry_severity ON auditlog.logs_entry (tenant_id, severity, id) WHERE severity >= 3;

CREATE SEQUENCE auditlog.logs_batch_id_seq AS bigint CACHE 1;

CREATE TABLE auditlog.logs_batch (
    id             bigint      PRIMARY KEY,
    tenant_id      uuid        NOT NULL,
    entry_count    integer     NOT NULL CHECK (entry_count > 0),
    -- SHA-256 of each entry's canonical bytes, in order of batch_index, 32 bytes each.
    records        bytea       NOT NULL CHECK (octet_length(records) = 32 * entry_count),
    committed_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The position of the first record in the tenant's log; NULL until the sequencer gave it one.
    first_position bigint
);
-- Hashes do not compress; this spares the attempt.
ALTER TABLE auditlog.logs_batch ALTER COLUMN records SET STORAGE EXTERNAL;
-- The sequencer's question: what has no position yet?
CREATE INDEX logs_batch_waiting ON auditlog.logs_batch (id) WHERE first_position IS NULL;

-- The only way for the application to read entries: those of the tenant that its transaction names.
CREATE VIEW auditlog.logs_entry_view AS
    SELECT id, tenant_id, batch_id, "timestamp", received_at, batch_index, severity, outcome, is_imported, ip_address,
           user_id, action, resource_type, resource_id, session_id, request_id, user_agent, source, message,
           idempotency_key, changed_fields, metadata, before, after
    FROM auditlog.logs_entry
    WHERE tenant_id = (nullif(current_setting('auditlog.tenant', true), ''))::uuid;

-- Bounds of the partitions, read from the catalogue itself, so that they can't be out of step with it.
CREATE VIEW auditlog.logs_partitions AS
    SELECT child.relname::text AS name,
           to_timestamp(('x' || left(replace(bounds[1], '-', ''), 12))::bit(48)::bigint / 1000.0) AS lower_at,
           to_timestamp(('x' || left(replace(bounds[2], '-', ''), 12))::bit(48)::bigint / 1000.0) AS upper_at
    FROM pg_catalog.pg_inherits
    JOIN pg_catalog.pg_class AS child ON child.oid = inhrelid
    CROSS JOIN LATERAL regexp_match(pg_get_expr(child.relpartbound, child.oid), 'FROM \(''(.+?)''\) TO \(''(.+?)''\)') AS bounds
    WHERE inhparent = 'auditlog.logs_entry'::regclass AND NOT inhdetachpending;

-- The smallest UUID of a moment: 48 bits of milliseconds, the rest zero.
CREATE FUNCTION auditlog.uuid_floor(moment timestamptz) RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE
RETURN (lpad(to_hex(floor(extract(epoch FROM moment) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid;

-- Makes the partition that `moment` falls into, unless there is one: its day within the last `hot_days` days, its
-- month before that, cut down to the gap that existing partitions leave. Attaching locks nobody out; the application
-- may call this, and nothing else that changes the table.
CREATE FUNCTION auditlog.ensure_partition(moment timestamptz, hot_days integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    unit     text;
    begins   timestamptz;
    ends     timestamptz;
    name     text;
BEGIN
    IF moment < '1970-01-01' OR moment > now() + interval '90 days' THEN
        RAISE EXCEPTION 'no partition is made for %', moment USING ERRCODE = 'datetime_field_overflow';
    END IF;
    -- Number in logs/storage/locks.py. Two callers for the same gap: the second finds the first's partition.
    PERFORM pg_advisory_xact_lock(7265001);
    PERFORM 1 FROM auditlog.logs_partitions AS p WHERE p.lower_at <= moment AND moment < p.upper_at;
    IF FOUND THEN
        RETURN;
    END IF;
    unit := CASE WHEN moment >= date_trunc('day', now()) - make_interval(days => hot_days) THEN 'day' ELSE 'month' END;
    begins := date_trunc(unit, moment);
    ends := begins + ('1 ' || unit)::interval;
    SELECT greatest(begins, max(p.upper_at)) INTO begins FROM auditlog.logs_partitions AS p WHERE p.upper_at <= moment;
    SELECT least(ends, min(p.lower_at)) INTO ends FROM auditlog.logs_partitions AS p WHERE p.lower_at > moment;
    name := format('logs_entry_%s_%s', to_char(begins, 'YYYYMMDD'), to_char(ends, 'YYYYMMDD'));
    EXECUTE format('CREATE TABLE auditlog.%I (LIKE auditlog.logs_entry INCLUDING ALL)', name);
    EXECUTE format('ALTER TABLE auditlog.logs_entry ATTACH PARTITION auditlog.%I FOR VALUES FROM (%L) TO (%L)',
                   name, auditlog.uuid_floor(begins), auditlog.uuid_floor(ends));
END
$$;

REVOKE ALL ON FUNCTION auditlog.ensure_partition(timestamptz, integer) FROM PUBLIC;
GRANT USAGE ON SCHEMA auditlog TO {app_role};
GRANT INSERT ON auditlog.logs_entry, auditlog.logs_batch TO {app_role};
GRANT USAGE ON SEQUENCE auditlog.logs_batch_id_seq TO {app_role};
GRANT SELECT ON auditlog.logs_entry_view, auditlog.logs_partitions TO {app_role};
GRANT EXECUTE ON FUNCTION auditlog.ensure_partition(timestamptz, integer) TO {app_role};
