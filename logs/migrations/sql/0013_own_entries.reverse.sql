DROP VIEW auditlog.logs_head_view;
ALTER TABLE auditlog.logs_head DROP COLUMN own_count;
CREATE VIEW auditlog.logs_head_view AS
    SELECT * FROM auditlog.logs_head WHERE tenant_id = (nullif(current_setting('auditlog.tenant', true), ''))::uuid;
GRANT SELECT ON auditlog.logs_head_view TO {app_role};
