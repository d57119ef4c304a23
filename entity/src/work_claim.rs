//! Who works on what on the engine's own account, and until when.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "work_claim")]
pub struct Model {
    /// `close`, `ask`, `refund`, `sweep`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: String,
    /// The order, or for `ask` the attempt.
    #[sea_orm(primary_key, auto_increment = false)]
    pub subject_id: i64,
    /// Who has it; none: nobody, and nobody takes it before `until`.
    pub token: Option<String>,
    pub until: i64,
    /// How often it has been taken.
    pub tries: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
