DROP INDEX auditlog.logs_data_key_erased;
