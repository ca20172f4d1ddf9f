-- Guests, and memberships that end by themselves. Nodes from before this take a guest for a member and end nothing:
-- let nobody in as a guest or for a time until all nodes are of this version.

ALTER TABLE participants
    DROP CONSTRAINT participants_role_check,
    ADD CONSTRAINT participants_role_check CHECK (role IN ('admin', 'member', 'guest')),
    -- When the membership ends by itself.
    ADD COLUMN until timestamptz;
-- What any node is to end next.
CREATE INDEX participants_until ON participants (until) WHERE left_at IS NULL AND until IS NOT NULL;
-- Who is or was a guest anywhere.
CREATE INDEX participants_guests ON participants (user_id) WHERE role = 'guest';

-- Whether the host application says that it is a guest account; unset, the user's memberships tell.
ALTER TABLE people ADD COLUMN is_guest boolean;
