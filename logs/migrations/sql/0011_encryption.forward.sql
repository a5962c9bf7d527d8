-- Serves the writers' question: which keys were erased lately? (logs/privacy/encryption/subject_keys.py)
CREATE INDEX logs_data_key_erased ON auditlog.logs_data_key (tenant_id, erased_at) WHERE erased_at IS NOT NULL;

-- As before, without what is encrypted (logs/search/words.py has the same).
CREATE OR REPLACE FUNCTION auditlog.entry_text(user_id text, resource_type text, resource_id text, message text, metadata jsonb) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 500 AS $$
DECLARE
    json  text := metadata::text;
    words text := message;
BEGIN
    -- Pieces of ciphertext are no words. (Entries from before this function hold none, so their index stays right.)
    IF strpos(json, '{"$encrypted"') > 0 THEN
        json := regexp_replace(json, '\{"\$encrypted": "[^"]*"\}', '{}', 'g');
    END IF;
    IF starts_with(words, '[encrypted:v1.') AND words ~ '^\[encrypted:v1\.[1-9][0-9]{0,18}\.[A-Za-z0-9_-]{39,}\]$' THEN
        words := '';
    END IF;
    IF strpos(json, '\') > 0 THEN
        json := regexp_replace(json, '\\(?:u[0-9a-f]{4}|.)', ' ', 'g');
    END IF;
    RETURN lower(left(user_id || E'\x01' || resource_type || E'\x01' || coalesce(resource_id, '') || E'\x01' || coalesce(words, '')
                      || coalesce(E'\x01' || replace(json, '"', E'\x01'), ''), 131072) COLLATE "pg_c_utf8");
END
$$;
