//! Polls: choices to vote for, until the author closes the poll.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::json::{self, CardError};
use super::{CardBody, CardRefusal};
use crate::domain::ids::UserId;

/// What a poll has; kept and shown in this form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poll {
    /// The choices, in order.
    pub choices: Vec<PollChoice>,
    /// Whether one user may vote for several of them.
    pub multiple: bool,
    /// Whether nobody votes any more.
    pub closed: bool,
}

/// Something to vote for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollChoice {
    /// The id, unique on its card.
    pub id: String,
    /// What is voted for.
    pub text: String,
    /// How many users voted for it.
    pub votes: i64,
    /// Some of them, the first [`PollChoice::USERS_MAX`] as long as nobody takes a vote back.
    pub users: Vec<UserId>,
}

/// A vote that is given or taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// The choice.
    pub choice: String,
    /// Whether it is given.
    pub added: bool,
}

/// Reads the choices of a card that is sent; nobody has voted.
pub(super) fn read(card: &Map<String, Value>) -> Result<CardBody, CardError> {
    let entries = json::entries(card, "choices")?;
    let choices = entries.into_iter().map(|(id, text)| PollChoice { id, text, votes: 0, users: Vec::new() });
    let multiple = json::flag(card, "multiple")?;
    Ok(CardBody::Poll(Poll { choices: choices.collect(), multiple, closed: false }))
}

impl PollChoice {
    /// The most users that a choice names.
    pub const USERS_MAX: usize = 20;

    fn count(&mut self, user: UserId, added: bool) {
        if added {
            self.votes += 1;
            if self.users.len() < Self::USERS_MAX {
                self.users.push(user);
            }
        } else {
            self.votes -= 1;
            self.users.retain(|known| *known != user);
        }
    }
}

impl Poll {
    /// Votes for a choice, or takes that back, for `by`, who has voted for `own`. Where one choice is all, a vote
    /// for another one takes the earlier one's place.
    pub(super) fn vote(
        &mut self,
        id: &str,
        on: bool,
        by: UserId,
        own: &[String],
    ) -> Result<Option<Vec<Vote>>, CardRefusal> {
        if self.choices.iter().all(|choice| choice.id != id) {
            return Err(CardRefusal::UnknownChoice);
        }
        // A vote that is repeated is no vote after the closing.
        if own.iter().any(|own| own == id) == on {
            return Ok(None);
        }
        if self.closed {
            return Err(CardRefusal::PollClosed);
        }
        let replaced = own.iter().filter(|_| on && !self.multiple);
        let mut votes: Vec<Vote> =
            replaced.map(|choice| Vote { choice: choice.clone(), added: false }).collect();
        votes.push(Vote { choice: id.to_owned(), added: on });
        for vote in &votes {
            if let Some(choice) = self.choices.iter_mut().find(|choice| choice.id == vote.choice) {
                choice.count(by, vote.added);
            }
        }
        Ok(Some(votes))
    }

    /// Closes the poll; false if it was closed already.
    pub(super) fn close(&mut self) -> bool {
        !std::mem::replace(&mut self.closed, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(multiple: bool) -> Poll {
        let choice = |id: &str| PollChoice { id: id.into(), text: id.into(), votes: 0, users: Vec::new() };
        Poll { choices: vec![choice("a"), choice("b")], multiple, closed: false }
    }

    fn counts(poll: &Poll) -> Vec<i64> {
        poll.choices.iter().map(|choice| choice.votes).collect()
    }

    fn vote(choice: &str, added: bool) -> Vote {
        Vote { choice: choice.to_owned(), added }
    }

    #[test]
    fn where_one_choice_is_all_another_vote_takes_its_place() {
        let mut poll = poll(false);
        assert_eq!(poll.vote("a", true, UserId(1), &[]), Ok(Some(vec![vote("a", true)])));
        let own = ["a".to_owned()];
        assert_eq!(poll.vote("a", true, UserId(1), &own), Ok(None));
        assert_eq!(poll.vote("b", true, UserId(1), &own), Ok(Some(vec![vote("a", false), vote("b", true)])));
        assert_eq!((counts(&poll), poll.choices[0].users.len()), (vec![0, 1], 0));
        assert_eq!(poll.vote("c", true, UserId(1), &own), Err(CardRefusal::UnknownChoice));
    }

    #[test]
    fn several_choices_are_voted_for_one_by_one_until_the_poll_is_closed() {
        let mut poll = poll(true);
        for user in 1..=25 {
            poll.vote("a", true, UserId(user), &[]).expect("a vote");
        }
        let own = ["a".to_owned()];
        assert_eq!(poll.vote("b", true, UserId(1), &own), Ok(Some(vec![vote("b", true)])));
        assert_eq!(poll.vote("a", false, UserId(25), &own), Ok(Some(vec![vote("a", false)])));
        assert_eq!((counts(&poll), poll.choices[0].users.len()), (vec![24, 1], PollChoice::USERS_MAX));
        assert!(poll.close());
        assert!(!poll.close());
        assert_eq!(poll.vote("a", true, UserId(2), &own), Ok(None));
        assert_eq!(poll.vote("a", false, UserId(2), &own), Err(CardRefusal::PollClosed));
        assert_eq!(poll.vote("b", true, UserId(2), &own), Err(CardRefusal::PollClosed));
    }
}
