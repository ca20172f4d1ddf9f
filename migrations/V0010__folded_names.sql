-- Names are found without their accents, as texts are.

-- Built of nothing but what every database of this version has: an index of it is restored with any.
CREATE FUNCTION folded_name(name text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    -- Most names are plain, and a short part of one is looked for in all of them.
    SELECT CASE WHEN octet_length(name) = length(name) THEN translate(lower(name), '-''`', ' ')
        ELSE normalize(replace(translate(
            regexp_replace(lower(normalize(name, NFKD)), '[\u0300-\u036F''’‘ʼ`´]', '', 'g'),
            'đðøłħı‐‑–—-', 'ddolhi     '), 'ß', 'ss'), NFC) END
$$;

-- A pattern for what is searched for; nothing in it is special.
CREATE FUNCTION name_pattern(term text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT '%' || regexp_replace(folded_name(term), '([\\%_])', '\\\1', 'g') || '%'
$$;

-- Beside the one that nodes of an earlier version search by; a later version drops that.
CREATE INDEX people_folded_names ON people USING gin (folded_name(username || ' ' || full_name) gin_trgm_ops)
    WHERE is_active;
