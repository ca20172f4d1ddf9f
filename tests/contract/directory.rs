//! Users that the host application stores concurrently.

use actors::domain::ids::UserId;
use aristay_chat::store::postgres::users::UserUpsert;

use crate::world::Postgres;

fn upsert(id: UserId, is_active: bool) -> [UserUpsert; 1] {
    let (username, full_name, email) = (Some("new".to_owned()), None, None);
    let (is_active, is_staff, tokens_valid_from, is_guest) = (Some(is_active), None, None, None);
    [UserUpsert { id, username, full_name, email, is_active, is_staff, tokens_valid_from, is_guest }]
}

#[tokio::test]
async fn of_two_concurrent_upserts_the_second_reports_a_change() {
    let postgres = Postgres::new().await;
    let other = postgres.second_node().await;
    for id in (100..130).map(UserId) {
        let (active, inactive) = (upsert(id, true), upsert(id, false));
        let (one, two) = tokio::join!(postgres.store.upsert_users(&active), other.upsert_users(&inactive));
        let both = [one.unwrap().remove(0), two.unwrap().remove(0)];
        let second: Vec<_> = both.iter().filter(|user| !user.created).collect();
        assert_eq!(second.len(), 1, "one of them creates the user");
        assert!(second[0].access_changed, "{both:?}");
    }
}
