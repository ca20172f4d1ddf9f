-- What only one person sees of a room, such as its muting, is in no log: the feed tells of it by this.

-- The transaction that last changed it; none while it is as it was at first.
ALTER TABLE participants ADD COLUMN own_xid xid8;
