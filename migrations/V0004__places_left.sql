-- Where someone was, for erasing what was written there.

CREATE INDEX participants_left ON participants (user_id) WHERE left_at IS NOT NULL;
