-- Serves the writers' question: which keys were erased lately? (logs/privacy/encryption/subject_keys.py)
CREATE INDEX logs_data_key_erased ON auditlog.logs_data_key (tenant_id, erased_at) WHERE erased_at IS NOT NULL;
