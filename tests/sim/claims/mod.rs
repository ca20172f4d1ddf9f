//! What must be true of every history, one claim a file.

mod ack_before_frame;
mod acked_stays;
mod answered_in_time;
mod asked_order;
mod client_ids;
mod converged;
mod deleted_by_right;
mod deleted_texts;
mod dense;
mod lists;
mod nothing_after_removal;
mod nothing_left;
mod nothing_uncommitted;
mod presence;
mod read_marks;
mod refusals;
mod refused_stays_out;
mod rights;
mod rows_told_once;
#[cfg(test)]
mod spoiled;
mod stays;
mod typing;
mod unread;

use crate::history::History;

/// A claim: what it is called, and how it is checked. The error says what breaks it.
pub(crate) type Claim = (&'static str, fn(&History) -> Result<(), String>);

/// All of them.
pub(crate) const ALL: [Claim; 21] = [
    ("the log is dense", dense::check),
    ("a client_id is stored once", client_ids::check),
    ("what is acked stays", acked_stays::check),
    ("what is refused stays out", refused_stays_out::check),
    ("every attempt has an answer in time", answered_in_time::check),
    ("a socket's sends keep their order", asked_order::check),
    ("an ack comes before its message's frame", ack_before_frame::check),
    ("nothing is told before its commit, or otherwise", nothing_uncommitted::check),
    ("each row is told once, in order, without a hole", rows_told_once::check),
    ("nothing after a removal", nothing_after_removal::check),
    ("no right, no message", rights::check),
    ("who deletes has the right to", deleted_by_right::check),
    ("a refused connection has no effect and is told nothing", refusals::check),
    ("deleted texts are gone from replays", deleted_texts::check),
    ("read marks only rise", read_marks::check),
    ("everyone comes to the head", converged::check),
    ("unread equals a recount", unread::check),
    ("what is told of lists comes to what they are", lists::check),
    ("nobody types for ever", typing::check),
    ("presence is right", presence::check),
    ("nothing is left behind", nothing_left::check),
];
