//! What must be true of every history, one claim a file.

mod ack_before_frame;
mod acked_stays;
mod answered_in_time;
mod client_ids;
mod converged;
#[cfg(test)]
mod corrupted;
mod deleted_by_right;
mod deleted_texts;
mod delivered_once;
mod dense;
mod folds;
mod forwards_are_whole;
mod lists;
mod nothing_after_removal;
mod nothing_left;
mod only_committed_rows;
mod posts_by_right;
mod presence;
mod read_marks;
mod refusals;
mod refused_stays_out;
mod rights;
mod send_order;
mod stays;
mod typing;
mod unread;
mod visibility;

use crate::history::History;

/// A claim: its name and its check. The error says what breaks it.
pub(crate) type Claim = (&'static str, fn(&History) -> Result<(), String>);

/// All claims.
pub(crate) const ALL: [Claim; 25] = [
    ("the log is dense", dense::check),
    ("a client_id is stored once", client_ids::check),
    ("what is acked stays", acked_stays::check),
    ("what is refused stays out", refused_stays_out::check),
    ("a forward is sent as a whole", forwards_are_whole::check),
    ("every attempt has an answer in time", answered_in_time::check),
    ("a socket's sends keep their order", send_order::check),
    ("an ack comes before its message's frame", ack_before_frame::check),
    ("nothing is received before its commit, or differently", only_committed_rows::check),
    ("each row is received once, in order, without a gap", delivered_once::check),
    ("nothing after a removal", nothing_after_removal::check),
    ("no right, no message", rights::check),
    ("messages are deleted by right", deleted_by_right::check),
    ("nobody writes against a room's settings", posts_by_right::check),
    ("nobody sees what was before", visibility::check),
    ("a refused connection has no effect and receives nothing", refusals::check),
    ("deleted texts are gone from replays", deleted_texts::check),
    ("read marks only rise", read_marks::check),
    ("everyone comes to the head", converged::check),
    ("unread equals a recount", unread::check),
    ("lists equal what the store has", lists::check),
    ("folded messages equal the store's", folds::check),
    ("nobody types for ever", typing::check),
    ("presence is right", presence::check),
    ("nothing is left behind", nothing_left::check),
];
