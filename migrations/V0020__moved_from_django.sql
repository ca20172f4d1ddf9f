-- What became of the rooms and the files of a Django chat, so that a move that was interrupted goes on, a later one takes
-- only what has changed, and the way back finds what Django called a file.

CREATE TABLE moved_rooms (
    -- The room in Django, and the one here that has its messages: another one if it was merged.
    old_id      uuid   PRIMARY KEY,
    room_id     uuid   NOT NULL,
    -- Of all that the room is made of in Django; none while it is being moved.
    fingerprint text,
    -- The last event that was moved. Where the room's head is another, the room was written to here since.
    head        bigint NOT NULL DEFAULT 0
);

CREATE TABLE moved_files (
    message_id uuid    PRIMARY KEY,
    room_id    uuid    NOT NULL,
    -- Where Django keeps it, and what it calls it.
    path       text    NOT NULL,
    name       text    NOT NULL,
    -- The file here, and whether its bytes are in the storage; none if it was refused.
    file_id    uuid,
    is_kept    boolean NOT NULL DEFAULT false,
    -- Why it isn't here; `is_final` says that another try would end the same way.
    refusal    text,
    is_final   boolean NOT NULL DEFAULT false,
    CHECK ((file_id IS NULL) = (refusal IS NOT NULL))
);
CREATE INDEX moved_files_of_room ON moved_files (room_id);
