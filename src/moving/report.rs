//! The report of a move: every choice and everything that stays behind, by name and count.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{self, Write};

/// Choices that are named in full for each kind; the rest is only counted. What stays behind is always named.
const CHOICES_NAMED_MAX: u64 = 100;

/// Declares the findings with their descriptions: first the choices, then what stays behind.
macro_rules! findings {
    (choices { $($choice:ident => $choice_text:literal;)+ } left_behind { $($loss:ident => $loss_text:literal;)+ }) => {
        /// Something that a move has to report.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Finding {
            $(#[doc = $choice_text] $choice,)+
            $(#[doc = $loss_text] $loss,)+
        }

        impl Finding {
            /// What it says.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$choice => $choice_text,)+
                    $(Self::$loss => $loss_text,)+
                }
            }

            /// Whether something stays behind.
            #[must_use]
            pub fn is_loss(self) -> bool {
                matches!(self, $(Self::$loss)|+)
            }
        }
    };
}

findings! {
    choices {
        MergedRoom => "second direct room of a pair, merged into the older one";
        SecondSubject => "second room of a task or property, now a group named after it";
        NoSubject => "task or property room without one, now a group";
        OddDirect => "direct room of three or more, or of nobody, now a group";
        LostPartner => "direct room with one person, now a pair with an account that is gone";
        SubjectDropped => "group with a task or property, which is dropped";
        UnknownRoomType => "room of an unknown type, now a group";
        RivalRoom => "room of a task, property or pair that has one in the chat already, now a group";
        ParticipantRenumbered => "participant whose id was taken, under a new one";
        NoSender => "message without an author, now by the erased account";
        LongText => "text over 4,000 characters, kept whole";
        BlankText => "empty text without a file, kept";
        TypeFollowsFile => "message whose type disagreed with its file, now of the type of the file";
        FileRenamed => "file under a cleaned name";
        GroupInDjango => "room of a task or property that Django doesn't have, a group there";
        SenderUnknown => "message of somebody whom Django doesn't have, there without an author";
        ParticipantUnknown => "participant whom Django doesn't have, not written there";
    }
    left_behind {
        ReplyToItself => "reply to itself, now no reply";
        ReplyElsewhere => "reply into another room, now no reply";
        FileRefused => "file that was refused; its message says so";
        FileMissing => "file that isn't there or can't be read; its message is a text";
        DeletedFile => "file of a deleted message";
        DeletedText => "text of a deleted message";
        InvalidReceipt => "entry of read_by that names no user of the room, or no time";
        OwnReceipt => "entry of read_by by the author";
        ReceiptBeyondMark => "entry of read_by beyond last_read_at (--marks=furthest keeps it)";
        RoomWrittenTo => "room that was written to in the chat since it was moved, left as it is";
        RoomNotMoved => "room whose id the chat has for a room that was not moved, left as it is";
        RoomFailed => "room that could not be moved";
        RoomVanished => "room that Django has no longer, left as it is in the chat";
        LostInDjango => "has no place in Django's tables";
        ExportedFileMissing => "file that isn't in the chat's storage";
    }
}

/// Collects findings, and writes each as one line as soon as it is found.
pub struct MoveReport {
    output: Box<dyn Write + Send>,
    counts: BTreeMap<Finding, u64>,
    failure: Option<io::Error>,
}

impl MoveReport {
    /// A report that is written to `output`.
    #[must_use]
    pub fn new(output: Box<dyn Write + Send>) -> Self {
        Self { output, counts: BTreeMap::new(), failure: None }
    }

    /// Notes a finding about what `name` names.
    pub fn note(&mut self, finding: Finding, name: impl Display) {
        let count = self.counts.entry(finding).or_default();
        *count += 1;
        if finding.is_loss() || *count <= CHOICES_NAMED_MAX {
            let kind = if finding.is_loss() { "left behind" } else { "choice" };
            self.line(format_args!("{kind}: {}: {name}", finding.text()));
        }
    }

    /// Notes `count` findings that have no names of their own.
    pub fn count(&mut self, finding: Finding, count: u64) {
        if count > 0 {
            *self.counts.entry(finding).or_default() += count;
        }
    }

    /// Writes one line.
    pub fn line(&mut self, line: impl Display) {
        if let Err(error) = writeln!(self.output, "{line}") {
            self.failure.get_or_insert(error);
        }
    }

    /// How often something was found.
    #[must_use]
    pub fn found(&self, finding: Finding) -> u64 {
        self.counts.get(&finding).copied().unwrap_or_default()
    }

    /// Writes the counts.
    ///
    /// # Errors
    /// The report could not be written.
    pub fn finish(&mut self) -> io::Result<()> {
        for (finding, count) in std::mem::take(&mut self.counts) {
            let kind = if finding.is_loss() { "left behind" } else { "choice" };
            self.line(format_args!("{count}\t{kind}: {}", finding.text()));
            self.counts.insert(finding, count);
        }
        self.output.flush()?;
        self.failure.take().map_or(Ok(()), Err)
    }
}
