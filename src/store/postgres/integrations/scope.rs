//! What a webhook is to be sent, as conditions in SQL.

/// Whether the webhook `w` follows the room `r`. Only what the host application set up follows the conversations of two.
macro_rules! follows {
    () => {
        "(cardinality(w.rooms) = 0 OR r.id = ANY(w.rooms))
         AND (cardinality(w.room_types) = 0 OR r.room_type = ANY(w.room_types))
         AND (w.owner IS NULL OR r.room_type <> 'direct')"
    };
}

/// Whether the webhook `w` is to be sent the event `e` of the room `r`.
macro_rules! wants {
    () => {
        concat!(
            "NOT pg_visible_in_snapshot(e.xid, w.created_in)
             AND (cardinality(w.kinds) = 0 OR e.kind = ANY(w.kinds)) AND ",
            $crate::store::postgres::integrations::scope::follows!()
        )
    };
}

pub(crate) use {follows, wants};
