//! Is it true? Nothing is touched. Steady long enough or failing often enough is believed; quiet *and* seen to be
//! good is a false alarm. Quiet alone is nothing: a BMC that hangs is quiet, too.

use super::draining::died;
use crate::decide::disks;
use crate::decide::faults::episodes_in_window;
use crate::decide::in_place::{belief, wanted};
use crate::decide::inventory::{self, Unlike};
use crate::decide::turn::Turn;
use crate::decide::witness;
use crate::model::case::{Ending, Phase};
use crate::model::note::Noted;
use crate::model::rules::{ProofCheck, Response};
use crate::model::time::age;
use crate::model::wait::Wait;

pub(super) fn turn(turn: &mut Turn) -> Result<Phase, Wait> {
    // Back here from a service in place, noout is still held.
    if !turn.case.owed.nothing()
        && let Ok(Some(died)) = died(turn)
    {
        return Ok(died);
    }
    // What vanishes while nobody is sure yet was there, too.
    inventory::keep_baseline(turn);
    match believe(turn)? {
        Some(phase) => Ok(phase),
        None => Err(unconfirmed(turn)?),
    }
}

fn believe(turn: &mut Turn) -> Result<Option<Phase>, Wait> {
    if let Some((_, note, policy)) = belief(&turn.case, turn.view)? {
        turn.note(note);
        // The case goes on as what is believed asks for, whichever alarm opened it.
        turn.case.policy = policy.name.clone();
        turn.case.in_place = wanted(policy);
        return Ok(Some(Phase::preparing(turn.view.now)));
    }
    false_alarm(turn)
}

/// Quiet for long enough, and every sensor reads good.
pub(super) fn false_alarm(turn: &mut Turn) -> Result<Option<Phase>, Wait> {
    let now = turn.view.now;
    let mut readings = Vec::new();
    for key in &turn.case.faults {
        let policy = turn.view.policy_of(&turn.case, key)?;
        if let Some(fault) = turn.view.fault(key)? {
            match fault.quiet_since() {
                Some(since) if age(now, since) >= policy.confirm.clears_after.0 => {}
                _ => return Ok(None),
            }
        }
    }
    for key in &turn.case.faults {
        let policy = turn.view.policy_of(&turn.case, key)?;
        // Back from a service in place the disk is another one: it was proved already.
        let served = !turn.case.owed.nothing();
        if policy.respond.action == Response::InPlace && !served {
            // A disk that has vanished from its bus raises no alarm any more either.
            let unproved = |wait: Wait| Wait::QuietButUnproved { why: wait.to_string() };
            let disk = disks::find(key, turn.view).map_err(unproved)?;
            disks::at_work(&disk, turn.view).map_err(unproved)?;
        }
        let Some(query) = &policy.sensor else {
            return Err(Wait::QuietButUnproved { why: format!("policy {} names no sensor", policy.name) });
        };
        match witness::reading(key, query, &turn.case, turn.view) {
            Ok(reading) if reading.good => readings.push(reading.text),
            Ok(reading) => return Err(Wait::QuietButUnproved { why: reading.text }),
            Err(wait) => return Err(Wait::QuietButUnproved { why: wait.to_string() }),
        }
    }
    // What vanished raises no alarm any more, and what is left reads good.
    if inspected(turn)? {
        inventory::compare(&turn.case, turn.view).map_err(|unlike| match unlike {
            Unlike::Unseen(wait) => Wait::QuietButUnproved { why: wait.to_string() },
            Unlike::Differs(text) => Wait::QuietButUnproved { why: text },
        })?;
    }
    turn.note(Noted::FalseAlarm { reading: readings.join(", ") });
    Ok(Some(Phase::GivingBack {
        since: now,
        why: Ending::FalseAlarm,
        clean_since: None,
        handover: None,
        course: Vec::new(),
    }))
}

/// Whether the parts were to be compared after a repair, too.
fn inspected(turn: &Turn) -> Result<bool, Wait> {
    Ok(turn.view.policy(&turn.case)?.prove.checks.contains(&ProofCheck::Inventory))
}

fn unconfirmed(turn: &Turn) -> Result<Wait, Wait> {
    let policy = turn.view.policy(&turn.case)?;
    let mut episodes = 0;
    for key in &turn.case.faults {
        if let Some(fault) = turn.view.fault(key)? {
            episodes = episodes.max(episodes_in_window(fault, policy, turn.view.now));
        }
    }
    Ok(Wait::Unconfirmed {
        episodes,
        needed: policy.confirm.or_episodes,
        steady_for: policy.confirm.steady_for,
    })
}
