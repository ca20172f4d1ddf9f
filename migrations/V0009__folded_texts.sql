-- What is searched is folded: without case, marks and signs, so that a part of any word is found whatever
-- keyboard wrote it. The server folds what comes from now on, and beside that, in small pieces, what is
-- there; until then that is searched as before. One index takes the place of two.

ALTER TABLE texts RENAME TO texts_before;
ALTER INDEX texts_pkey RENAME TO texts_before_pkey;
ALTER INDEX texts_words RENAME TO texts_before_words;
ALTER INDEX texts_parts RENAME TO texts_before_parts;

CREATE TABLE texts (
    room_id    uuid NOT NULL,
    message_id uuid NOT NULL,
    -- The message's `rev` when it was read.
    rev        bigint NOT NULL,
    -- Words, and pairs of letters of scripts without spaces, each between two spaces.
    folded     text NOT NULL,
    PRIMARY KEY (room_id, message_id)
);
CREATE INDEX texts_parts ON texts USING gin (folded gin_trgm_ops);
