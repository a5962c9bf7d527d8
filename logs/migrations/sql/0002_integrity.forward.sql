-- The verifiable log: positions, trees, signed checkpoints. Written by the sequencer's role alone, which can neither change
-- nor read an entry; read by the application through views of one tenant.

-- Reading by position (logs/search/positions.py) and verification find the entries of a batch. Equal keys that
-- only grow: an entry costs it 7 bytes and hardly any time.
CREATE INDEX logs_entry_batch ON auditlog.logs_entry (batch_id);

-- The range of the batch's ids: questions about a batch look into the partitions that have some of it.
ALTER TABLE auditlog.logs_batch ADD COLUMN lowest_id uuid, ADD COLUMN highest_id uuid;
UPDATE auditlog.logs_batch AS b SET lowest_id = ids.lowest, highest_id = ids.highest
FROM (SELECT batch_id, (array_agg(id ORDER BY id))[1] AS lowest, (array_agg(id ORDER BY id DESC))[1] AS highest
      FROM auditlog.logs_entry GROUP BY batch_id) AS ids
WHERE ids.batch_id = b.id;
ALTER TABLE auditlog.logs_batch ALTER COLUMN lowest_id SET NOT NULL, ALTER COLUMN highest_id SET NOT NULL;

-- How many entries of each kind the batch has (logs/storage/kinds.py), until they are added to the roll-ups.
ALTER TABLE auditlog.logs_batch ADD COLUMN kinds text;
UPDATE auditlog.logs_batch AS b SET kinds = counted.kinds
FROM (SELECT batch_id, json_agg(json_build_array(hour, action, severity, outcome, resource_type, source, entry_count))::text AS kinds
      FROM (SELECT batch_id, to_char("timestamp" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24') AS hour, action, severity, outcome, resource_type, source,
                   count(*) AS entry_count
            FROM auditlog.logs_entry GROUP BY 1, 2, 3, 4, 5, 6, 7) AS kind
      GROUP BY batch_id) AS counted
WHERE counted.batch_id = b.id;

-- No position is given twice, and the batch that holds a position is found.
CREATE UNIQUE INDEX logs_batch_position ON auditlog.logs_batch (tenant_id, first_position) WHERE first_position IS NOT NULL;
-- The sequencer's question, oldest first. Not by id: the primary key could then answer it by reading the whole table, and
-- would be chosen whenever statistics were taken while many batches waited.
DROP INDEX auditlog.logs_batch_waiting;
CREATE INDEX logs_batch_waiting ON auditlog.logs_batch (committed_at, id) WHERE first_position IS NULL;

-- Each tenant's tree as the sequencer left it.
CREATE TABLE auditlog.logs_head (
    tenant_id  uuid        PRIMARY KEY,
    -- The log's name in its checkpoints; it never changes while the log goes on.
    origin     text        NOT NULL,
    tree_size  bigint      NOT NULL CHECK (tree_size >= 0),
    -- The roots of the perfect subtrees, largest first, 32 bytes each: what appending needs.
    peaks      bytea       NOT NULL CHECK (octet_length(peaks) = 32 * bit_count(tree_size::bit(64))),
    root_hash  bytea       NOT NULL CHECK (octet_length(root_hash) = 32),
    -- The signed note (C2SP tlog-checkpoint).
    checkpoint text        NOT NULL,
    signed_at  timestamptz NOT NULL,
    -- The newest of this tenant's rows in logs_checkpoint.
    kept_size  bigint      NOT NULL,
    kept_at    timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Nodes of the tree at the levels 8, 16, ... (C2SP tlog-tiles, tile levels 1, 2, ...): up to 256 a row, 32 bytes each.
CREATE TABLE auditlog.logs_tile (
    tenant_id  uuid     NOT NULL,
    level      smallint NOT NULL CHECK (level BETWEEN 1 AND 7),
    tile_index bigint   NOT NULL,
    hashes     bytea    NOT NULL CHECK (octet_length(hashes) BETWEEN 32 AND 8192 AND octet_length(hashes) % 32 = 0),
    PRIMARY KEY (tenant_id, level, tile_index)
);
ALTER TABLE auditlog.logs_tile ALTER COLUMN hashes SET STORAGE EXTERNAL;

-- The checkpoints that are kept: one a minute while entries come, one an hour while none do.
CREATE TABLE auditlog.logs_checkpoint (
    id           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id    uuid        NOT NULL,
    tree_size    bigint      NOT NULL,
    signed_at    timestamptz NOT NULL,
    checkpoint   text        NOT NULL,
    -- Signature lines of witnesses.
    cosignatures text        NOT NULL DEFAULT '',
    -- When the copy outside of the database was made.
    published_at timestamptz
);
CREATE INDEX logs_checkpoint_tenant ON auditlog.logs_checkpoint (tenant_id, id);
CREATE INDEX logs_checkpoint_size ON auditlog.logs_checkpoint (tenant_id, tree_size);
CREATE INDEX logs_checkpoint_unpublished ON auditlog.logs_checkpoint (id) WHERE published_at IS NULL;

-- Tenants that the sequencer does not go on with, and why.
CREATE TABLE auditlog.logs_stopped (
    tenant_id uuid        PRIMARY KEY,
    reason    text        NOT NULL,
    since     timestamptz NOT NULL DEFAULT now()
);

-- How many entries of each kind each hour has. Written with the positions, so neither is ever ahead of the other.
CREATE TABLE auditlog.logs_rollup (
    tenant_id     uuid        NOT NULL,
    hour          timestamptz NOT NULL,
    action        text        NOT NULL,
    severity      smallint    NOT NULL,
    outcome       smallint    NOT NULL,
    resource_type text        NOT NULL,
    source        text        NOT NULL,
    entry_count   bigint      NOT NULL,
    PRIMARY KEY (tenant_id, hour, action, severity, outcome, resource_type, source)
) WITH (fillfactor = 70);

CREATE VIEW auditlog.logs_batch_view AS
    SELECT * FROM auditlog.logs_batch WHERE tenant_id = (nullif(current_setting('auditlog.tenant', true), ''))::uuid;
CREATE VIEW auditlog.logs_head_view AS
    SELECT * FROM auditlog.logs_head WHERE tenant_id = (nullif(current_setting('auditlog.tenant', true), ''))::uuid;
CREATE VIEW auditlog.logs_tile_view AS
    SELECT * FROM auditlog.logs_tile WHERE tenant_id = (nullif(current_setting('auditlog.tenant', true), ''))::uuid;
CREATE VIEW auditlog.logs_checkpoint_view AS
    SELECT * FROM auditlog.logs_checkpoint WHERE tenant_id = (nullif(current_setting('auditlog.tenant', true), ''))::uuid;
CREATE VIEW auditlog.logs_rollup_view AS
    SELECT * FROM auditlog.logs_rollup WHERE tenant_id = (nullif(current_setting('auditlog.tenant', true), ''))::uuid;
-- How far the sequencer is behind, over all tenants; the count stops at 10,000. No content of anybody's.
CREATE VIEW auditlog.logs_waiting AS
    SELECT (SELECT count(*) FROM (SELECT FROM auditlog.logs_batch WHERE first_position IS NULL LIMIT 10000) AS waiting) AS batches,
           coalesce(extract(epoch FROM clock_timestamp() - (SELECT min(committed_at) FROM auditlog.logs_batch WHERE first_position IS NULL)), 0)::float AS seconds,
           (SELECT count(*) FROM auditlog.logs_stopped) AS stopped_tenants;

GRANT SELECT ON auditlog.logs_batch_view, auditlog.logs_head_view, auditlog.logs_tile_view, auditlog.logs_checkpoint_view,
    auditlog.logs_rollup_view, auditlog.logs_waiting TO {app_role};

GRANT USAGE ON SCHEMA auditlog TO {sequencer_role};
GRANT SELECT, UPDATE (first_position, kinds) ON auditlog.logs_batch TO {sequencer_role};
GRANT SELECT, INSERT, UPDATE ON auditlog.logs_head, auditlog.logs_tile, auditlog.logs_rollup TO {sequencer_role};
GRANT SELECT, INSERT, UPDATE (cosignatures, published_at) ON auditlog.logs_checkpoint TO {sequencer_role};
GRANT SELECT, INSERT, UPDATE, DELETE ON auditlog.logs_stopped TO {sequencer_role};
GRANT SELECT ON auditlog.logs_waiting TO {sequencer_role};
