-- What is searched, apart from the messages: a reader of the feed keeps it up with them, so that no send
-- waits for its indexes. A search also looks at the messages that this reader has not come to yet.

CREATE TABLE texts (
    room_id    uuid NOT NULL,
    message_id uuid NOT NULL,
    -- The message's `rev` when it was read.
    rev        bigint NOT NULL,
    content    text NOT NULL,
    words      tsvector GENERATED ALWAYS AS (to_tsvector('chat', content)) STORED,
    PRIMARY KEY (room_id, message_id)
);

-- What committed before this transaction is in `texts`.
CREATE TABLE texts_progress (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    position xid8    NOT NULL
);

INSERT INTO texts_progress (position) VALUES (pg_snapshot_xmin(pg_current_snapshot()));
INSERT INTO texts (room_id, message_id, rev, content)
    SELECT room_id, id, rev, content FROM messages WHERE deleted_at IS NULL AND content <> '';
CREATE INDEX texts_words ON texts USING gin (words);
CREATE INDEX texts_parts ON texts USING gin (content gin_trgm_ops);

DROP INDEX messages_parts;
ALTER TABLE messages DROP COLUMN words;
