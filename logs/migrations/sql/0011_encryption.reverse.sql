DROP INDEX auditlog.logs_data_key_erased;
CREATE OR REPLACE FUNCTION auditlog.entry_text(user_id text, resource_type text, resource_id text, message text, metadata jsonb) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 500 AS $$
DECLARE
    json text := metadata::text;
BEGIN
    IF strpos(json, '\') > 0 THEN
        json := regexp_replace(json, '\\(?:u[0-9a-f]{4}|.)', ' ', 'g');
    END IF;
    RETURN lower(left(user_id || E'\x01' || resource_type || E'\x01' || coalesce(resource_id, '') || E'\x01' || coalesce(message, '')
                      || coalesce(E'\x01' || replace(json, '"', E'\x01'), ''), 131072) COLLATE "pg_c_utf8");
END
$$;
