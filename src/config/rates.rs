//! Settings that bound how often something may be done.

use std::{num::NonZeroU32, str::FromStr};

use clap::Args;

use super::Switch;

/// A token bucket: refills at a constant rate up to the burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Tokens added per second.
    pub per_second: NonZeroU32,
    /// Size of the bucket.
    pub burst: NonZeroU32,
}

impl FromStr for Rate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "must be <per second>:<burst>, two whole numbers above 0";
        let (per_second, burst) = text.trim().split_once(':').ok_or(wrong)?;
        let rate = Self {
            per_second: per_second.parse().map_err(|_| wrong)?,
            burst: burst.parse().map_err(|_| wrong)?,
        };
        if rate.burst < rate.per_second {
            return Err("the burst must be at least what comes in a second");
        }
        Ok(rate)
    }
}

/// The rates as settings.
#[derive(Debug, Clone, Args)]
pub struct RateConfig {
    /// `off` disables all rate limits, for measurements
    #[arg(long, env = "RATE_LIMITS", value_name = "RATE_LIMITS", default_value = "on")]
    pub rate_limits: Switch,

    /// Messages of one user in one room
    #[arg(long, env = "RATE_MESSAGES", value_name = "RATE_MESSAGES", default_value = "10:100")]
    pub rate_messages: Rate,

    /// Urgent messages of one user in one room, per minute
    #[arg(long, env = "RATE_URGENT", value_name = "RATE_URGENT", default_value = "5")]
    pub rate_urgent: NonZeroU32,

    /// Edits and deletions of one user
    #[arg(long, env = "RATE_EDITS", value_name = "RATE_EDITS", default_value = "5:50")]
    pub rate_edits: Rate,

    /// Read mark updates of one user in one room
    #[arg(long, env = "RATE_READS", value_name = "RATE_READS", default_value = "10:100")]
    pub rate_reads: Rate,

    /// Requests of one user for rooms that don't exist or that the user isn't in
    #[arg(long, env = "RATE_LOOKUPS", value_name = "RATE_LOOKUPS", default_value = "10:1000")]
    pub rate_lookups: Rate,

    /// Rooms created by one user
    #[arg(long, env = "RATE_ROOMS", value_name = "RATE_ROOMS", default_value = "1:50")]
    pub rate_rooms: Rate,

    /// Uploads of one user
    #[arg(long, env = "RATE_UPLOADS", value_name = "RATE_UPLOADS", default_value = "1:20")]
    pub rate_uploads: Rate,

    /// REST requests of one user
    #[arg(long, env = "RATE_REST", value_name = "RATE_REST", default_value = "50:500")]
    pub rate_rest: Rate,

    /// Frames of one socket
    #[arg(long, env = "RATE_FRAMES", value_name = "RATE_FRAMES", default_value = "50:200")]
    pub rate_frames: Rate,

    /// WebSocket handshakes on this node
    #[arg(long, env = "RATE_HANDSHAKES", value_name = "RATE_HANDSHAKES", default_value = "500:500")]
    pub rate_handshakes: Rate,

    /// WebSocket handshakes of one user
    #[arg(long, env = "RATE_USER_HANDSHAKES", value_name = "RATE_USER_HANDSHAKES", default_value = "20:200")]
    pub rate_user_handshakes: Rate,

    /// WebSocket handshakes from one address without a valid token; they don't count against RATE_HANDSHAKES
    #[arg(long, env = "RATE_BAD_HANDSHAKES", value_name = "RATE_BAD_HANDSHAKES", default_value = "20:200")]
    pub rate_bad_handshakes: Rate,

    /// Sign-ins from one address
    #[arg(long, env = "RATE_SIGN_INS", value_name = "RATE_SIGN_INS", default_value = "1:10")]
    pub rate_sign_ins: Rate,
}

/// The effective rates; `None` means unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Messages of one user in one room.
    pub messages: Option<Rate>,
    /// Urgent messages of one user in one room, per minute.
    pub urgent_per_minute: Option<NonZeroU32>,
    /// Edits and deletions of one user.
    pub edits: Option<Rate>,
    /// Read mark updates of one user in one room.
    pub reads: Option<Rate>,
    /// Requests of one user for rooms that don't exist or that the user isn't in.
    pub lookups: Option<Rate>,
    /// Rooms created by one user.
    pub rooms: Option<Rate>,
    /// Uploads of one user.
    pub uploads: Option<Rate>,
    /// REST requests of one user.
    pub rest: Option<Rate>,
    /// Frames of one socket.
    pub frames: Option<Rate>,
    /// Handshakes on this node.
    pub handshakes: Option<Rate>,
    /// Handshakes of one user.
    pub user_handshakes: Option<Rate>,
    /// Handshakes from one address without a valid token.
    pub bad_handshakes: Option<Rate>,
    /// Sign-ins from one address.
    pub sign_ins: Option<Rate>,
}

impl RateConfig {
    pub(super) fn effective(&self) -> Rates {
        let is_on = self.rate_limits == Switch::On;
        let unless_off = |rate| is_on.then_some(rate);
        Rates {
            messages: unless_off(self.rate_messages),
            urgent_per_minute: is_on.then_some(self.rate_urgent),
            edits: unless_off(self.rate_edits),
            reads: unless_off(self.rate_reads),
            lookups: unless_off(self.rate_lookups),
            rooms: unless_off(self.rate_rooms),
            uploads: unless_off(self.rate_uploads),
            rest: unless_off(self.rate_rest),
            frames: unless_off(self.rate_frames),
            handshakes: unless_off(self.rate_handshakes),
            user_handshakes: unless_off(self.rate_user_handshakes),
            bad_handshakes: unless_off(self.rate_bad_handshakes),
            sign_ins: unless_off(self.rate_sign_ins),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Rate;

    #[test]
    fn a_rate_is_two_numbers() {
        let rate: Rate = "10:100".parse().expect("a rate");
        assert_eq!((rate.per_second.get(), rate.burst.get()), (10, 100));
        for text in ["", "10", "0:1", "1:0", "-1:5", "1.5:5", "10:5", "a:b", "1:2:3"] {
            assert!(text.parse::<Rate>().is_err(), "{text:?}");
        }
    }
}
