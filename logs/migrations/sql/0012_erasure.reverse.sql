DROP FUNCTION auditlog.erase_data_key(bigint);
