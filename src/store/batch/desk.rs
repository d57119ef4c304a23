//! What a batch reads and writes beside orders, stock and money: parcels, timelines, and what staff
//! do. Locked after the orders and SKUs that it belongs to, so that whoever holds those is alone
//! with these too.

use std::collections::BTreeSet;

use entity::{
    audit_entry, goods, incident, notification, order_address, order_event, order_goods, shipment,
    shipment_goods, stock_entry,
};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use sea_orm::{QuerySelect as _, Set, Value};

use super::super::db::{StoreError, row_lock};
use super::super::{rows, shipments};
use super::insert::{insert, replace};
use super::save::{changed, fresh};
use super::sheets;
use crate::domain::books::{Books, Kept};
use crate::domain::desk::{IncidentCase, Resolution};
use crate::domain::fold::{Act, Command, Desk};
use crate::domain::id::{IdempotencyKey, OrderId, ShipmentId, StaffId};
use crate::domain::notification::Event;
use crate::domain::time::Timestamp;

/// Why the message about a parcel that was taken back is not sent.
const TAKEN_BACK: &str = "taken_back";

/// Reads what the staff's commands of a batch are about, and the parcels of orders that may move.
pub async fn load(
    db: &impl ConnectionTrait,
    commands: &[Command],
    books: &mut Books,
) -> Result<(), StoreError> {
    let looked_at = orders_looked_at(commands, books);
    load_lines(db, looked_at, books).await?;
    load_shipments(db, &orders_with_parcels(commands), books).await?;
    load_reminded(db, commands, books).await?;
    let desks: Vec<&Desk> = desks(commands).collect();
    if desks.is_empty() {
        return Ok(());
    }
    load_addresses(db, &desks, books).await?;
    load_unsent(db, &desks, books).await?;
    load_cases(db, &desks, books).await?;
    sheets::load(db, &desks, books).await?;
    load_done(db, &desks, books).await
}

fn desks(commands: &[Command]) -> impl Iterator<Item = &Desk> {
    commands.iter().filter_map(|command| match command {
        Command::Desk(desk) => Some(desk.as_ref()),
        _ => None,
    })
}

/// Orders whose lines somebody needs and nobody has read.
fn orders_looked_at(commands: &[Command], books: &Books) -> Vec<i64> {
    let order = |command: &Command| match command {
        Command::Remind(remind) => Some(remind.order),
        Command::Desk(desk) if desk.act.needs_lines_and_money() => desk.act.order(),
        _ => None,
    };
    let orders: BTreeSet<OrderId> = commands.iter().filter_map(order).collect();
    orders.into_iter().filter(|id| !books.lines.contains_key(id)).map(OrderId::get).collect()
}

/// A plain read: their goods do not move and are not locked.
async fn load_lines(
    db: &impl ConnectionTrait,
    orders: Vec<i64>,
    books: &mut Books,
) -> Result<(), StoreError> {
    if orders.is_empty() {
        return Ok(());
    }
    let found = order_goods::Entity::find()
        .filter(order_goods::Column::OrderId.is_in(orders))
        .order_by_asc(order_goods::Column::Id);
    for row in found.all(db).await? {
        let line = rows::orders::line(row)?;
        books.lines.entry(line.order).or_default().push(line);
    }
    Ok(())
}

fn orders_with_parcels(commands: &[Command]) -> BTreeSet<i64> {
    let order = |command: &Command| match command {
        Command::ChangeRefund(change) => change.may_end_the_order().then_some(change.order),
        Command::Desk(desk) if desk.act.needs_parcels() => desk.act.order(),
        _ => None,
    };
    commands.iter().filter_map(order).map(OrderId::get).collect()
}

async fn load_shipments(
    db: &impl ConnectionTrait,
    orders: &BTreeSet<i64>,
    books: &mut Books,
) -> Result<(), StoreError> {
    if orders.is_empty() {
        return Ok(());
    }
    for shipment in shipments::of_orders(db, orders.iter().copied()).await? {
        books.shipments.insert(shipment.id, Kept::loaded(shipment));
    }
    Ok(())
}

