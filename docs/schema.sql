-- The log's tables, views, functions and rights, as the migrations leave them: the schema "auditlog".
-- Written by `make docs`; why things are as they are stands in logs/migrations/sql/. Partitions are made as days come.

CREATE SCHEMA auditlog;

CREATE FUNCTION auditlog.ensure_partition(moment timestamp with time zone, hot_days integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    AS $$
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

CREATE FUNCTION auditlog.uuid_floor(moment timestamp with time zone) RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN ((lpad(to_hex((floor((EXTRACT(epoch FROM moment) * (1000)::numeric)))::bigint), 12, '0'::text) || repeat('0'::text, 20)))::uuid;

CREATE TABLE auditlog.logs_batch (
    id bigint NOT NULL,
    tenant_id uuid NOT NULL,
    entry_count integer NOT NULL,
    records bytea NOT NULL,
    committed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    first_position bigint,
    CONSTRAINT logs_batch_check CHECK ((octet_length(records) = (32 * entry_count))),
    CONSTRAINT logs_batch_entry_count_check CHECK ((entry_count > 0))
);
ALTER TABLE ONLY auditlog.logs_batch ALTER COLUMN records SET STORAGE EXTERNAL;

CREATE SEQUENCE auditlog.logs_batch_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

CREATE TABLE auditlog.logs_entry (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    batch_id bigint NOT NULL,
    "timestamp" timestamp with time zone NOT NULL,
    received_at timestamp with time zone NOT NULL,
    batch_index integer NOT NULL,
    severity smallint NOT NULL,
    outcome smallint NOT NULL,
    is_imported boolean NOT NULL,
    ip_address inet,
    user_id text NOT NULL,
    action text NOT NULL,
    resource_type text NOT NULL,
    resource_id text,
    session_id text,
    request_id text,
    user_agent text,
    source text NOT NULL,
    message text,
    idempotency_key text,
    changed_fields text[],
    metadata jsonb,
    before jsonb,
    after jsonb
)
PARTITION BY RANGE (id);

CREATE VIEW auditlog.logs_entry_view AS
 SELECT id,
    tenant_id,
    batch_id,
    "timestamp",
    received_at,
    batch_index,
    severity,
    outcome,
    is_imported,
    ip_address,
    user_id,
    action,
    resource_type,
    resource_id,
    session_id,
    request_id,
    user_agent,
    source,
    message,
    idempotency_key,
    changed_fields,
    metadata,
    before,
    after
   FROM auditlog.logs_entry
  WHERE (tenant_id = (NULLIF(current_setting('auditlog.tenant'::text, true), ''::text))::uuid);

CREATE VIEW auditlog.logs_partitions AS
 SELECT (child.relname)::text AS name,
    to_timestamp((((((('x'::text || "left"(replace(bounds.bounds[1], '-'::text, ''::text), 12)))::bit(48))::bigint)::numeric / 1000.0))::double precision) AS lower_at,
    to_timestamp((((((('x'::text || "left"(replace(bounds.bounds[2], '-'::text, ''::text), 12)))::bit(48))::bigint)::numeric / 1000.0))::double precision) AS upper_at
   FROM ((pg_inherits
     JOIN pg_class child ON ((child.oid = pg_inherits.inhrelid)))
     CROSS JOIN LATERAL regexp_match(pg_get_expr(child.relpartbound, child.oid), 'FROM \(''(.+?)''\) TO \(''(.+?)''\)'::text) bounds(bounds))
  WHERE ((pg_inherits.inhparent = ('auditlog.logs_entry'::regclass)::oid) AND (NOT pg_inherits.inhdetachpending));

ALTER TABLE ONLY auditlog.logs_batch
    ADD CONSTRAINT logs_batch_pkey PRIMARY KEY (id);

ALTER TABLE ONLY auditlog.logs_entry
    ADD CONSTRAINT logs_entry_pkey PRIMARY KEY (tenant_id, id);

CREATE INDEX logs_batch_waiting ON auditlog.logs_batch USING btree (id) WHERE (first_position IS NULL);

CREATE INDEX logs_entry_action ON ONLY auditlog.logs_entry USING btree (tenant_id, action, id);

CREATE INDEX logs_entry_ip_address ON ONLY auditlog.logs_entry USING btree (tenant_id, ip_address, id) WHERE (ip_address IS NOT NULL);

CREATE INDEX logs_entry_request ON ONLY auditlog.logs_entry USING btree (tenant_id, request_id, id) WHERE (request_id IS NOT NULL);

CREATE INDEX logs_entry_resource ON ONLY auditlog.logs_entry USING btree (tenant_id, resource_type, resource_id, id);

CREATE INDEX logs_entry_session ON ONLY auditlog.logs_entry USING btree (tenant_id, session_id, id) WHERE (session_id IS NOT NULL);

CREATE INDEX logs_entry_severity ON ONLY auditlog.logs_entry USING btree (tenant_id, severity, id) WHERE (severity >= 3);

CREATE INDEX logs_entry_user ON ONLY auditlog.logs_entry USING btree (tenant_id, user_id, id);

GRANT USAGE ON SCHEMA auditlog TO auditlog_app;

REVOKE ALL ON FUNCTION auditlog.ensure_partition(moment timestamp with time zone, hot_days integer) FROM PUBLIC;
GRANT ALL ON FUNCTION auditlog.ensure_partition(moment timestamp with time zone, hot_days integer) TO auditlog_app;

GRANT INSERT ON TABLE auditlog.logs_batch TO auditlog_app;

GRANT USAGE ON SEQUENCE auditlog.logs_batch_id_seq TO auditlog_app;

GRANT INSERT ON TABLE auditlog.logs_entry TO auditlog_app;

GRANT SELECT ON TABLE auditlog.logs_entry_view TO auditlog_app;

GRANT SELECT ON TABLE auditlog.logs_partitions TO auditlog_app;
