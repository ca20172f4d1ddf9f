//! Quiet hours, in the time zone of their user.

use chrono::{
    DateTime, Datelike, Days, LocalResult, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc, Weekday,
};

/// A time zone of the IANA database, with its changes to and from summer time.
pub type Zone = chrono_tz::Tz;

/// By how much a time that a clock skips is moved until it exists, and how often at most. Clocks skip an hour or two,
/// and once a whole day.
const GAP_STEP: TimeDelta = TimeDelta::minutes(15);
const GAP_STEPS_MAX: usize = 100;

/// Finds a time zone by its name, such as `Europe/Berlin`.
#[must_use]
pub fn zone(name: &str) -> Option<Zone> {
    name.parse().ok()
}

/// Days of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeekDays(u8);

impl WeekDays {
    /// Every day.
    pub const ALL: Self = Self(0b111_1111);
    /// The names on the wire, Monday's first.
    pub const NAMES: [&'static str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

    /// Reads days by their names on the wire.
    #[must_use]
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut days = 0;
        for name in names {
            days |= 1 << Self::NAMES.iter().position(|known| *known == name)?;
        }
        Some(Self(days))
    }

    /// Reads days by the bits that the store keeps.
    #[must_use]
    pub fn from_bits(bits: i32) -> Self {
        Self(u8::try_from(bits & 0b111_1111).unwrap_or_default())
    }

    /// The bits that the store keeps.
    #[must_use]
    pub fn bits(self) -> i32 {
        self.0.into()
    }

    /// The names on the wire, Monday's first.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        Self::NAMES
            .iter()
            .enumerate()
            .filter(|(day, _)| (self.0 >> day) & 1 == 1)
            .map(|(_, name)| *name)
            .collect()
    }

    /// Whether no day is among them.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn contains(self, day: Weekday) -> bool {
        (self.0 >> day.num_days_from_monday()) & 1 == 1
    }
}

/// Hours in which a user isn't told of anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietHours {
    /// When they begin.
    pub from: NaiveTime,
    /// When they end: on the next day, unless that is later than when they begin.
    pub to: NaiveTime,
    /// The days on which they begin.
    pub days: WeekDays,
    /// The time zone of all of this.
    pub zone: Zone,
}

impl QuietHours {
    /// Returns until when it is quiet, if it is quiet at `now`.
    ///
    /// A time that the clock shows twice is taken as the first one for the beginning and as the second one for the end,
    /// and a time that it skips as the moment at which it does.
    #[must_use]
    pub fn until(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let today = now.with_timezone(&self.zone).date_naive();
        let one = Days::new(1);
        let begins_on = [today.checked_sub_days(one), Some(today)];
        begins_on.into_iter().flatten().filter(|day| self.days.contains(day.weekday())).find_map(|day| {
            let ends_on = if self.to > self.from { day } else { day.checked_add_days(one)? };
            let (from, _) = self.moments(day.and_time(self.from))?;
            let (_, to) = self.moments(ends_on.and_time(self.to))?;
            (from <= now && now < to).then_some(to)
        })
    }

    /// Returns the first and the last moment at which a clock in the time zone shows this.
    fn moments(&self, mut local: NaiveDateTime) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        for _ in 0..GAP_STEPS_MAX {
            match self.zone.from_local_datetime(&local) {
                LocalResult::Single(at) => return Some((at.to_utc(), at.to_utc())),
                LocalResult::Ambiguous(first, last) => return Some((first.to_utc(), last.to_utc())),
                LocalResult::None => local = local.checked_add_signed(GAP_STEP)?,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet(from: &str, to: &str, days: &[&str], zone_name: &str) -> QuietHours {
        let time = |text: &str| NaiveTime::parse_from_str(text, "%H:%M").expect("a time");
        let days = WeekDays::parse(days.iter().copied()).expect("days");
        QuietHours { from: time(from), to: time(to), days, zone: zone(zone_name).expect("a zone") }
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    #[test]
    fn nights_end_on_the_next_day_and_begin_on_their_days_alone() {
        // 2026-11-30 is a Monday, and Berlin is an hour ahead.
        let nights = quiet("22:00", "07:00", &["mon"], "Europe/Berlin");
        let morning = Some(at("2026-12-01T06:00:00Z"));
        assert_eq!(nights.until(at("2026-11-30T20:59:59Z")), None);
        assert_eq!(nights.until(at("2026-11-30T21:00:00Z")), morning);
        assert_eq!(nights.until(at("2026-12-01T05:59:59Z")), morning);
        assert_eq!(nights.until(at("2026-12-01T06:00:00Z")), None);
        assert_eq!(nights.until(at("2026-12-01T22:00:00Z")), None, "Tuesday's night isn't quiet");
        assert_eq!(nights.until(at("2026-11-30T03:00:00Z")), None, "Sunday's neither");
        let lunch = quiet("12:00", "13:30", &["tue"], "Asia/Kolkata");
        assert_eq!(lunch.until(at("2026-12-01T07:00:00Z")), Some(at("2026-12-01T08:00:00Z")));
        assert_eq!(lunch.until(at("2026-12-01T08:00:00Z")), None);
    }

    #[test]
    fn summer_time_begins_and_ends_at_the_right_hour() {
        let nights = quiet("22:00", "07:00", &WeekDays::NAMES, "Europe/Berlin");
        // Of a night of eight hours, and of one of ten.
        assert_eq!(nights.until(at("2026-03-28T22:00:00Z")), Some(at("2026-03-29T05:00:00Z")));
        assert_eq!(nights.until(at("2026-10-24T21:00:00Z")), Some(at("2026-10-25T06:00:00Z")));
        // 02:30 is skipped on 2026-03-29, and shown twice on 2026-10-25.
        let until_half_past_two = quiet("00:00", "02:30", &["sun"], "Europe/Berlin");
        assert_eq!(until_half_past_two.until(at("2026-03-29T00:30:00Z")), Some(at("2026-03-29T01:00:00Z")));
        assert_eq!(until_half_past_two.until(at("2026-10-25T00:45:00Z")), Some(at("2026-10-25T01:30:00Z")));
        let from_half_past_two = quiet("02:30", "05:00", &["sun"], "Europe/Berlin");
        assert_eq!(from_half_past_two.until(at("2026-03-29T01:00:00Z")), Some(at("2026-03-29T03:00:00Z")));
        assert_eq!(from_half_past_two.until(at("2026-03-29T00:59:59Z")), None);
        assert_eq!(from_half_past_two.until(at("2026-10-25T00:30:00Z")), Some(at("2026-10-25T04:00:00Z")));
        // Lord Howe Island moves its clocks by half an hour.
        let howe = quiet("01:00", "02:15", &["sun"], "Australia/Lord_Howe");
        assert_eq!(howe.until(at("2026-10-03T15:00:00Z")), Some(at("2026-10-03T15:30:00Z")));
    }

    #[test]
    fn days_are_read_as_they_are_written() {
        let days = WeekDays::parse(["sun", "mon"]).expect("days");
        assert_eq!(days.names(), ["mon", "sun"]);
        assert_eq!(WeekDays::from_bits(days.bits()), days);
        assert_eq!(WeekDays::ALL.names(), WeekDays::NAMES);
        assert_eq!(WeekDays::parse(["monday"]), None);
        assert!(WeekDays::parse([]).is_some_and(WeekDays::is_empty));
    }
}
