-- How many of the log's entries are about its own use (source "auditlog"). Kept by the sequencer with the size: the difference is how
-- many entries the log was sent, by which cached statistics are told from stale ones (logs/stats/caching.py).
ALTER TABLE auditlog.logs_head ADD COLUMN own_count bigint NOT NULL DEFAULT 0;
CREATE OR REPLACE VIEW auditlog.logs_head_view AS
    SELECT * FROM auditlog.logs_head WHERE tenant_id = (nullif(current_setting('auditlog.tenant', true), ''))::uuid;
