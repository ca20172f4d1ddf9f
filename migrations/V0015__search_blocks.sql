-- What is searched is kept in blocks of messages of one room: their words, and each message as the numbers of its
-- words. The consumer of the log fills them again from the start of the log, in pieces, in the background.

DROP VIEW texts_progress;
DROP TABLE texts_before;
DROP TABLE texts;
DROP TEXT SEARCH CONFIGURATION chat;

-- The newest messages of a room. They change often and have no keys; every search in the room reads them.
CREATE TABLE search_rooms (
    room_id      uuid   PRIMARY KEY,
    -- The room's events up to here are in the index.
    indexed_seq  bigint NOT NULL,
    -- The last few messages, and those before them, from this position on, until they make a block.
    recent       bytea,
    filling      bytea,
    filling_from bigint,
    CHECK ((filling IS NULL) = (filling_from IS NULL))
) WITH (fillfactor = 70);
ALTER TABLE search_rooms
    ALTER COLUMN recent SET STORAGE MAIN, ALTER COLUMN recent SET STATISTICS 0,
    ALTER COLUMN filling SET STORAGE EXTERNAL, ALTER COLUMN filling SET STATISTICS 0;

CREATE TABLE search_blocks (
    room_id   uuid   NOT NULL,
    -- The position of its first message.
    first_seq bigint NOT NULL,
    -- When its first and its last message were sent, in microseconds since 1970.
    first_at  bigint NOT NULL,
    last_at   bigint NOT NULL,
    body      bytea  NOT NULL,
    -- Hashes of what can be searched for in it.
    keys      int[]  NOT NULL,
    PRIMARY KEY (room_id, first_seq)
);
ALTER TABLE search_blocks
    ALTER COLUMN body SET STORAGE EXTERNAL, ALTER COLUMN body SET STATISTICS 0,
    ALTER COLUMN keys SET STORAGE EXTERNAL, ALTER COLUMN keys SET STATISTICS 0;
-- Searches read all pending entries, so these must be few.
CREATE INDEX search_blocks_keys ON search_blocks USING gin (keys) WITH (gin_pending_list_limit = 1024);

UPDATE log_consumers SET position = '0', failure = NULL, failed_until = NULL WHERE name = 'search';