/// Which of the orders to be reminded have been.
async fn load_reminded(
    db: &impl ConnectionTrait,
    commands: &[Command],
    books: &mut Books,
) -> Result<(), StoreError> {
    let order = |command: &Command| match command {
        Command::Remind(remind) => Some(remind.order.get()),
        _ => None,
    };
    let orders: Vec<i64> = commands.iter().filter_map(order).collect();
    if orders.is_empty() {
        return Ok(());
    }
    let told: Vec<i64> = notification::Entity::find()
        .select_only()
        .column(notification::Column::OrderId)
        .filter(notification::Column::OrderId.is_in(orders))
        .filter(notification::Column::Event.eq(Event::OrderExpiring.as_str()))
        .into_tuple()
        .all(db)
        .await?;
    let parse = |id| OrderId::parse(id).map_err(|error| StoreError::row("notification", error));
    books.desk.reminded = told.into_iter().map(parse).collect::<Result<_, _>>()?;
    Ok(())
}

async fn load_addresses(
    db: &impl ConnectionTrait,
    desks: &[&Desk],
    books: &mut Books,
) -> Result<(), StoreError> {
    let order = |desk: &&Desk| match &desk.act {
        Act::ChangeAddress { order, .. } => Some(order.get()),
        _ => None,
    };
    let orders: Vec<i64> = desks.iter().filter_map(order).collect();
    if orders.is_empty() {
        return Ok(());
    }
    let found = order_address::Entity::find().filter(order_address::Column::OrderId.is_in(orders));
    for row in found.all(db).await? {
        let order = OrderId::parse(row.order_id);
        let order = order.map_err(|error| StoreError::row("order_address", error))?;
        books.desk.addresses.insert(order, Kept::loaded(rows::orders::address(row)));
    }
    Ok(())
}

/// The messages about parcels that nobody has begun to send. Locked: of a sender and a clerk who
/// takes the parcel back, one sees what the other has done.
async fn load_unsent(
    db: &impl ConnectionTrait,
    desks: &[&Desk],
    books: &mut Books,
) -> Result<(), StoreError> {
    let parcel = |desk: &&Desk| Some((desk.act.order()?.get(), desk.act.needs_message()?));
    let parcels: Vec<(i64, ShipmentId)> = desks.iter().filter_map(parcel).collect();
    if parcels.is_empty() {
        return Ok(());
    }
    let found = notification::Entity::find()
        .filter(notification::Column::OrderId.is_in(parcels.iter().map(|(order, _)| *order)))
        .filter(notification::Column::Event.eq(Event::OrderShipped.as_str()))
        .filter(notification::Column::RefId.is_in(parcels.iter().map(|(_, id)| id.get())))
        .order_by_asc(notification::Column::Id)
        .lock(row_lock(db));
    for row in found.all(db).await? {
        if let Some((parcel, message)) = rows::desk::unsent(&row)? {
            books.desk.unsent.insert(parcel, Kept::loaded(message));
        }
    }
    Ok(())
}

async fn load_cases(
    db: &impl ConnectionTrait,
    desks: &[&Desk],
    books: &mut Books,
) -> Result<(), StoreError> {
    let (mut incidents, mut messages) = (Vec::new(), Vec::new());
    for desk in desks {
        match &desk.act {
            Act::ResolveIncident { incident, .. } => incidents.push(incident.get()),
            Act::Resend { message } => messages.push(message.get()),
            _ => {}
        }
    }
    if !incidents.is_empty() {
        let found = incident::Entity::find()
            .filter(incident::Column::Id.is_in(incidents))
            .order_by_asc(incident::Column::Id)
            .lock(row_lock(db));
        for row in found.all(db).await? {
            let case = rows::desk::incident(row)?;
            books.desk.incidents.insert(case.id, Kept::loaded(case));
        }
    }
    if !messages.is_empty() {
        let found = notification::Entity::find()
            .filter(notification::Column::Id.is_in(messages))
            .order_by_asc(notification::Column::Id)
            .lock(row_lock(db));
        for row in found.all(db).await? {
            let case = rows::desk::message(&row)?;
            books.desk.messages.insert(case.id, Kept::loaded(case));
        }
    }
    Ok(())
}

