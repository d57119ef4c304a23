//! Misfortune: does to the shop, to WeChat and to time what the plan says.

use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::model::Breach;
use super::plan::{ChaosPlan, ChaosStep, Forgery, Pick, Role};
use super::shop::Ending;
use super::{SoakError, World, goods, staff};
use crate::actors::Perish;
use crate::sandbox::{Fault, Forge, Notify, SettingsChange, TokenAction};
use crate::store::audit::audit;
use crate::store::seed::seed_url;

/// How long time waits for what is due at WeChat.
const DUE: Duration = Duration::from_secs(10);

/// Does step after step until the chapter is over. `progress` has a permit for each step of a
/// buyer, and is closed at the end.
pub(super) async fn run(
    world: Rc<World>,
    progress: Rc<Semaphore>,
    plan: ChaosPlan,
) -> Result<(), SoakError> {
    let mut held: Option<String> = None;
    for (gap, step) in plan {
        match progress.acquire_many(gap).await {
            Ok(passed) => passed.forget(),
            Err(_) => break,
        }
        if let Some(path) = held.take() {
            world.shop.sandbox.release(&path);
        }
        world.count(|counts| counts.misfortunes += 1);
        let sku = match step {
            ChaosStep::SetStock { sku, .. } => Some(sku),
            _ => None,
        };
        world.model.borrow_mut().note_all(sku, format!("--- {step:?}"));
        if let ChaosStep::Hold(fault) = &step {
            held = Some(fault.path.clone());
        }
        happens(&world, step).await?;
    }
    Ok(())
}

async fn happens(world: &World, step: ChaosStep) -> Result<(), SoakError> {
    let sandbox = &world.shop.sandbox;
    match step {
        ChaosStep::Advance { seconds } => {
            world.shop.clock.advance(Duration::from_secs(seconds));
            let _late = tokio::time::timeout(DUE, sandbox.run_due()).await;
        }
        ChaosStep::Fault(fault) | ChaosStep::Hold(fault) => order(world, fault),
        ChaosStep::Storm { pick, times, forgery } => storm(world, pick, times, forgery).await?,
        ChaosStep::Perish(role) => perish(world, role),
        ChaosStep::Restart => restart(world, Ending::Orderly).await?,
        ChaosStep::Crash => restart(world, Ending::Crash).await?,
        ChaosStep::SetStock { sku, stock } => set_stock(world, sku, stock).await?,
        ChaosStep::Balance(balance) => {
            let change = SettingsChange { balance_fen: Some(balance), ..SettingsChange::default() };
            sandbox.settings(change);
        }
        ChaosStep::Staff(step) => staff::works(world, step).await?,
        ChaosStep::RevokeToken => sandbox.token(None, TokenAction::Revoke)?,
        ChaosStep::ClearFaults => sandbox.clear_faults(),
        ChaosStep::Audit => look(world).await?,
    }
    Ok(())
}

fn order(world: &World, fault: Fault) {
    // More faults than WeChat can remember are as good as none.
    if world.shop.sandbox.fault(fault).is_ok() {
        world.count(|counts| counts.faults += 1);
    }
}

fn forge(forgery: Forgery) -> Forge {
    match forgery {
        Forgery::Nothing => Forge::default(),
        Forgery::BadSign => Forge { bad_sign: true, ..Forge::default() },
        Forgery::Attach => Forge { attach: Some("9.forged".to_owned()), ..Forge::default() },
        Forgery::Merchant => Forge { mch_id: Some("1900000099".to_owned()), ..Forge::default() },
    }
}

/// All notifications at once; a forged one must never be acknowledged.
async fn storm(world: &World, pick: Pick, times: u32, forgery: Forgery) -> Result<(), SoakError> {
    let target = {
        let model = world.model.borrow();
        let paid = model.all().iter().rev().filter_map(|(key, wanted)| {
            let number = wanted.numbers.iter().next_back()?;
            let transaction = wanted.paid.last()?;
            Some((key.clone(), number.clone(), transaction.clone()))
        });
        paid.take(pick + 1).last()
    };
    let Some((key, number, transaction)) = target else { return Ok(()) };
    let notify = Notify {
        transaction_id: Some(transaction),
        ..Notify::of(&number).times(times).together().forged(forge(forgery))
    };
    let answers = world.shop.sandbox.notify(&notify).await?;
    world.count(|counts| counts.notifications += u64::from(times));
    let acknowledged = answers.iter().filter(|answer| answer.acknowledges()).count();
    let text = format!("{times} notifications, {forgery:?}: {acknowledged} acknowledged");
    world.model.borrow_mut().note(&key, text.clone());
    if forgery != Forgery::Nothing && acknowledged > 0 {
        return Err(Breach::of_order(&key, text).into());
    }
    Ok(())
}

fn perish(world: &World, role: Role) {
    let Some(parts) = world.shop.parts() else { return };
    for shop in parts.directory.shops() {
        match role {
            Role::Goods => shop.goods.do_send(Perish),
            Role::Order => shop.order.do_send(Perish),
            Role::Payment => shop.payment.do_send(Perish),
            Role::Messenger => shop.messenger.do_send(Perish),
        }
    }
    world.count(|counts| counts.deaths += 1);
}

async fn restart(world: &World, ending: Ending) -> Result<(), SoakError> {
    world.shop.end(ending).await?;
    world.shop.start().await?;
    world.count(|counts| match ending {
        Ending::Orderly => counts.restarts += 1,
        Ending::Crash => counts.crashes += 1,
    });
    Ok(())
}

/// Staff count the shelf and write down what is there.
async fn set_stock(world: &World, sku: usize, stock: i64) -> Result<(), SoakError> {
    let file = goods::file(&[(sku, stock)])?;
    let now = world.shop.clock.now();
    seed_url(world.shop.database_url(), world.wxapp, &file, now).await?;
    world.count(|counts| counts.adjustments += 1);
    Ok(())
}

/// The audit, in the middle of everything.
pub(super) async fn look(world: &World) -> Result<(), SoakError> {
    let Some(parts) = world.shop.parts() else { return Ok(()) };
    let report = audit(&parts.readers, world.shop.clock.now()).await?;
    world.count(|counts| counts.audits += 1);
    match report.breaches.first() {
        None => Ok(()),
        Some(breach) => Err(world.concerning(breach.to_string()).into()),
    }
}
