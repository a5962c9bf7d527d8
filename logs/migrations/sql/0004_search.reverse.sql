DROP VIEW auditlog.logs_entry_view;
CREATE VIEW auditlog.logs_entry_view AS
    SELECT id, tenant_id, batch_id, "timestamp", received_at, batch_index, severity, outcome, is_imported, ip_address,
           user_id, action, resource_type, resource_id, session_id, request_id, user_agent, source, message,
           idempotency_key, changed_fields, metadata, before, after
    FROM auditlog.logs_entry
    WHERE tenant_id = (nullif(current_setting('auditlog.tenant', true), ''))::uuid;
GRANT SELECT ON auditlog.logs_entry_view TO {app_role};
DROP FUNCTION auditlog.flush_words();
DROP INDEX auditlog.logs_entry_words;
DROP FUNCTION auditlog.spaced_words(text, boolean);
DROP FUNCTION auditlog.entry_words(uuid, smallint, smallint, text, text, text[], text, text, text, text, jsonb);
DROP FUNCTION auditlog.word_parts(text);
DROP FUNCTION auditlog.whole_words(text);
DROP FUNCTION auditlog.entry_text(text, text, text, text, jsonb);
