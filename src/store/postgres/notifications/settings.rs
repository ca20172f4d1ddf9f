//! What users have set about being told.

use actors::domain::ids::UserId;
use actors::domain::notifications::quiet::{QuietHours, WeekDays, zone};
use actors::domain::notifications::settings::{DELAY_SECONDS_DEFAULT, NotificationSettings};
use actors::ports::store::StoreError;
use tokio_postgres::Row;

use super::windows;
use crate::store::postgres::PostgresStore;

/// The columns of settings `s`, of which there may be none.
macro_rules! settings_columns {
    () => {
        "s.quiet_from, s.quiet_to, s.quiet_days, s.timezone, s.delay_seconds, s.keywords, s.email_after_minutes, \
         s.hide_text"
    };
}

pub(super) use settings_columns;

/// Reads the settings whose columns begin at `at`; the defaults where there are none.
pub(super) fn settings_of(row: &Row, at: usize) -> NotificationSettings {
    let number = |column| row.get::<_, Option<i32>>(column).and_then(|number| u32::try_from(number).ok());
    NotificationSettings {
        quiet: quiet_of(row, at),
        delay_seconds: number(at + 4).unwrap_or(DELAY_SECONDS_DEFAULT),
        keywords: row.get::<_, Option<_>>(at + 5).unwrap_or_default(),
        email_after_minutes: number(at + 6),
        hides_text: row.get::<_, Option<_>>(at + 7).unwrap_or_default(),
    }
}

/// Quiet hours in a time zone that only a newer node knows are none for this one.
fn quiet_of(row: &Row, at: usize) -> Option<QuietHours> {
    Some(QuietHours {
        from: row.get::<_, Option<_>>(at)?,
        to: row.get::<_, Option<_>>(at + 1)?,
        days: WeekDays::from_bits(row.get::<_, Option<_>>(at + 2)?),
        zone: zone(row.get::<_, Option<&str>>(at + 3)?)?,
    })
}

impl PostgresStore {
    /// Reads a user's settings.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn notification_settings(&self, user: UserId) -> Result<NotificationSettings, StoreError> {
        const FIND: &str =
            concat!("SELECT ", settings_columns!(), " FROM notification_settings s WHERE s.user_id = $1");
        let row = self.read_client().await?.row(FIND, &[&user.0]).await?;
        Ok(row.map(|row| settings_of(&row, 0)).unwrap_or_default())
    }

    /// Stores a user's settings, which hold for what waits to be told, too. The last call wins.
    ///
    /// # Errors
    /// [`StoreError`]; a retry is safe.
    pub async fn put_notification_settings(
        &self,
        user: UserId,
        settings: &NotificationSettings,
    ) -> Result<(), StoreError> {
        const PUT: &str = "INSERT INTO notification_settings (user_id, quiet_from, quiet_to, quiet_days, timezone,
                delay_seconds, keywords, email_after_minutes, hide_text)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (user_id) DO UPDATE SET
                quiet_from = excluded.quiet_from, quiet_to = excluded.quiet_to, quiet_days = excluded.quiet_days,
                timezone = excluded.timezone, delay_seconds = excluded.delay_seconds,
                keywords = excluded.keywords, email_after_minutes = excluded.email_after_minutes,
                hide_text = excluded.hide_text";
        let quiet = settings.quiet.as_ref();
        let (from, to) = (quiet.map(|quiet| quiet.from), quiet.map(|quiet| quiet.to));
        let (days, zone) = (quiet.map(|quiet| quiet.days.bits()), quiet.map(|quiet| quiet.zone.name()));
        let number = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
        let (delay, email) = (number(settings.delay_seconds), settings.email_after_minutes.map(number));
        let mut client = self.write_client().await?;
        let transaction = client.begin().await?;
        let keywords = &settings.keywords;
        let hides_text = settings.hides_text;
        transaction
            .rows(PUT, &[&user.0, &from, &to, &days, &zone, &delay, keywords, &email, &hides_text])
            .await?;
        windows::hurry(&transaction, user.0).await?;
        transaction.commit().await
    }
}
