DROP VIEW auditlog.logs_compaction_view, auditlog.logs_rollup_seen_view, auditlog.logs_rollup_total_view, auditlog.logs_rollup_user_view, auditlog.logs_rollup_view,
    auditlog.logs_batch_view;
DROP TABLE auditlog.logs_compaction, auditlog.logs_rollup_seen, auditlog.logs_rollup_total, auditlog.logs_rollup_user;
DELETE FROM auditlog.logs_rollup WHERE level > 0;
ALTER TABLE auditlog.logs_rollup DROP CONSTRAINT logs_rollup_pkey;
ALTER TABLE auditlog.logs_rollup DROP COLUMN level;
ALTER TABLE auditlog.logs_rollup RENAME COLUMN begins_at TO hour;
ALTER TABLE auditlog.logs_rollup ADD PRIMARY KEY (tenant_id, hour, action, severity, outcome, resource_type, source);
ALTER TABLE auditlog.logs_batch DROP COLUMN users;
CREATE VIEW auditlog.logs_batch_view AS
    SELECT * FROM auditlog.logs_batch WHERE tenant_id = (nullif(current_setting('auditlog.tenant', true), ''))::uuid;
CREATE VIEW auditlog.logs_rollup_view AS
    SELECT * FROM auditlog.logs_rollup WHERE tenant_id = (nullif(current_setting('auditlog.tenant', true), ''))::uuid;
GRANT SELECT ON auditlog.logs_batch_view, auditlog.logs_rollup_view TO {app_role};
