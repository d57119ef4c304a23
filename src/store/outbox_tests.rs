#![allow(clippy::unwrap_used)]
use sea_orm::{ConnectionTrait, Statement};

use crate::domain::id::{NotificationId, UserId, WxappId};
use crate::domain::time::Timestamp;
use crate::store::db::{Readers, Write};
use crate::store::outbox::*;
use crate::store::test_databases::TestReaders;

const NOW: Timestamp = Timestamp::from_millis(100_000);
const UNTIL: Timestamp = Timestamp::from_millis(220_000);

/// An outbox with messages 1, 2 and 3, all due.
async fn outbox() -> TestReaders {
    let readers = TestReaders::small().await;
    for id in 1..=3 {
        let sql = format!(
            "INSERT INTO notification (id, wxapp_id, user_id, order_id, event, ref_id, state, \
             payload, tries, next_at, created_at, updated_at) VALUES \
             ({id}, 10001, 30, {id}, 'order_paid', 0, 'waiting', '{{}}', 0, 50000, 0, 0)"
        );
        readers.db().execute_unprepared(&sql).await.unwrap();
    }
    readers
}

async fn write(readers: &Readers, write: Write) {
    write.execute(readers.db()).await.unwrap();
}

fn ids(numbers: &[i64]) -> Vec<NotificationId> {
    numbers.iter().map(|id| NotificationId::parse(*id).unwrap()).collect()
}

async fn claims(readers: &Readers, numbers: &[i64], token: &str, now: Timestamp) -> Vec<Waiting> {
    let until = now.plus_seconds(120);
    write(readers, claim(readers.backend(), &ids(numbers), token, now, until)).await;
    claimed(readers, token).await.unwrap().messages
}

/// State, reason and tries of each message.
async fn shown(readers: &Readers) -> Vec<String> {
    let sql = "SELECT state || ' ' || COALESCE(reason, '-') || ' ' || tries AS s \
               FROM notification ORDER BY id";
    let rows = readers.db().query_all_raw(Statement::from_string(readers.backend(), sql)).await;
    rows.unwrap().iter().map(|row| row.try_get("", "s").unwrap()).collect()
}

#[tokio::test]
async fn only_what_was_not_tried_is_given_back() {
    let readers = outbox().await;
    assert_eq!(claims(&readers, &[1, 2, 3], "t", NOW).await.len(), 3);
    let sent = Delivery::Sent { msg_id: None };
    write(&readers, finish(readers.backend(), ids(&[1])[0], "t", &sent, NOW)).await;
    // What came of 2 could not be written; 3 was not tried.
    write(&readers, give_back(readers.backend(), "t", &ids(&[3]))).await;
    assert_eq!(shown(&readers).await, ["sent - 1", "sending - 1", "waiting - 0"]);
    let later = UNTIL.plus_seconds(1);
    let again = claims(&readers, &[1, 2, 3], "u", later).await;
    let maybe: Vec<_> = again.iter().map(|m| (m.id.get(), m.maybe_delivered, m.tries)).collect();
    assert_eq!(maybe, [(2, true, 2), (3, false, 1)]);
}

#[tokio::test]
async fn what_was_not_tried_counts_as_no_try_and_keeps_its_mark() {
    let readers = outbox().await;
    claims(&readers, &[1, 2], "t", NOW).await;
    for (id, maybe_delivered) in [(1, true), (2, false)] {
        let untried = Delivery::Untried { at: UNTIL, maybe_delivered };
        write(&readers, finish(readers.backend(), ids(&[id])[0], "t", &untried, NOW)).await;
    }
    assert_eq!(shown(&readers).await, ["waiting maybe_delivered 0", "waiting - 0", "waiting - 0"]);
    assert_eq!(due(&readers, NOW, 9).await.unwrap(), ids(&[3]));
}

#[tokio::test]
async fn a_consent_wakes_only_what_waits_for_one() {
    let readers = outbox().await;
    claims(&readers, &[1, 2, 3], "t", NOW).await;
    for (id, delivery) in [
        (1, Delivery::AwaitsGrant { at: UNTIL }),
        (2, Delivery::Later { at: UNTIL }),
        (3, Delivery::MaybeDelivered { at: UNTIL }),
    ] {
        write(&readers, finish(readers.backend(), ids(&[id])[0], "t", &delivery, NOW)).await;
    }
    let (wxapp, user) = (WxappId::parse(10001).unwrap(), UserId::parse(30).unwrap());
    write(&readers, wake(readers.backend(), wxapp, user, NOW)).await;
    assert_eq!(due(&readers, NOW, 9).await.unwrap(), ids(&[1]));
}

#[tokio::test]
async fn after_two_claims_that_ran_out_there_is_no_third_try() {
    let readers = outbox().await;
    assert_eq!(claims(&readers, &[1, 2], "t", NOW).await.len(), 2);
    let second = NOW.plus_seconds(121);
    assert_eq!(claims(&readers, &[1, 2], "u", second).await.len(), 2);
    // What came of 2 is known this time.
    let sent = Delivery::Sent { msg_id: None };
    write(&readers, finish(readers.backend(), ids(&[2])[0], "u", &sent, second)).await;
    let third = second.plus_seconds(121);
    assert!(claims(&readers, &[1, 2], "v", third).await.is_empty());
    assert_eq!(shown(&readers).await, ["parked unanswered 2", "sent - 2", "waiting - 0"]);
    assert_eq!(due(&readers, third, 9).await.unwrap(), ids(&[3]));
}
