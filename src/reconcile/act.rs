//! Taking the steps that were decided and written down. An effect that fails is no error of the turn: the next look
//! shows what is missing, and the ledger when to try again.

use std::collections::BTreeSet;
use std::time::Duration;

use tracing::{Instrument, info, info_span, warn};

use crate::model::seen::Trouble;
use crate::model::step::{Action, Outcome, Step};
use crate::ports::{EndSilence, Migration};

use super::{World, tenure};

/// Longer than the longest deadline of any adapter (Proxmox's own proxy gives up after 30 s, twice).
const EFFECT_MAX: Duration = Duration::from_secs(75);

/// Takes the steps, one after the other, in their order.
pub async fn act(world: &World, steps: &[Step]) {
    for step in steps {
        let span = info_span!("step", case.id = %step.case, step.id = %step.id);
        let outcome = take(world, step).instrument(span).await;
        world.meter.step(&step.action, &outcome);
        if let Outcome::Failed { trouble } = &outcome {
            warn!(case.id = %step.case, step.id = %step.id, "{} failed: {trouble}", step.id);
        }
        if let Err(trouble) = world.store.record(&step.id, world.clock.now(), &outcome).await {
            // It stays "owed": the next turn looks whether it happened.
            warn!(step.id = %step.id, "what became of {} could not be written down: {trouble}", step.id);
        }
    }
}

/// Ends silences of ours that no case owes. What fails is tried again when they are next seen.
pub async fn end_leaked(world: &World, leaked: &BTreeSet<String>) {
    let Some(alarms) = &world.alarms else { return };
    for id in leaked {
        if super::look::kill_file(world).await || !tenure::good(&*world.tenure) {
            return;
        }
        let which = EndSilence::Id(id.clone());
        match tenure::within(&*world.tenure, EFFECT_MAX, alarms.end_silence(&which)).await {
            Ok(Ok(())) => info!(silence.id = %id, "silence {id} of ours was owed by no case; it is ended"),
            Ok(Err(trouble)) => {
                warn!(silence.id = %id, "silence {id}, which no case owes, does not end: {trouble}")
            }
            Err(late) => warn!(silence.id = %id, "silence {id}, which no case owes, does not end: {late}"),
        }
    }
}

/// A step that outlives its turn, or its instance's right to act, would undo the work of the living: it is not begun late.
async fn take(world: &World, step: &Step) -> Outcome {
    // Looked at before every effect: the kill switch takes effect before the next one.
    let late = world.clock.now() > step.not_after;
    if late || super::look::kill_file(world).await || !tenure::good(&*world.tenure) {
        return Outcome::Expired;
    }
    match tenure::within(&*world.tenure, EFFECT_MAX, effect(world, step)).await {
        Ok(Ok(ticket)) => Outcome::Done { ticket },
        Ok(Err(trouble)) | Err(trouble) => Outcome::Failed { trouble },
    }
}

async fn effect(world: &World, step: &Step) -> Result<Option<crate::model::ids::TicketRef>, Trouble> {
    let no_hand = || Trouble::NotConfigured("the root helper is not configured".to_owned());
    let no_alertmanager = || Trouble::NotConfigured("no Alertmanager is configured to be asked".to_owned());
    let avoid = &step.node;
    match &step.action {
        Action::FailMgr { mgr } => match (&world.ceph, &world.hand) {
            (Some(ceph), _) => ceph.fail_mgr(mgr).await?,
            (None, Some(hand)) => hand.fail_mgr(mgr, avoid).await?,
            (None, None) => return Err(no_hand()),
        },
        Action::Maintenance { node, to } => {
            world.hand.as_ref().ok_or_else(no_hand)?.maintenance(node, *to).await?;
        }
        Action::Noout { host, to } => match (&world.ceph, &world.hand) {
            (Some(ceph), _) => ceph.noout(host, *to).await?,
            (None, Some(hand)) => hand.noout(host, *to, avoid).await?,
            (None, None) => return Err(no_hand()),
        },
        Action::Migrate { guest, kind, from, to, how, .. } => {
            let order = Migration {
                guest: *guest,
                kind: *kind,
                from: from.clone(),
                to: to.clone(),
                how: *how,
                avoid: avoid.clone(),
            };
            world.pve.migrate(&order).await?;
        }
        Action::CancelTask { upid, on, .. } => world.pve.cancel(on, upid, avoid).await?,
        Action::Start { guest, kind, on } => world.pve.start(*guest, *kind, on, avoid).await?,
        Action::Shutdown { guest, kind, on } => world.pve.shutdown(*guest, *kind, on, avoid).await?,
        Action::Locate { node, target, to } => match &world.bmc {
            Some(bmc) => bmc.locate(node, target, *to).await?,
            None => return Err(Trouble::NotConfigured("no BMC is configured".to_owned())),
        },
        Action::Silence { silence, until } => {
            world.alarms.as_ref().ok_or_else(no_alertmanager)?.silence(silence, *until).await?;
        }
        Action::EndSilence { silence } => {
            let which = EndSilence::Of(silence.mark.clone());
            world.alarms.as_ref().ok_or_else(no_alertmanager)?.end_silence(&which).await?;
        }
        Action::OpenWorkOrder { order } => {
            return world.tickets.open(&step.id, step.case, order).await.map(Some);
        }
        Action::ReopenWorkOrder { text, .. } => world.tickets.reopen(&step.id, step.case, text).await?,
        Action::Comment { text } => world.tickets.comment(&step.id, step.case, text).await?,
        Action::CloseWorkOrder { text } => world.tickets.close(&step.id, step.case, text).await?,
    }
    Ok(None)
}