/// Which one-time keys have acted. Read after the rows that they acted on are locked, so that of
/// two processes with one key the second sees the first.
async fn load_done(
    db: &impl ConnectionTrait,
    desks: &[&Desk],
    books: &mut Books,
) -> Result<(), StoreError> {
    let keyed = desks.iter().filter_map(|desk| Some((desk.staff, &desk.key.as_ref()?.key)));
    let any = keyed.fold(None, |any: Option<Condition>, (staff, key)| {
        let this = Condition::all()
            .add(audit_entry::Column::StaffId.eq(staff.get()))
            .add(audit_entry::Column::FormKey.eq(key.as_str()));
        Some(any.unwrap_or_else(Condition::any).add(this))
    });
    let Some(any) = any else { return Ok(()) };
    for row in audit_entry::Entity::find().filter(any).all(db).await? {
        let bad = |error| StoreError::row("audit_entry", error);
        let staff = StaffId::parse(row.staff_id).map_err(bad)?;
        if let (Some(key), Some(said)) = (row.form_key, row.request_hash) {
            let key = IdempotencyKey::parse(key).map_err(bad)?;
            books.desk.done.insert((staff, key), said);
        }
    }
    Ok(())
}

/// Writes parcels, timelines and what staff did.
pub async fn save(
    db: &impl ConnectionTrait,
    books: &Books,
    now: Timestamp,
) -> Result<(), StoreError> {
    let timeline = books.timeline.iter().map(rows::shipments::happening_row);
    insert::<order_event::ActiveModel>(db, timeline.collect::<Result<_, _>>()?).await?;
    save_shipments(db, books).await?;
    let desk = &books.desk;
    let adjusted: Vec<stock_entry::ActiveModel> =
        desk.adjustments.iter().map(rows::desk::adjustment_row).collect();
    insert(db, adjusted).await?;
    let log = desk.log.iter().map(rows::desk::audit_row);
    insert::<audit_entry::ActiveModel>(db, log.collect::<Result<_, _>>()?).await?;
    save_addresses(db, books).await?;
    save_unsent(db, books, now).await?;
    save_cases(db, books, now).await?;
    sheets::save(db, books, now).await?;
    save_sale(db, books, now).await
}

async fn save_shipments(db: &impl ConnectionTrait, books: &Books) -> Result<(), StoreError> {
    let rows = fresh(books.shipments.values()).map(rows::shipments::shipment_row);
    insert::<shipment::ActiveModel>(db, rows.collect()).await?;
    let packed = fresh(books.shipments.values()).flat_map(rows::shipments::packed_rows);
    insert::<shipment_goods::ActiveModel>(db, packed.collect()).await?;
    let rows = changed(books.shipments.values()).map(rows::shipments::shipment_row);
    replace(db, rows.collect::<Vec<_>>(), shipment::Column::Id).await?;
    let gone: Vec<i64> = books.desk.taken_back.iter().map(|id| id.get()).collect();
    if gone.is_empty() {
        return Ok(());
    }
    let lines = shipment_goods::Column::ShipmentId.is_in(gone.iter().copied());
    shipment_goods::Entity::delete_many().filter(lines).exec(db).await?;
    shipment::Entity::delete_many().filter(shipment::Column::Id.is_in(gone)).exec(db).await?;
    Ok(())
}

