-- Pinned messages, and files that more than one message carries. Nodes from before this forward nothing; until
-- they are replaced they show a copy without its file, and can't delete an original whose file a copy carries.

-- `extras` of the message says since when and by whom.
CREATE TABLE pins (
    room_id    uuid   NOT NULL,
    message_id uuid   NOT NULL,
    -- The position at which it was pinned.
    seq        bigint NOT NULL,
    PRIMARY KEY (room_id, message_id)
);

-- The files of copies, beside the message with which each came, which `files` names. A file goes with the last
-- message that carries it.
CREATE TABLE forwarded_files (
    room_id    uuid NOT NULL,
    message_id uuid NOT NULL,
    file_id    uuid NOT NULL,
    PRIMARY KEY (room_id, message_id, file_id)
);
-- In which of a user's rooms a file is.
CREATE INDEX forwarded_files_by_file ON forwarded_files (file_id, room_id);
