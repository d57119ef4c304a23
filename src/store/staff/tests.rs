//! What must hold whoever else writes at the same moment.
#![allow(clippy::unwrap_used)]

use sea_orm::{DatabaseConnection, DbBackend};

use super::sessions::{self, AdminSession, Which};
use super::*;
use crate::store::db::begin_write;
use crate::store::errors::Trouble;
use crate::store::server_tests::until_somebody_waits;
use crate::store::test_databases::{Kind, TestReaders};

const NOW: Timestamp = Timestamp::from_seconds(1_000);

fn id(id: i64) -> StaffId {
    StaffId::parse(id).unwrap()
}

fn owner(number: i64) -> Member {
    Member {
        id: id(number),
        login: format!("owner-{number}"),
        name: "x".to_owned(),
        password_hash: "old".to_owned(),
        totp_secret: None,
        totp_step: None,
        language: "zh".to_owned(),
        disabled_at: None,
        version: 1,
        created_at: NOW,
        grants: Grants([(Scope::All, Role::Owner)].into()),
    }
}

/// Two owners of everything.
async fn shop() -> TestReaders {
    let shop = TestReaders::small().await;
    for number in [1, 2] {
        insert(shop.backend(), &owner(number), NOW).execute(shop.db()).await.unwrap();
    }
    shop
}

fn disabled(backend: DbBackend, number: i64) -> Write {
    with_an_owner_left(backend, update(backend, id(number), Change::Disabled(Some(NOW)), NOW))
}

fn demoted(backend: DbBackend, number: i64) -> Write {
    with_an_owner_left(backend, replace_grants(backend, id(number), &Grants::default()))
}

/// All or nothing, as the journal writes.
async fn write(db: &DatabaseConnection, write: Write) -> Result<(), StoreError> {
    let txn = begin_write(db).await?;
    match write.execute(&txn).await {
        Ok(()) => Ok(txn.commit().await?),
        Err(error) => {
            txn.rollback().await?;
            Err(error)
        }
    }
}

#[track_caller]
fn refused(result: Result<(), StoreError>) {
    assert_eq!(result.unwrap_err().trouble(), Trouble::Content);
}

async fn owners(readers: &Readers) -> usize {
    let able = |member: &Member| member.disabled_at.is_none() && member.grants.own_everything();
    all(readers).await.unwrap().iter().filter(|member| able(member)).count()
}

#[tokio::test]
async fn the_last_owner_stays() {
    let shop = shop().await;
    let backend = shop.backend();
    write(shop.db(), disabled(backend, 1)).await.unwrap();
    refused(write(shop.db(), disabled(backend, 2)).await);
    refused(write(shop.db(), demoted(backend, 2)).await);
    assert_eq!(owners(&shop).await, 1);
    write(shop.db(), update(backend, id(1), Change::Disabled(None), NOW)).await.unwrap();
    write(shop.db(), demoted(backend, 2)).await.unwrap();
    refused(write(shop.db(), demoted(backend, 1)).await);
    assert_eq!(owners(&shop).await, 1);
}

/// Without the lock each sees the other as the owner who stays.
#[tokio::test]
async fn two_owners_do_not_end_each_other_from_two_processes() {
    if Kind::chosen() == Kind::Sqlite {
        return;
    }
    type Way = fn(DbBackend, i64) -> Write;
    for (one, other) in
        [(disabled as Way, disabled as Way), (demoted, demoted), (demoted, disabled)]
    {
        let shop = shop().await;
        let backend = shop.backend();
        let stranger = shop.database.stranger().await;
        let first = begin_write(shop.db()).await.unwrap();
        one(backend, 1).execute(&first).await.unwrap();
        let second = tokio::spawn(async move { write(&stranger, other(backend, 2)).await });
        until_somebody_waits(&shop).await;
        first.commit().await.unwrap();
        refused(second.await.unwrap());
        assert_eq!(owners(&shop).await, 1);
    }
}

fn log_in(backend: DbBackend, member: &Member, number: i64) -> Write {
    let session = AdminSession {
        id: number,
        staff: member.id,
        form_token: "form".to_owned(),
        client: String::new(),
        created_at: NOW,
        seen_at: NOW,
        confirmed_at: NOW,
        expires_at: NOW.plus_seconds(60),
    };
    let hash = format!("hash-{number}");
    if_password_is_still(backend, member).then(sessions::insert(backend, &hash, &session))
}

#[tokio::test]
async fn a_log_in_under_way_does_not_outlive_its_password_or_account() {
    let shop = shop().await;
    let backend = shop.backend();
    let member = by_id(&shop, id(1)).await.unwrap().unwrap();
    write(shop.db(), log_in(backend, &member, 11)).await.unwrap();
    let changed = update(backend, id(1), Change::PasswordHash("new".into()), NOW)
        .then(sessions::revoke(backend, id(1), Which::All, NOW));
    write(shop.db(), changed).await.unwrap();
    refused(write(shop.db(), log_in(backend, &member, 12)).await);
    let member = by_id(&shop, id(1)).await.unwrap().unwrap();
    write(shop.db(), disabled(backend, 1)).await.unwrap();
    refused(write(shop.db(), log_in(backend, &member, 13)).await);
    assert_eq!(sessions::of_member(&shop, id(1), NOW).await.unwrap(), []);
}

#[tokio::test]
async fn a_code_is_used_once() {
    let shop = shop().await;
    let used = |step| use_totp_step(shop.backend(), id(1), step);
    write(shop.db(), used(7)).await.unwrap();
    refused(write(shop.db(), used(7)).await);
    refused(write(shop.db(), used(6)).await);
    write(shop.db(), used(8)).await.unwrap();
}

#[tokio::test]
async fn log_ins_that_have_run_out_are_swept() {
    let shop = shop().await;
    let member = by_id(&shop, id(1)).await.unwrap().unwrap();
    write(shop.db(), log_in(shop.backend(), &member, 11)).await.unwrap();
    let rows = async || entity::admin_session::Entity::find().count(shop.db()).await.unwrap();
    for (later, left) in [(60, 1), (61, 0)] {
        let sweep = crate::store::housekeeping::sweep(shop.backend(), NOW, NOW.plus_seconds(later));
        write(shop.db(), sweep).await.unwrap();
        assert_eq!(rows().await, left);
    }
}
