DROP VIEW auditlog.logs_waiting, auditlog.logs_rollup_view, auditlog.logs_checkpoint_view, auditlog.logs_tile_view,
    auditlog.logs_head_view, auditlog.logs_batch_view;
DROP TABLE auditlog.logs_rollup, auditlog.logs_stopped, auditlog.logs_checkpoint, auditlog.logs_tile, auditlog.logs_head;
DROP INDEX auditlog.logs_batch_position, auditlog.logs_batch_waiting, auditlog.logs_entry_batch;
ALTER TABLE auditlog.logs_batch DROP COLUMN lowest_id, DROP COLUMN highest_id, DROP COLUMN kinds;
UPDATE auditlog.logs_batch SET first_position = NULL;
CREATE INDEX logs_batch_waiting ON auditlog.logs_batch (id) WHERE first_position IS NULL;
REVOKE ALL ON SCHEMA auditlog FROM {sequencer_role};
REVOKE ALL ON auditlog.logs_batch FROM {sequencer_role};
