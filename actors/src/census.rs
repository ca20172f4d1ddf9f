//! How much an engine holds: what must come back to nothing when all have gone.

use actix::{Handler, Message, MessageResult};

use crate::inbox::InboxActor;
use crate::people::PeopleActor;
use crate::persistence::PersistenceActor;
use crate::registry::RegistryActor;
use crate::relay::RelayActor;
use crate::switchboard::SwitchboardActor;

/// What is held, and how many of it.
pub type Counts = Vec<(&'static str, usize)>;

/// Asks an actor how much it holds.
#[derive(Clone, Copy, Message)]
#[rtype(result = "Counts")]
pub struct Count;

macro_rules! counts {
    ($($actor:ty),*) => {$(
        impl Handler<Count> for $actor {
            type Result = MessageResult<Count>;

            fn handle(&mut self, _: Count, _: &mut Self::Context) -> Self::Result {
                MessageResult(self.counts())
            }
        }
    )*};
}

counts!(RegistryActor, SwitchboardActor, PersistenceActor, PeopleActor, InboxActor, RelayActor);
