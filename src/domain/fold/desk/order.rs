//! Notes, addresses, and giving up what nobody has paid.

use super::{Change, Clerk, DeskRefusal, facts, find};
use crate::domain::address::Address;
use crate::domain::books::{Books, Kept};
use crate::domain::fold::closing;
use crate::domain::id::OrderId;
use crate::domain::notification::Facts;
use crate::domain::order::{CloseReason, OrderEvent, OrderState, already};
use crate::domain::timeline::What;

pub(super) fn note(
    books: &mut Books,
    clerk: &Clerk,
    id: OrderId,
    text: String,
) -> Result<Change, DeskRefusal> {
    find(books, clerk, id)?;
    let noted = facts([("text", text)]);
    books.happened(id, What::Noted, noted.clone(), clerk.now);
    Ok(Change::of(id, Facts::new(), noted))
}

pub(super) fn change_address(
    books: &mut Books,
    clerk: &Clerk,
    id: OrderId,
    address: Address,
) -> Result<Change, DeskRefusal> {
    let order = find(books, clerk, id)?;
    match order.state {
        OrderState::Unpaid(_) | OrderState::Paid(_) => {}
        _ => return Err(already(&order.state).into()),
    }
    if books.shipments_of(id).next().is_some() {
        return Err(DeskRefusal::ParcelLeft);
    }
    let former = address_of(books, id).ok_or(DeskRefusal::Unknown("order"))?;
    if former == address {
        return Err(DeskRefusal::NothingChanges);
    }
    set_address(books, id, &address);
    books.happened(id, What::AddressChanged, Facts::new(), clerk.now);
    Ok(Change::of(id, address_facts(former), address_facts(address)))
}

fn address_of(books: &Books, id: OrderId) -> Option<Address> {
    let fresh = books.addresses.iter().find(|(order, ..)| *order == id);
    let fresh = fresh.map(|(_, _, address)| address.clone());
    fresh.or_else(|| books.desk.addresses.get(&id).map(|kept| kept.get().clone()))
}

/// In the row that is there, or in the one that this batch is about to write.
fn set_address(books: &mut Books, id: OrderId, to: &Address) {
    if let Some(kept) = books.desk.addresses.get_mut(&id) {
        *kept.change() = to.clone();
    }
    for (_, _, address) in books.addresses.iter_mut().filter(|(order, ..)| *order == id) {
        *address = to.clone();
    }
}

fn address_facts(address: Address) -> Facts {
    let Address { name, phone, province, city, district, detail } = address;
    facts([
        ("name", name),
        ("phone", phone),
        ("province", province),
        ("city", city),
        ("district", district),
        ("detail", detail),
    ])
}

pub(super) fn cancel(
    books: &mut Books,
    clerk: &Clerk,
    id: OrderId,
    reason: String,
) -> Result<Change, DeskRefusal> {
    let order = find(books, clerk, id)?;
    super::super::transition(books, id, OrderEvent::BeginClosing(CloseReason::Staff), clerk.now)?;
    closing::finish_if_quiet(books, id, clerk.now);
    Ok(changed_state(books, id, &order.state).because(reason))
}

/// The attempt stays one that is being closed: WeChat is asked about it until it says something,
/// and money that comes after all goes back.
pub(super) fn release(
    books: &mut Books,
    clerk: &Clerk,
    id: OrderId,
    reason: String,
) -> Result<Change, DeskRefusal> {
    let order = find(books, clerk, id)?;
    match &order.state {
        OrderState::Unpaid(Some(closing)) if closing.tries == 0 => {
            return Err(DeskRefusal::NotAskedYet);
        }
        OrderState::Unpaid(Some(_)) => {}
        OrderState::Unpaid(None) => {
            return Err(crate::domain::order::TransitionError::NotClosing.into());
        }
        _ => return Err(already(&order.state).into()),
    }
    books.happened(id, What::Released, facts([("reason", reason.clone())]), clerk.now);
    super::super::transition(books, id, OrderEvent::FinishClosing, clerk.now)?;
    Ok(changed_state(books, id, &order.state).because(reason))
}

pub(super) fn complete(
    books: &mut Books,
    clerk: &Clerk,
    id: OrderId,
    reason: String,
) -> Result<Change, DeskRefusal> {
    let order = find(books, clerk, id)?;
    super::super::transition(books, id, OrderEvent::Receive, clerk.now)?;
    Ok(changed_state(books, id, &order.state).because(reason))
}

fn changed_state(books: &Books, id: OrderId, before: &OrderState) -> Change {
    let after = books.orders.get(&id).map(Kept::get).map_or("", |order| named(&order.state));
    let state = |name: &str| facts([("state", name.to_owned())]);
    Change::of(id, state(named(before)), state(after))
}

fn named(state: &OrderState) -> &'static str {
    match state {
        OrderState::Unpaid(Some(_)) => "closing",
        other => other.as_str(),
    }
}
