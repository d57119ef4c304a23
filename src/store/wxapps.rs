//! Mini-programs: the tenants, with their merchant accounts.

use entity::wxapp::{ActiveModel, Column, Entity, Model};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Set,
};
use secrecy::SecretString;

use super::db::{Readers, StoreError};
use super::seal::{SealError, Sealer};
use crate::domain::id::WxappId;
use crate::domain::money::Money;
use crate::domain::notification::Templates;
use crate::domain::price::FreightPolicy;
use crate::domain::time::Timestamp;

/// A mini-program with its secrets open, as the engine uses it.
#[derive(Debug, Clone)]
pub struct Wxapp {
    pub id: WxappId,
    pub name: String,
    pub appid: String,
    pub secret: SecretString,
    pub mch_id: String,
    pub api_key: SecretString,
    /// The former key; it verifies until then.
    pub former_api_key: Option<(SecretString, Timestamp)>,
    pub key_version: i64,
    /// `MD5` or `HMAC-SHA256`, for new attempts.
    pub sign_type: String,
    pub cert_file: Option<String>,
    pub key_file: Option<String>,
    pub templates: Templates,
    pub freight: FreightPolicy,
    pub version: i64,
}

impl Wxapp {
    /// The API keys that may have signed an attempt, the likelier first.
    pub fn keys_for(&self, key_version: i64, now: Timestamp) -> Vec<&SecretString> {
        let former = self.former_api_key.as_ref().filter(|(_, until)| now < *until);
        let former = former.map(|(key, _)| key);
        if key_version == self.key_version {
            std::iter::once(&self.api_key).chain(former).collect()
        } else {
            former.into_iter().chain([&self.api_key]).collect()
        }
    }
}

/// A mini-program could not be read.
#[derive(Debug, thiserror::Error)]
pub enum WxappError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl From<sea_orm::DbErr> for WxappError {
    fn from(error: sea_orm::DbErr) -> Self {
        Self::Store(error.into())
    }
}

/// All mini-programs, by id.
pub async fn all(readers: &Readers, sealer: &Sealer) -> Result<Vec<Wxapp>, WxappError> {
    let rows = Entity::find().all(readers.db()).await?;
    rows.into_iter().map(|row| open(row, sealer)).collect()
}

/// Ids and names of all mini-programs, by id.
pub async fn names(readers: &Readers) -> Result<Vec<(WxappId, String)>, StoreError> {
    let rows: Vec<(i64, String)> = Entity::find()
        .select_only()
        .columns([Column::Id, Column::Name])
        .order_by_asc(Column::Id)
        .into_tuple()
        .all(readers.db())
        .await?;
    let id = |id| WxappId::parse(id).map_err(|error| StoreError::row("wxapp", error));
    rows.into_iter().map(|(number, name)| Ok((id(number)?, name))).collect()
}

/// One mini-program by its appid.
pub async fn by_appid(
    readers: &Readers,
    sealer: &Sealer,
    appid: &str,
) -> Result<Option<Wxapp>, WxappError> {
    let row = Entity::find().filter(Column::Appid.eq(appid)).one(readers.db()).await?;
    row.map(|row| open(row, sealer)).transpose()
}

/// One mini-program.
pub async fn by_id(
    readers: &Readers,
    sealer: &Sealer,
    id: WxappId,
) -> Result<Option<Wxapp>, WxappError> {
    let row = Entity::find_by_id(id.get()).one(readers.db()).await?;
    row.map(|row| open(row, sealer)).transpose()
}

/// Writes the first mini-program when there is none; says whether it did. Of two processes that
/// start at the same moment one does.
pub async fn create_first(
    db: &impl ConnectionTrait,
    sealer: &Sealer,
    wxapp: &Wxapp,
    now: Timestamp,
) -> Result<bool, WxappError> {
    if Entity::find().count(db).await? > 0 {
        return Ok(false);
    }
    let unless_there = OnConflict::new().do_nothing_on([Column::Id]).to_owned();
    let insert = Entity::insert(seal_row(wxapp, sealer, now)?).on_conflict(unless_there);
    match insert.exec_without_returning(db).await {
        Ok(_) => Ok(true),
        Err(DbErr::RecordNotInserted) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn seal_row(wxapp: &Wxapp, sealer: &Sealer, now: Timestamp) -> Result<ActiveModel, WxappError> {
    let former = wxapp.former_api_key.as_ref();
    Ok(ActiveModel {
        id: Set(wxapp.id.get()),
        name: Set(wxapp.name.clone()),
        appid: Set(wxapp.appid.clone()),
        secret: Set(sealer.seal(&wxapp.secret)?),
        mch_id: Set(wxapp.mch_id.clone()),
        api_key: Set(sealer.seal(&wxapp.api_key)?),
        prev_api_key: Set(former.map(|(key, _)| sealer.seal(key)).transpose()?),
        prev_key_until: Set(former.map(|(_, until)| until.as_millis())),
        key_version: Set(wxapp.key_version),
        sign_type: Set(wxapp.sign_type.clone()),
        provider: Set("v2".into()),
        cert_file: Set(wxapp.cert_file.clone()),
        key_file: Set(wxapp.key_file.clone()),
        templates: Set(to_json(&wxapp.templates)?),
        freight_fen: Set(wxapp.freight.flat.as_fen()),
        free_freight_from_fen: Set(wxapp.freight.free_from.map(Money::as_fen)),
        version: Set(wxapp.version),
        created_at: Set(now.as_millis()),
        updated_at: Set(now.as_millis()),
    })
}

fn to_json(templates: &Templates) -> Result<String, StoreError> {
    serde_json::to_string(templates).map_err(|error| StoreError::row("wxapp", error))
}

fn open(row: Model, sealer: &Sealer) -> Result<Wxapp, WxappError> {
    let bad = |what: &dyn std::fmt::Display| StoreError::row("wxapp", what);
    let former = match (row.prev_api_key, row.prev_key_until) {
        (Some(key), Some(until)) => Some((sealer.open(&key)?, Timestamp::from_millis(until))),
        _ => None,
    };
    Ok(Wxapp {
        id: WxappId::parse(row.id).map_err(|error| bad(&error))?,
        name: row.name,
        appid: row.appid,
        secret: sealer.open(&row.secret)?,
        mch_id: row.mch_id,
        api_key: sealer.open(&row.api_key)?,
        former_api_key: former,
        key_version: row.key_version,
        sign_type: row.sign_type,
        cert_file: row.cert_file,
        key_file: row.key_file,
        templates: serde_json::from_str(&row.templates).map_err(|error| bad(&error))?,
        freight: FreightPolicy {
            flat: Money::from_fen(row.freight_fen),
            free_from: row.free_freight_from_fen.map(Money::from_fen),
        },
        version: row.version,
    })
}
