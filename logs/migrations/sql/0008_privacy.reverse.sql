DROP VIEW auditlog.logs_data_key_view;
DROP TABLE auditlog.logs_data_key;
DROP VIEW auditlog.logs_entry_view;
ALTER TABLE auditlog.logs_entry DROP COLUMN masked;
CREATE VIEW auditlog.logs_entry_view AS
    SELECT id, tenant_id, batch_id, "timestamp", received_at, batch_index, severity, outcome, is_imported, ip_address,
           user_id, action, resource_type, resource_id, session_id, request_id, user_agent, source, message,
           idempotency_key, changed_fields, metadata, before, after,
           auditlog.entry_words(tenant_id, severity, outcome, action, source, changed_fields, user_id, resource_type, resource_id, message, metadata) AS words
    FROM auditlog.logs_entry
    WHERE tenant_id = (nullif(current_setting('auditlog.tenant', true), ''))::uuid;
GRANT SELECT ON auditlog.logs_entry_view TO {app_role};
