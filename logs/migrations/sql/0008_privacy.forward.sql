-- JSON Pointers of what was masked before the entry was stored; NULL: nothing was.
ALTER TABLE auditlog.logs_entry ADD COLUMN masked text[];
CREATE OR REPLACE VIEW auditlog.logs_entry_view AS
    SELECT id, tenant_id, batch_id, "timestamp", received_at, batch_index, severity, outcome, is_imported, ip_address,
           user_id, action, resource_type, resource_id, session_id, request_id, user_agent, source, message,
           idempotency_key, changed_fields, metadata, before, after,
           auditlog.entry_words(tenant_id, severity, outcome, action, source, changed_fields, user_id, resource_type, resource_id, message, metadata) AS words,
           masked
    FROM auditlog.logs_entry
    WHERE tenant_id = (nullif(current_setting('auditlog.tenant', true), ''))::uuid;

-- Keys that fields of entries are encrypted with: one for each data subject of a tenant, wrapped by a master key that is not in the
-- database. Erasing a subject empties its row; what was encrypted with it stays ciphertext for ever.
CREATE TABLE auditlog.logs_data_key (
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id       uuid        NOT NULL,
    -- HMAC-SHA256 of the subject under the tenant's secret: the table names nobody. NULL once erased.
    subject_digest  bytea       CHECK (octet_length(subject_digest) = 32),
    -- What stands for the subject where the tenant pseudonymises its users.
    pseudonym       text        NOT NULL,
    wrapped_key     bytea,
    -- The subject, encrypted with the key.
    wrapped_subject bytea,
    master_key_id   text        NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    erased_at       timestamptz,
    CHECK ((erased_at IS NULL) = (subject_digest IS NOT NULL)),
    CHECK ((erased_at IS NULL) = (wrapped_key IS NOT NULL)),
    CHECK (erased_at IS NULL OR wrapped_subject IS NULL)
);
-- One key for a subject, however many processes make it at once.
CREATE UNIQUE INDEX logs_data_key_subject ON auditlog.logs_data_key (tenant_id, subject_digest);
CREATE UNIQUE INDEX logs_data_key_pseudonym ON auditlog.logs_data_key (tenant_id, pseudonym);
CREATE VIEW auditlog.logs_data_key_view AS
    SELECT * FROM auditlog.logs_data_key WHERE tenant_id = (nullif(current_setting('auditlog.tenant', true), ''))::uuid;
GRANT SELECT ON auditlog.logs_data_key_view TO {app_role};
GRANT INSERT (tenant_id, subject_digest, pseudonym, wrapped_key, wrapped_subject, master_key_id) ON auditlog.logs_data_key TO {app_role};
