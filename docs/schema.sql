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

CREATE FUNCTION auditlog.entry_text(user_id text, resource_type text, resource_id text, message text, metadata jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE COST 500 PARALLEL SAFE
    AS $_$
DECLARE
    json  text := metadata::text;
    words text := message;
BEGIN
    -- Pieces of ciphertext are no words. (Entries from before this function hold none, so their index stays right.)
    IF strpos(json, '{"$encrypted"') > 0 THEN
        json := regexp_replace(json, '\{"\$encrypted": "[^"]*"\}', '{}', 'g');
    END IF;
    IF starts_with(words, '[encrypted:v1.') AND words ~ '^\[encrypted:v1\.[1-9][0-9]{0,18}\.[A-Za-z0-9_-]{39,}\]$' THEN
        words := '';
    END IF;
    IF strpos(json, '\') > 0 THEN
        json := regexp_replace(json, '\\(?:u[0-9a-f]{4}|.)', ' ', 'g');
    END IF;
    RETURN lower(left(user_id || E'\x01' || resource_type || E'\x01' || coalesce(resource_id, '') || E'\x01' || coalesce(words, '')
                      || coalesce(E'\x01' || replace(json, '"', E'\x01'), ''), 131072) COLLATE "pg_c_utf8");
END
$_$;

CREATE FUNCTION auditlog.entry_words(tenant_id uuid, severity smallint, outcome smallint, action text, source text, changed_fields text[], user_id text, resource_type text, resource_id text, message text, metadata jsonb) RETURNS tsvector
    LANGUAGE plpgsql IMMUTABLE COST 4000 PARALLEL SAFE
    AS $$
DECLARE
    content text := auditlog.entry_text(user_id, resource_type, resource_id, message, metadata);
    words   text := auditlog.whole_words(replace(content, E'\x01', ' '));
    lexemes text[];
BEGIN
    words := words || ' ' || auditlog.word_parts(words) || ' =' || action || ' =@' || replace(source, ' ', '_')
        || CASE WHEN severity >= 2 THEN ' =' || severity ELSE '' END || CASE WHEN outcome = 2 THEN ' =failure' ELSE '' END
        || CASE WHEN changed_fields IS NULL THEN ''
                ELSE ' ~' || replace(replace(array_to_string(changed_fields, E'\x01'), ' ', '_'), E'\x01', ' ~') END
        || CASE WHEN octet_length(content) >= 131072 AND length(content) = 131072 THEN ' =long' ELSE '' END;
    lexemes := string_to_array(right(tenant_id::text, 6) || replace(words, ' ', ' ' || right(tenant_id::text, 6)), ' ');
    -- A lexeme has at most 2,046 bytes. Looked for only where there may be one: making the array anew takes as long as all the rest.
    IF octet_length(content) > 2000 AND EXISTS (SELECT FROM unnest(lexemes) AS lexeme WHERE octet_length(lexeme) > 2046) THEN
        lexemes := ARRAY(SELECT left(lexeme, 486) FROM unnest(lexemes) AS lexeme);
    END IF;
    RETURN array_to_tsvector(lexemes);
END
$$;

CREATE FUNCTION auditlog.erase_data_key(key_id bigint) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    UPDATE auditlog.logs_data_key
    SET subject_digest = NULL, wrapped_key = NULL, wrapped_subject = NULL, erased_at = clock_timestamp()
    WHERE id = key_id AND tenant_id = (nullif(current_setting('auditlog.tenant', true), ''))::uuid AND erased_at IS NULL;
    RETURN FOUND;
END
$$;

CREATE FUNCTION auditlog.flush_words() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    part regclass;
BEGIN
    FOR part IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'auditlog.logs_entry_words'::regclass LOOP
        PERFORM gin_clean_pending_list(part);
    END LOOP;
END
$$;

CREATE FUNCTION auditlog.spaced_words(content text, is_whole boolean) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT COST 1000 PARALLEL SAFE
    AS $$
DECLARE
    words text := auditlog.whole_words(replace(content, E'\x01', E' \x01 '));
BEGIN
    IF NOT is_whole THEN
        words := auditlog.word_parts(words);
    END IF;
    RETURN ' ' || array_to_string(array_remove(string_to_array(words, ' '), ''), ' ') || ' ';
END
$$;

CREATE FUNCTION auditlog.uuid_floor(moment timestamp with time zone) RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN ((lpad(to_hex((floor((EXTRACT(epoch FROM moment) * (1000)::numeric)))::bigint), 12, '0'::text) || repeat('0'::text, 20)))::uuid;

CREATE FUNCTION auditlog.whole_words(content text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT COST 500 PARALLEL SAFE
    AS $$
BEGIN
    IF octet_length(content) <> length(content) THEN
        content := translate(content, U&'\00A0\2028\2029\3000\201C\201D\201E\2018\2019\00AB\00BB\2026\2013\2014', '              ');
    END IF;
    RETURN replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(content
        , E'\t', ' '), E'\n', ' '), E'\r', ' '), '"', ' '), '''', ' '), '(', ' ')
        , ')', ' '), '[', ' '), ']', ' '), '{', ' '), '}', ' '), '<', ' ')
        , '>', ' '), ',', ' '), ';', ' '), '!', ' '), '?', ' '), '|', ' ')
        , '=', ' '), '&', ' '), '`', ' '), '/', ' '), ':', ' '), '\', ' ')
        || ' ', '. ', ' ');
END
$$;

CREATE FUNCTION auditlog.word_parts(words text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT COST 300 PARALLEL SAFE
    AS $_$
BEGIN
    RETURN replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(words
        , '@', ' '), '.', ' '), '-', ' '), '_', ' '), '+', ' '), '~', ' ')
        , '#', ' '), '$', ' '), '%', ' '), '*', ' '), '^', ' ');
END
$_$;

CREATE TABLE auditlog.logs_batch (
    id bigint NOT NULL,
    tenant_id uuid NOT NULL,
    entry_count integer NOT NULL,
    records bytea NOT NULL,
    committed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    first_position bigint,
    lowest_id uuid NOT NULL,
    highest_id uuid NOT NULL,
    kinds text,
    users text,
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

CREATE VIEW auditlog.logs_batch_view AS
 SELECT id,
    tenant_id,
    entry_count,
    records,
    committed_at,
    first_position,
    lowest_id,
    highest_id,
    kinds,
    users
   FROM auditlog.logs_batch
  WHERE (tenant_id = (NULLIF(current_setting('auditlog.tenant'::text, true), ''::text))::uuid);

CREATE TABLE auditlog.logs_checkpoint (
    id bigint NOT NULL,
    tenant_id uuid NOT NULL,
    tree_size bigint NOT NULL,
    signed_at timestamp with time zone NOT NULL,
    checkpoint text NOT NULL,
    cosignatures text DEFAULT ''::text NOT NULL,
    published_at timestamp with time zone
);

ALTER TABLE auditlog.logs_checkpoint ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME auditlog.logs_checkpoint_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE VIEW auditlog.logs_checkpoint_view AS
 SELECT id,
    tenant_id,
    tree_size,
    signed_at,
    checkpoint,
    cosignatures,
    published_at
   FROM auditlog.logs_checkpoint
  WHERE (tenant_id = (NULLIF(current_setting('auditlog.tenant'::text, true), ''::text))::uuid);

CREATE TABLE auditlog.logs_compaction (
    tenant_id uuid NOT NULL,
    hours_before timestamp with time zone DEFAULT '1970-01-01 00:00:00+00'::timestamp with time zone NOT NULL,
    days_before timestamp with time zone DEFAULT '1970-01-01 00:00:00+00'::timestamp with time zone NOT NULL,
    blocks_before timestamp with time zone DEFAULT '1970-01-01 00:00:00+00'::timestamp with time zone NOT NULL
)
WITH (fillfactor='50');

CREATE VIEW auditlog.logs_compaction_view AS
 SELECT tenant_id,
    hours_before,
    days_before,
    blocks_before
   FROM auditlog.logs_compaction
  WHERE (tenant_id = (NULLIF(current_setting('auditlog.tenant'::text, true), ''::text))::uuid);

CREATE TABLE auditlog.logs_data_key (
    id bigint NOT NULL,
    tenant_id uuid NOT NULL,
    subject_digest bytea,
    pseudonym text NOT NULL,
    wrapped_key bytea,
    wrapped_subject bytea,
    master_key_id text NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    erased_at timestamp with time zone,
    CONSTRAINT logs_data_key_check CHECK (((erased_at IS NULL) = (subject_digest IS NOT NULL))),
    CONSTRAINT logs_data_key_check1 CHECK (((erased_at IS NULL) = (wrapped_key IS NOT NULL))),
    CONSTRAINT logs_data_key_check2 CHECK (((erased_at IS NULL) OR (wrapped_subject IS NULL))),
    CONSTRAINT logs_data_key_subject_digest_check CHECK ((octet_length(subject_digest) = 32))
);

ALTER TABLE auditlog.logs_data_key ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME auditlog.logs_data_key_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE VIEW auditlog.logs_data_key_view AS
 SELECT id,
    tenant_id,
    subject_digest,
    pseudonym,
    wrapped_key,
    wrapped_subject,
    master_key_id,
    created_at,
    erased_at
   FROM auditlog.logs_data_key
  WHERE (tenant_id = (NULLIF(current_setting('auditlog.tenant'::text, true), ''::text))::uuid);

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
    after jsonb,
    masked text[]
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
    after,
    auditlog.entry_words(tenant_id, severity, outcome, action, source, changed_fields, user_id, resource_type, resource_id, message, metadata) AS words,
    masked
   FROM auditlog.logs_entry
  WHERE (tenant_id = (NULLIF(current_setting('auditlog.tenant'::text, true), ''::text))::uuid);

CREATE TABLE auditlog.logs_head (
    tenant_id uuid NOT NULL,
    origin text NOT NULL,
    tree_size bigint NOT NULL,
    peaks bytea NOT NULL,
    root_hash bytea NOT NULL,
    checkpoint text NOT NULL,
    signed_at timestamp with time zone NOT NULL,
    kept_size bigint NOT NULL,
    kept_at timestamp with time zone NOT NULL,
    own_count bigint DEFAULT 0 NOT NULL,
    CONSTRAINT logs_head_check CHECK ((octet_length(peaks) = (32 * bit_count((tree_size)::bit(64))))),
    CONSTRAINT logs_head_root_hash_check CHECK ((octet_length(root_hash) = 32)),
    CONSTRAINT logs_head_tree_size_check CHECK ((tree_size >= 0))
)
WITH (fillfactor='50');

CREATE VIEW auditlog.logs_head_view AS
 SELECT tenant_id,
    origin,
    tree_size,
    peaks,
    root_hash,
    checkpoint,
    signed_at,
    kept_size,
    kept_at,
    own_count
   FROM auditlog.logs_head
  WHERE (tenant_id = (NULLIF(current_setting('auditlog.tenant'::text, true), ''::text))::uuid);

CREATE VIEW auditlog.logs_partitions AS
 SELECT (child.relname)::text AS name,
    to_timestamp((((((('x'::text || "left"(replace(bounds.bounds[1], '-'::text, ''::text), 12)))::bit(48))::bigint)::numeric / 1000.0))::double precision) AS lower_at,
    to_timestamp((((((('x'::text || "left"(replace(bounds.bounds[2], '-'::text, ''::text), 12)))::bit(48))::bigint)::numeric / 1000.0))::double precision) AS upper_at
   FROM ((pg_inherits
     JOIN pg_class child ON ((child.oid = pg_inherits.inhrelid)))
     CROSS JOIN LATERAL regexp_match(pg_get_expr(child.relpartbound, child.oid), 'FROM \(''(.+?)''\) TO \(''(.+?)''\)'::text) bounds(bounds))
  WHERE ((pg_inherits.inhparent = ('auditlog.logs_entry'::regclass)::oid) AND (NOT pg_inherits.inhdetachpending));

CREATE TABLE auditlog.logs_rollup (
    tenant_id uuid NOT NULL,
    begins_at timestamp with time zone CONSTRAINT logs_rollup_hour_not_null NOT NULL,
    action text NOT NULL,
    severity smallint NOT NULL,
    outcome smallint NOT NULL,
    resource_type text NOT NULL,
    source text NOT NULL,
    entry_count bigint NOT NULL,
    level smallint NOT NULL,
    CONSTRAINT logs_rollup_level_check CHECK (((level >= 0) AND (level <= 2)))
)
WITH (fillfactor='70');

CREATE TABLE auditlog.logs_rollup_seen (
    tenant_id uuid NOT NULL,
    level smallint NOT NULL,
    begins_at timestamp with time zone NOT NULL,
    registers bytea NOT NULL,
    users text,
    CONSTRAINT logs_rollup_seen_check CHECK (((users IS NULL) = (level = 2))),
    CONSTRAINT logs_rollup_seen_level_check CHECK (((level >= 0) AND (level <= 2))),
    CONSTRAINT logs_rollup_seen_registers_check CHECK ((octet_length(registers) = 4096))
);

CREATE VIEW auditlog.logs_rollup_seen_view AS
 SELECT tenant_id,
    level,
    begins_at,
    registers,
    users
   FROM auditlog.logs_rollup_seen
  WHERE (tenant_id = (NULLIF(current_setting('auditlog.tenant'::text, true), ''::text))::uuid);

CREATE TABLE auditlog.logs_rollup_total (
    tenant_id uuid NOT NULL,
    level smallint NOT NULL,
    begins_at timestamp with time zone NOT NULL,
    severity smallint NOT NULL,
    outcome smallint NOT NULL,
    entry_count bigint NOT NULL,
    CONSTRAINT logs_rollup_total_level_check CHECK (((level >= 0) AND (level <= 2)))
)
WITH (fillfactor='70');

CREATE VIEW auditlog.logs_rollup_total_view AS
 SELECT tenant_id,
    level,
    begins_at,
    severity,
    outcome,
    entry_count
   FROM auditlog.logs_rollup_total
  WHERE (tenant_id = (NULLIF(current_setting('auditlog.tenant'::text, true), ''::text))::uuid);

CREATE TABLE auditlog.logs_rollup_user (
    tenant_id uuid NOT NULL,
    level smallint NOT NULL,
    begins_at timestamp with time zone NOT NULL,
    user_id text NOT NULL,
    entry_count bigint NOT NULL,
    CONSTRAINT logs_rollup_user_level_check CHECK (((level >= 0) AND (level <= 2)))
)
WITH (fillfactor='80');

CREATE VIEW auditlog.logs_rollup_user_view AS
 SELECT tenant_id,
    level,
    begins_at,
    user_id,
    entry_count
   FROM auditlog.logs_rollup_user
  WHERE (tenant_id = (NULLIF(current_setting('auditlog.tenant'::text, true), ''::text))::uuid);

CREATE VIEW auditlog.logs_rollup_view AS
 SELECT tenant_id,
    begins_at,
    action,
    severity,
    outcome,
    resource_type,
    source,
    entry_count,
    level
   FROM auditlog.logs_rollup
  WHERE (tenant_id = (NULLIF(current_setting('auditlog.tenant'::text, true), ''::text))::uuid);

CREATE TABLE auditlog.logs_stopped (
    tenant_id uuid NOT NULL,
    reason text NOT NULL,
    since timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE auditlog.logs_tile (
    tenant_id uuid NOT NULL,
    level smallint NOT NULL,
    tile_index bigint NOT NULL,
    hashes bytea NOT NULL,
    CONSTRAINT logs_tile_hashes_check CHECK ((((octet_length(hashes) >= 32) AND (octet_length(hashes) <= 8192)) AND ((octet_length(hashes) % 32) = 0))),
    CONSTRAINT logs_tile_level_check CHECK (((level >= 1) AND (level <= 7)))
);
ALTER TABLE ONLY auditlog.logs_tile ALTER COLUMN hashes SET STORAGE EXTERNAL;

CREATE VIEW auditlog.logs_tile_view AS
 SELECT tenant_id,
    level,
    tile_index,
    hashes
   FROM auditlog.logs_tile
  WHERE (tenant_id = (NULLIF(current_setting('auditlog.tenant'::text, true), ''::text))::uuid);

CREATE VIEW auditlog.logs_waiting AS
 SELECT ( SELECT count(*) AS count
           FROM ( SELECT
                   FROM auditlog.logs_batch
                  WHERE (logs_batch.first_position IS NULL)
                 LIMIT 10000) waiting) AS batches,
    (COALESCE(EXTRACT(epoch FROM (clock_timestamp() - ( SELECT min(logs_batch.committed_at) AS min
           FROM auditlog.logs_batch
          WHERE (logs_batch.first_position IS NULL)))), (0)::numeric))::double precision AS seconds,
    ( SELECT count(*) AS count
           FROM auditlog.logs_stopped) AS stopped_tenants;

ALTER TABLE ONLY auditlog.logs_batch
    ADD CONSTRAINT logs_batch_pkey PRIMARY KEY (id);

ALTER TABLE ONLY auditlog.logs_checkpoint
    ADD CONSTRAINT logs_checkpoint_pkey PRIMARY KEY (id);

ALTER TABLE ONLY auditlog.logs_compaction
    ADD CONSTRAINT logs_compaction_pkey PRIMARY KEY (tenant_id);

ALTER TABLE ONLY auditlog.logs_data_key
    ADD CONSTRAINT logs_data_key_pkey PRIMARY KEY (id);

ALTER TABLE ONLY auditlog.logs_entry
    ADD CONSTRAINT logs_entry_pkey PRIMARY KEY (tenant_id, id);

ALTER TABLE ONLY auditlog.logs_head
    ADD CONSTRAINT logs_head_pkey PRIMARY KEY (tenant_id);

ALTER TABLE ONLY auditlog.logs_rollup
    ADD CONSTRAINT logs_rollup_pkey PRIMARY KEY (tenant_id, level, begins_at, action, severity, outcome, resource_type, source);

ALTER TABLE ONLY auditlog.logs_rollup_seen
    ADD CONSTRAINT logs_rollup_seen_pkey PRIMARY KEY (tenant_id, level, begins_at);

ALTER TABLE ONLY auditlog.logs_rollup_total
    ADD CONSTRAINT logs_rollup_total_pkey PRIMARY KEY (tenant_id, level, begins_at, severity, outcome);

ALTER TABLE ONLY auditlog.logs_rollup_user
    ADD CONSTRAINT logs_rollup_user_pkey PRIMARY KEY (tenant_id, level, begins_at, user_id);

ALTER TABLE ONLY auditlog.logs_stopped
    ADD CONSTRAINT logs_stopped_pkey PRIMARY KEY (tenant_id);

ALTER TABLE ONLY auditlog.logs_tile
    ADD CONSTRAINT logs_tile_pkey PRIMARY KEY (tenant_id, level, tile_index);

CREATE UNIQUE INDEX logs_batch_position ON auditlog.logs_batch USING btree (tenant_id, first_position) WHERE (first_position IS NOT NULL);

CREATE INDEX logs_batch_waiting ON auditlog.logs_batch USING btree (committed_at, id) WHERE (first_position IS NULL);

CREATE INDEX logs_checkpoint_size ON auditlog.logs_checkpoint USING btree (tenant_id, tree_size);

CREATE INDEX logs_checkpoint_tenant ON auditlog.logs_checkpoint USING btree (tenant_id, id);

CREATE INDEX logs_checkpoint_unpublished ON auditlog.logs_checkpoint USING btree (id) WHERE (published_at IS NULL);

CREATE INDEX logs_compaction_due ON auditlog.logs_compaction USING btree (hours_before);

CREATE INDEX logs_data_key_erased ON auditlog.logs_data_key USING btree (tenant_id, erased_at) WHERE (erased_at IS NOT NULL);

CREATE UNIQUE INDEX logs_data_key_pseudonym ON auditlog.logs_data_key USING btree (tenant_id, pseudonym);

CREATE UNIQUE INDEX logs_data_key_subject ON auditlog.logs_data_key USING btree (tenant_id, subject_digest);

CREATE INDEX logs_entry_action ON ONLY auditlog.logs_entry USING btree (tenant_id, action, id);

CREATE INDEX logs_entry_batch ON ONLY auditlog.logs_entry USING btree (batch_id);

CREATE INDEX logs_entry_ip_address ON ONLY auditlog.logs_entry USING btree (tenant_id, ip_address, id) WHERE (ip_address IS NOT NULL);

CREATE INDEX logs_entry_request ON ONLY auditlog.logs_entry USING btree (tenant_id, request_id, id) WHERE (request_id IS NOT NULL);

CREATE INDEX logs_entry_resource ON ONLY auditlog.logs_entry USING btree (tenant_id, resource_type, resource_id, id);

CREATE INDEX logs_entry_session ON ONLY auditlog.logs_entry USING btree (tenant_id, session_id, id) WHERE (session_id IS NOT NULL);

CREATE INDEX logs_entry_severity ON ONLY auditlog.logs_entry USING btree (tenant_id, severity, id) WHERE (severity >= 3);

CREATE INDEX logs_entry_user ON ONLY auditlog.logs_entry USING btree (tenant_id, user_id, id);

CREATE INDEX logs_entry_words ON ONLY auditlog.logs_entry USING gin (auditlog.entry_words(tenant_id, severity, outcome, action, source, changed_fields, user_id, resource_type, resource_id, message, metadata), metadata jsonb_path_ops) WITH (gin_pending_list_limit='65536');

CREATE INDEX logs_rollup_user_busiest ON auditlog.logs_rollup_user USING btree (tenant_id, level, begins_at, entry_count DESC, user_id) WHERE (level > 0);

GRANT USAGE ON SCHEMA auditlog TO auditlog_app;
GRANT USAGE ON SCHEMA auditlog TO auditlog_sequencer;

REVOKE ALL ON FUNCTION auditlog.ensure_partition(moment timestamp with time zone, hot_days integer) FROM PUBLIC;
GRANT ALL ON FUNCTION auditlog.ensure_partition(moment timestamp with time zone, hot_days integer) TO auditlog_app;

REVOKE ALL ON FUNCTION auditlog.erase_data_key(key_id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION auditlog.erase_data_key(key_id bigint) TO auditlog_app;

REVOKE ALL ON FUNCTION auditlog.flush_words() FROM PUBLIC;
GRANT ALL ON FUNCTION auditlog.flush_words() TO auditlog_sequencer;

GRANT INSERT ON TABLE auditlog.logs_batch TO auditlog_app;
GRANT SELECT ON TABLE auditlog.logs_batch TO auditlog_sequencer;

GRANT UPDATE(first_position) ON TABLE auditlog.logs_batch TO auditlog_sequencer;

GRANT UPDATE(kinds) ON TABLE auditlog.logs_batch TO auditlog_sequencer;

GRANT UPDATE(users) ON TABLE auditlog.logs_batch TO auditlog_sequencer;

GRANT USAGE ON SEQUENCE auditlog.logs_batch_id_seq TO auditlog_app;

GRANT SELECT ON TABLE auditlog.logs_batch_view TO auditlog_app;

GRANT SELECT,INSERT ON TABLE auditlog.logs_checkpoint TO auditlog_sequencer;

GRANT UPDATE(cosignatures) ON TABLE auditlog.logs_checkpoint TO auditlog_sequencer;

GRANT UPDATE(published_at) ON TABLE auditlog.logs_checkpoint TO auditlog_sequencer;

GRANT SELECT ON TABLE auditlog.logs_checkpoint_view TO auditlog_app;

GRANT SELECT,INSERT,UPDATE ON TABLE auditlog.logs_compaction TO auditlog_sequencer;

GRANT SELECT ON TABLE auditlog.logs_compaction_view TO auditlog_app;

GRANT INSERT(tenant_id) ON TABLE auditlog.logs_data_key TO auditlog_app;

GRANT INSERT(subject_digest) ON TABLE auditlog.logs_data_key TO auditlog_app;

GRANT INSERT(pseudonym) ON TABLE auditlog.logs_data_key TO auditlog_app;

GRANT INSERT(wrapped_key) ON TABLE auditlog.logs_data_key TO auditlog_app;

GRANT INSERT(wrapped_subject) ON TABLE auditlog.logs_data_key TO auditlog_app;

GRANT INSERT(master_key_id) ON TABLE auditlog.logs_data_key TO auditlog_app;

GRANT SELECT ON TABLE auditlog.logs_data_key_view TO auditlog_app;

GRANT INSERT ON TABLE auditlog.logs_entry TO auditlog_app;

GRANT SELECT ON TABLE auditlog.logs_entry_view TO auditlog_app;

GRANT SELECT,INSERT,UPDATE ON TABLE auditlog.logs_head TO auditlog_sequencer;

GRANT SELECT ON TABLE auditlog.logs_head_view TO auditlog_app;

GRANT SELECT ON TABLE auditlog.logs_partitions TO auditlog_app;

GRANT SELECT,INSERT,UPDATE ON TABLE auditlog.logs_rollup TO auditlog_sequencer;

GRANT SELECT,INSERT,UPDATE ON TABLE auditlog.logs_rollup_seen TO auditlog_sequencer;

GRANT SELECT ON TABLE auditlog.logs_rollup_seen_view TO auditlog_app;

GRANT SELECT,INSERT,UPDATE ON TABLE auditlog.logs_rollup_total TO auditlog_sequencer;

GRANT SELECT ON TABLE auditlog.logs_rollup_total_view TO auditlog_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE auditlog.logs_rollup_user TO auditlog_sequencer;

GRANT SELECT ON TABLE auditlog.logs_rollup_user_view TO auditlog_app;

GRANT SELECT ON TABLE auditlog.logs_rollup_view TO auditlog_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE auditlog.logs_stopped TO auditlog_sequencer;

GRANT SELECT,INSERT,UPDATE ON TABLE auditlog.logs_tile TO auditlog_sequencer;

GRANT SELECT ON TABLE auditlog.logs_tile_view TO auditlog_app;

GRANT SELECT ON TABLE auditlog.logs_waiting TO auditlog_app;
GRANT SELECT ON TABLE auditlog.logs_waiting TO auditlog_sequencer;
