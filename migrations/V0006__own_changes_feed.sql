-- Apart from the column, whose making keeps everyone out of the table.
CREATE INDEX participants_own_feed ON participants (own_xid) WHERE own_xid IS NOT NULL;
