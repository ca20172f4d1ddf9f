-- In what right a message was deleted, and who went by choice. Nodes from before this write neither: what they
-- delete counts as deleted by its author, and who leaves by them as taken out.

-- author, moderator or retention; the `data` of the deletion's event holds the reason, for an audit alone.
ALTER TABLE messages ADD COLUMN removed_by text;

-- Whether one who is out went without being taken out: then an older grant leads back in.
ALTER TABLE participants ADD COLUMN left_willingly boolean NOT NULL DEFAULT false;
