//! Rules of the domain that SQL has to apply by itself, each as one fragment.
//!
//! Every fragment has a counterpart in the domain, which `tests/contract/sql_rules.rs` compares with all
//! queries that use the fragment.

/// The position after which other users' messages are unread for the participant `$p`;
/// [`Participant::unread_after`](actors::domain::participant::Participant::unread_after).
macro_rules! unread_after {
    ($p:literal) => {
        concat!(
            "greatest(CASE WHEN ",
            $p,
            ".unread_from IS NULL THEN greatest(",
            $p,
            ".read_seq, ",
            $p,
            ".joined_seq) ELSE ",
            $p,
            ".unread_from - 1 END, ",
            $p,
            ".visible_from_seq - 1)"
        )
    };
}

/// The number of messages in the timeline of the room `$room` that are unread for `$user`, who has read up to `$after`;
/// [`Message::is_in_timeline`](actors::domain::message::Message::is_in_timeline).
macro_rules! unread_count {
    ($room:literal, $after:expr, $user:literal) => {
        $crate::store::postgres::rules::timeline_count!(concat!(
            "n.room_id = ",
            $room,
            " AND n.seq > ",
            $after,
            " AND n.sender_id <> ",
            $user
        ))
    };
}

/// The number of undeleted messages `n` in timelines that `$condition` selects by room, position and sender. Two indexes
/// have all that it needs: one of all messages, and one of the few that stand in a thread alone.
macro_rules! timeline_count {
    ($condition:expr) => {
        concat!(
            "((SELECT count(*) FROM messages n WHERE ",
            $condition,
            " AND n.deleted_at IS NULL) - (SELECT count(*) FROM messages n WHERE ",
            $condition,
            " AND n.deleted_at IS NULL AND NOT n.in_timeline))"
        )
    };
}

/// Whether the row `$n` of `mentions` is one of the user `$user`; 0 stands for everyone in the room.
/// [`Mentions::includes`](actors::domain::mentions::Mentions::includes).
macro_rules! is_mentioned {
    ($n:literal, $user:expr) => {
        concat!($n, ".user_id = ANY (ARRAY[0, ", $user, "]) AND ", $n, ".sender_id <> ", $user)
    };
}

/// The number of messages in the room `$room` that are unread for `$user`, who has read up to `$after`, and
/// mention that user: a range of the index `mentions_of_user`.
macro_rules! mention_count {
    ($room:literal, $after:expr, $user:literal) => {
        concat!(
            "(SELECT count(*) FROM mentions n WHERE n.room_id = ",
            $room,
            " AND n.seq > ",
            $after,
            " AND ",
            $crate::store::postgres::rules::is_mentioned!("n", $user),
            ")"
        )
    };
}

/// Whether the participant `$p` may see the message `$m`;
/// [`Participant::can_see`](actors::domain::participant::Participant::can_see).
macro_rules! is_visible {
    ($m:literal, $p:literal) => {
        concat!($m, ".seq >= ", $p, ".visible_from_seq")
    };
}

/// When the user `$user` sent a message last in the room `$room`, be it deleted; an index for either kind.
/// [`Room::next_post_at`](actors::domain::room::Room::next_post_at) says what follows from it.
macro_rules! last_post {
    ($room:literal, $user:literal) => {
        concat!(
            "greatest((SELECT created_at FROM messages WHERE room_id = ",
            $room,
            " AND sender_id = ",
            $user,
            " AND deleted_at IS NULL ORDER BY seq DESC LIMIT 1), \
             (SELECT created_at FROM messages WHERE room_id = ",
            $room,
            " AND sender_id = ",
            $user,
            " AND deleted_at IS NOT NULL ORDER BY seq DESC LIMIT 1))"
        )
    };
}

/// Whether the room is muted for the participant `$p` now.
macro_rules! is_muted {
    ($p:literal) => {
        concat!("(", $p, ".is_muted AND (", $p, ".muted_until IS NULL OR ", $p, ".muted_until > now()))")
    };
}

/// Whether the user `$u` is a guest account; [`User::is_guest`](actors::domain::user::User::is_guest). Each user's
/// participants are looked up by themselves (`OFFSET 0`), whatever the planner thinks of the table's size.
macro_rules! is_guest_account {
    ($u:literal) => {
        concat!(
            "coalesce(",
            $u,
            ".is_guest, EXISTS (SELECT FROM participants WHERE user_id = ",
            $u,
            ".id AND role = 'guest' OFFSET 0) AND NOT EXISTS (SELECT FROM participants f JOIN rooms fr \
             ON fr.id = f.room_id WHERE f.user_id = ",
            $u,
            ".id AND f.left_at IS NULL AND f.role <> 'guest' AND fr.room_type <> 'direct' \
             AND fr.deleted_at IS NULL OFFSET 0))"
        )
    };
}

/// The name to show for the user `$u`; `UserSummary::new` in [`actors::domain::user`].
macro_rules! user_name {
    ($u:literal) => {
        concat!("coalesce(nullif(", $u, ".full_name, ''), ", $u, ".username)")
    };
}

/// The name of the room `$r` for someone who sees `$partner` as the other user of a direct room; none in other
/// rooms. [`Room::display_name`](actors::domain::room::Room::display_name).
macro_rules! display_name {
    ($r:literal, $partner:literal) => {
        concat!(
            "CASE WHEN ",
            $r,
            ".name <> '' THEN ",
            $r,
            ".name WHEN ",
            $partner,
            ".id IS NOT NULL THEN ",
            $crate::store::postgres::rules::user_name!($partner),
            " WHEN ",
            $r,
            ".title <> '' AND ",
            $r,
            ".room_type = 'task' THEN 'Task: ' || ",
            $r,
            ".title WHEN ",
            $r,
            ".title <> '' AND ",
            $r,
            ".room_type = 'property' THEN 'Property: ' || ",
            $r,
            ".title ELSE 'Chat #' || left(",
            $r,
            ".id::text, 8) END"
        )
    };
}

/// The beginning of a message's content that previews and quotes show;
/// [`PREVIEW_CHARS`](actors::domain::text::PREVIEW_CHARS).
macro_rules! excerpt {
    ($content:literal) => {
        concat!("left(", $content, ", 100)")
    };
}

/// The columns of the message `$m` that [`preview`](super::rows::preview) reads.
macro_rules! preview_columns {
    ($m:literal) => {
        concat!($m, ".message_type, left(", $m, ".content, 100)")
    };
}

pub(crate) use {
    display_name, excerpt, is_guest_account, is_mentioned, is_muted, is_visible, last_post, mention_count,
    preview_columns, timeline_count, unread_after, unread_count, user_name,
};
