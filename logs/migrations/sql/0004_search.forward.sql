-- Full text, and an index that serves it together with every equality: one GIN index over the words of an entry and its metadata.
-- The words are made step by step as logs/search/words.py makes them in Python; tests/integration/logs/search/test_words.py compares.
-- Why replace() and not translate(), regular expressions or to_tsvector(), with the figures: docs/decisions/0017.

-- What is searched, in lower case: user, resource, message, metadata. U+0001 stands between texts that are no neighbours.
-- Not inlined and not cheap, and the planner has to know: a row that is filtered by it costs as much as ten that are not.
CREATE FUNCTION auditlog.entry_text(user_id text, resource_type text, resource_id text, message text, metadata jsonb) RETURNS text
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

-- The text cut into whole words: spaces where a word ends.
CREATE FUNCTION auditlog.whole_words(content text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 500 AS $$
BEGIN
    IF octet_length(content) <> length(content) THEN
        content := translate(content, U&'\00A0\2028\2029\3000\201C\201D\201E\2018\2019\00AB\00BB\2026\2013\2014', '              ');
    END IF;
    RETURN replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(content
        , E'\t', ' '), E'\n', ' '), E'\r', ' '), '"', ' '), '''', ' '), '(', ' ')
        , ')', ' '), '[', ' '), ']', ' '), '{', ' '), '}', ' '), '<', ' ')
        , '>', ' '), ',', ' '), ';', ' '), '!', ' '), '?', ' '), '|', ' ')
        , '=', ' '), '&', ' '), '`', ' '), '/', ' '), ':', ' '), '\', ' ')
        || ' ', '. ', ' ');
END
$$;

-- Whole words cut into their parts.
CREATE FUNCTION auditlog.word_parts(words text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 300 AS $$
BEGIN
    RETURN replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(words
        , '@', ' '), '.', ' '), '-', ' '), '_', ' '), '+', ' '), '~', ' ')
        , '#', ' '), '$', ' '), '%', ' '), '*', ' '), '^', ' ');
END
$$;

-- The lexemes of an entry: its words and their parts, and by a sign that no word begins with (=) its action, source, severity
-- from WARNING on, failure, and whether its text was cut off (long); ~ and the name for each field that changed. Each begins with the end of the tenant's id, so
-- that a tenant's words have posting lists of their own, whatever others write; that end alone is a lexeme too.
CREATE FUNCTION auditlog.entry_words(
    tenant_id uuid, severity smallint, outcome smallint, action text, source text, changed_fields text[],
    user_id text, resource_type text, resource_id text, message text, metadata jsonb
) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 4000 AS $$
DECLARE
    content text := auditlog.entry_text(user_id, resource_type, resource_id, message, metadata);
    words   text := auditlog.whole_words(replace(content, E'\x01', ' '));
    lexemes text[];
BEGIN
    words := words || ' ' || auditlog.word_parts(words) || ' =' || action || ' =@' || replace(source, ' ', '_')
        || CASE WHEN severity >= 2 THEN ' =' || severity ELSE '' END || CASE WHEN outcome = 2 THEN ' =failure' ELSE '' END
        || CASE WHEN changed_fields IS NULL THEN ''
                ELSE ' ~' || replace(replace(array_to_string(changed_fields, E'\x01'), ' ', '_'), E'\x01', ' ~') END
        || CASE WHEN octet_length(content) >= 131072 AND length(content) = 131072 THEN ' =long' ELSE '' END;
    lexemes := string_to_array(right(tenant_id::text, 6) || replace(words, ' ', ' ' || right(tenant_id::text, 6)), ' ');
    -- A lexeme has at most 2,046 bytes. Looked for only where there may be one: making the array anew takes as long as all the rest.
    IF octet_length(content) > 2000 AND EXISTS (SELECT FROM unnest(lexemes) AS lexeme WHERE octet_length(lexeme) > 2046) THEN
        lexemes := ARRAY(SELECT left(lexeme, 486) FROM unnest(lexemes) AS lexeme);
    END IF;
    RETURN array_to_tsvector(lexemes);
END
$$;

-- The same text with one space before, between and after its words, to look for phrases in.
CREATE FUNCTION auditlog.spaced_words(content text, is_whole boolean) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 1000 AS $$
DECLARE
    words text := auditlog.whole_words(replace(content, E'\x01', E' \x01 '));
BEGIN
    IF NOT is_whole THEN
        words := auditlog.word_parts(words);
    END IF;
    RETURN ' ' || array_to_string(array_remove(string_to_array(words, ' '), ''), ' ') || ' ';
END
$$;

-- Serves free words and phrases, equality in metadata, and conditions that are rare together (logs/search/lexemes.py).
-- The pending list is emptied every second by auditlog.flush_words, not by an unlucky insert.
CREATE INDEX logs_entry_words ON auditlog.logs_entry USING gin (
    auditlog.entry_words(tenant_id, severity, outcome, action, source, changed_fields, user_id, resource_type, resource_id, message, metadata),
    metadata jsonb_path_ops
) WITH (gin_pending_list_limit = 65536);

-- Moves what was inserted since the last time from the pending lists into the index. As its owner: PostgreSQL asks for that.
CREATE FUNCTION auditlog.flush_words() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    part regclass;
BEGIN
    FOR part IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'auditlog.logs_entry_words'::regclass LOOP
        PERFORM gin_clean_pending_list(part);
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION auditlog.flush_words() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION auditlog.flush_words() TO {sequencer_role};

-- The view with the words beside the columns: a search names them, and its tenant is named by the view.
CREATE OR REPLACE VIEW auditlog.logs_entry_view AS
    SELECT id, tenant_id, batch_id, "timestamp", received_at, batch_index, severity, outcome, is_imported, ip_address,
           user_id, action, resource_type, resource_id, session_id, request_id, user_agent, source, message,
           idempotency_key, changed_fields, metadata, before, after,
           auditlog.entry_words(tenant_id, severity, outcome, action, source, changed_fields, user_id, resource_type, resource_id, message, metadata) AS words
    FROM auditlog.logs_entry
    WHERE tenant_id = (nullif(current_setting('auditlog.tenant', true), ''))::uuid;
