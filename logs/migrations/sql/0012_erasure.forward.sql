-- Destroys a data key of the tenant that the transaction names: the one way in which a row of that table changes for the application. What
-- was there stays in a dead row until VACUUM, wrapped by the master key as before. False if there is no such key alive.
CREATE FUNCTION auditlog.erase_data_key(key_id bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE auditlog.logs_data_key
    SET subject_digest = NULL, wrapped_key = NULL, wrapped_subject = NULL, erased_at = clock_timestamp()
    WHERE id = key_id AND tenant_id = (nullif(current_setting('auditlog.tenant', true), ''))::uuid AND erased_at IS NULL;
    RETURN FOUND;
END
$$;
REVOKE ALL ON FUNCTION auditlog.erase_data_key(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION auditlog.erase_data_key(bigint) TO {app_role};