/// A message that is void, or tells of another number, since its parcel has changed.
async fn save_unsent(
    db: &impl ConnectionTrait,
    books: &Books,
    now: Timestamp,
) -> Result<(), StoreError> {
    for message in changed(books.desk.unsent.values()) {
        let mut change = notification::ActiveModel {
            payload: Set(rows::desk::payload(message)?),
            updated_at: Set(now.as_millis()),
            ..Default::default()
        };
        if message.is_void {
            change.state = Set("skipped".to_owned());
            change.reason = Set(Some(TAKEN_BACK.to_owned()));
        }
        notification::Entity::update_many()
            .set(change)
            .filter(notification::Column::Id.eq(message.id.get()))
            .exec(db)
            .await?;
    }
    Ok(())
}

/// One statement each: staff change one address at a time.
async fn save_addresses(db: &impl ConnectionTrait, books: &Books) -> Result<(), StoreError> {
    let all = books.desk.addresses.iter().filter(|(_, kept)| kept.is_changed());
    for (order, kept) in all {
        let to = kept.get();
        let change = order_address::ActiveModel {
            name: Set(to.name.clone()),
            phone: Set(to.phone.clone()),
            province: Set(to.province.clone()),
            city: Set(to.city.clone()),
            district: Set(to.district.clone()),
            detail: Set(to.detail.clone()),
            ..Default::default()
        };
        order_address::Entity::update_many()
            .set(change)
            .filter(order_address::Column::OrderId.eq(order.get()))
            .exec(db)
            .await?;
    }
    Ok(())
}

async fn save_cases(
    db: &impl ConnectionTrait,
    books: &Books,
    now: Timestamp,
) -> Result<(), StoreError> {
    for case in changed(books.desk.incidents.values()) {
        let Some(change) = resolution(case, now) else { continue };
        incident::Entity::update_many()
            .set(change)
            .filter(incident::Column::Id.eq(case.id.get()))
            .exec(db)
            .await?;
    }
    let again: Vec<i64> = changed(books.desk.messages.values()).map(|case| case.id.get()).collect();
    if again.is_empty() {
        return Ok(());
    }
    // As if it were new: how often and why it failed before counts no more.
    notification::Entity::update_many()
        .col_expr(notification::Column::State, Expr::value("waiting"))
        .col_expr(notification::Column::Reason, Expr::value(Option::<String>::None))
        .col_expr(notification::Column::Tries, Expr::value(0_i64))
        .col_expr(notification::Column::NextAt, Expr::value(now.as_millis()))
        .col_expr(notification::Column::UpdatedAt, Expr::value(now.as_millis()))
        .filter(notification::Column::Id.is_in(again))
        .exec(db)
        .await?;
    Ok(())
}

fn resolution(case: &IncidentCase, now: Timestamp) -> Option<incident::ActiveModel> {
    let resolved = case.resolved.as_ref()?;
    let order = match resolved.how {
        Resolution::Matched(order) => Some(order.get()),
        Resolution::Refunded | Resolution::Dismissed => None,
    };
    Some(incident::ActiveModel {
        state: Set(resolved.how.as_str().to_owned()),
        order_id: Set(order),
        resolved_by: Set(Some(resolved.by.get())),
        resolved_at: Set(Some(resolved.at.as_millis())),
        resolution: Set(Some(resolved.reason.clone())),
        updated_at: Set(now.as_millis()),
        ..Default::default()
    })
}

async fn save_sale(
    db: &impl ConnectionTrait,
    books: &Books,
    now: Timestamp,
) -> Result<(), StoreError> {
    for (id, on_sale) in &books.desk.sale {
        let status = if *on_sale { "on_sale" } else { "off_sale" };
        let Some(goods) = books.goods.get(id).map(Kept::get) else { continue };
        goods::Entity::update_many()
            .col_expr(goods::Column::Status, Expr::value(Value::from(status)))
            .col_expr(goods::Column::Version, Expr::value(goods.version))
            .col_expr(goods::Column::UpdatedAt, Expr::value(now.as_millis()))
            .filter(goods::Column::Id.eq(id.get()))
            .exec(db)
            .await?;
    }
    Ok(())
}
