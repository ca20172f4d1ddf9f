//! What the host application tells of people, by several callers at once.

use actors::domain::ids::UserId;
use aristay_chat::store::postgres::people::ToldPerson;

use crate::world::Postgres;

fn told(id: UserId, is_active: bool) -> [ToldPerson; 1] {
    let (username, full_name, email) = (Some("new".to_owned()), None, None);
    let (is_active, is_staff, tokens_valid_from) = (Some(is_active), None, None);
    [ToldPerson { id, username, full_name, email, is_active, is_staff, tokens_valid_from }]
}

#[tokio::test]
async fn who_is_told_first_by_two_at_once_is_told_by_the_second_to_have_changed() {
    let postgres = Postgres::new().await;
    let other = postgres.second_node().await;
    for id in (100..130).map(UserId) {
        let (active, inactive) = (told(id, true), told(id, false));
        let (one, two) = tokio::join!(postgres.store.told(&active), other.told(&inactive));
        let both = [one.unwrap().remove(0), two.unwrap().remove(0)];
        let second: Vec<_> = both.iter().filter(|told| !told.created).collect();
        assert_eq!(second.len(), 1, "one of them makes the person known");
        assert!(second[0].right_changed, "{both:?}");
    }
}
