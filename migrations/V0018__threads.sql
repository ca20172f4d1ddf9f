-- Threads: replies that stand with one message, their root, and not necessarily in the room's timeline. The sums of a
-- thread are in its root's `extras`. Nodes from before this count replies that stand in a thread alone as unread, and
-- show them in the timeline, until they are replaced.

ALTER TABLE messages
    -- The root of the thread that it is a reply in.
    ADD COLUMN thread_root uuid,
    ADD COLUMN in_timeline boolean NOT NULL DEFAULT true;
CREATE INDEX messages_of_thread ON messages (room_id, thread_root, seq) INCLUDE (sender_id, deleted_at)
    WHERE thread_root IS NOT NULL;
-- What counts unread messages reads indexes alone: it counts all of them, and takes these few away.
CREATE INDEX messages_aside ON messages (room_id, seq) INCLUDE (sender_id, deleted_at) WHERE NOT in_timeline;

-- Who takes part in which thread: the author of its root, and everyone who has replied.
CREATE TABLE thread_users (
    room_id    uuid   NOT NULL,
    -- The root.
    message_id uuid   NOT NULL,
    user_id    bigint NOT NULL,
    PRIMARY KEY (room_id, message_id, user_id)
);
CREATE INDEX thread_users_of_user ON thread_users (user_id);
