//! What people asked for. Every request is answered: done, or refused with what to do instead.

use crate::model::case::{Approval, Cancelled, Case, Claim, Ending, Handover, Origin, Phase, Said};
use crate::model::ids::{CaseId, NodeName, PolicyName};
use crate::model::note::{Note, Noted};
use crate::model::owed::Owed;
use crate::model::parts::Accepted;
use crate::model::request::{Ask, Reply, Request};
use crate::model::state::{Decision, Pause};
use crate::model::wait::Wait;

use super::effects::leave_lit;
use super::faults::believed;
use super::in_place;
use super::second_person;
use super::turn::Turn;
use super::view::View;

/// The policy of drains that a person asks for.
const MANUAL: &str = "manual";

/// Applies one request to the cases at hand.
pub(super) fn apply<'a>(
    request: &Request,
    turns: &mut Vec<Turn<'a>>,
    next_case: &mut u64,
    view: &'a View<'a>,
    out: &mut Decision,
) {
    let reply = match &request.ask {
        Ask::Drain { node, reason, yes } => drain(request, node, reason, *yes, turns, next_case, view),
        Ask::Pause { reason } => {
            let pause = Pause { by: request.by.clone(), at: request.at, reason: reason.clone() };
            out.pause = Some(Some(pause));
            out.notes.push(about_us(view, Noted::Paused { by: request.by.clone(), reason: reason.clone() }));
            Ok(None)
        }
        Ask::Resume => {
            out.pause = Some(None);
            out.notes.push(about_us(view, Noted::Resumed { by: request.by.clone() }));
            Ok(None)
        }
        Ask::Approve { case, .. }
        | Ask::Abort { case, .. }
        | Ask::Done { case, .. }
        | Ask::Note { case, .. }
        | Ask::Retire { case, .. }
        | Ask::Accept { case, .. }
        | Ask::Heal { case } => match turns.iter_mut().find(|turn| turn.case.id == *case) {
            Some(turn) => on_case(request, turn).map(|()| Some(*case)),
            None => Err(format!("there is no open case {case}; pitlane cases lists them")),
        },
    };
    let reply = match reply {
        Ok(case) => Reply::Accepted { case },
        Err(why) => {
            let about = turns.iter().find(|turn| match &request.ask {
                Ask::Drain { node, .. } => &turn.case.node == node,
                Ask::Approve { case, .. }
                | Ask::Abort { case, .. }
                | Ask::Done { case, .. }
                | Ask::Note { case, .. }
                | Ask::Retire { case, .. }
                | Ask::Accept { case, .. }
                | Ask::Heal { case } => turn.case.id == *case,
                Ask::Pause { .. } | Ask::Resume => false,
            });
            let case = about.map(|turn| turn.case.id);
            let what = Noted::Refused { by: request.by.clone(), why: why.clone() };
            out.notes.push(Note { at: view.now, case, what });
            Reply::Refused { why }
        }
    };
    out.replies.insert(request.id.clone(), reply);
}

fn about_us(view: &View, what: Noted) -> Note {
    Note { at: view.now, case: None, what }
}

fn drain<'a>(
    request: &Request,
    node: &NodeName,
    reason: &str,
    yes: bool,
    turns: &mut Vec<Turn<'a>>,
    next_case: &mut u64,
    view: &'a View<'a>,
) -> Result<Option<CaseId>, String> {
    let cluster = view.cluster().map_err(|wait| format!("{wait}; try again when the cluster can be seen"))?;
    if !cluster.nodes.contains_key(node) {
        let members = crate::model::wait_text::list(cluster.nodes.keys());
        return Err(format!("{node} is not a member of the cluster; members are {members}"));
    }
    let origin = Origin::Person { by: request.by.clone(), reason: reason.to_owned(), yes };
    let opened =
        Noted::PersonOpened { node: node.clone(), by: request.by.clone(), reason: reason.to_owned() };
    let preparing = Phase::preparing(view.now);
    if let Some(turn) = turns.iter_mut().find(|turn| &turn.case.node == node) {
        let id = turn.case.id;
        return match turn.case.phase {
            Phase::Confirming { .. } | Phase::Preparing { .. } => {
                // The alarm's case goes on as the person's; its faults stay with it.
                turn.case.origin = origin;
                if matches!(turn.case.phase, Phase::Confirming { .. }) {
                    turn.case.phase = preparing;
                }
                if turn.case.in_place.take().is_some() {
                    turn.case.policy = PolicyName::from(MANUAL);
                }
                turn.note(Noted::PersonJoined { by: request.by.clone(), reason: reason.to_owned() });
                Ok(Some(id))
            }
            // A disk is being served, and a person wants the whole node.
            _ if in_place::under_way(&turn.case) => {
                turn.case.origin = origin;
                turn.case.policy = PolicyName::from(MANUAL);
                turn.note(Noted::PersonJoined { by: request.by.clone(), reason: reason.to_owned() });
                turn.note(Noted::ServedByPerson { by: request.by.clone() });
                in_place::take_the_whole_node(turn, &format!("{} wants the whole node", request.by));
                Ok(Some(id))
            }
            _ => Err(format!("case {id} has {node} already; pitlane show {id} tells how far it is")),
        };
    }
    let policy = PolicyName::from(MANUAL);
    if view.rules.policy(&policy).is_none() {
        return Err("there is no policy manual; put policies/manual.yaml back".to_owned());
    }
    let id = CaseId(*next_case);
    *next_case += 1;
    let mut turn = Turn::new(view, new_case(id, node, policy, origin, preparing, view));
    turn.note(opened);
    turns.push(turn);
    Ok(Some(id))
}

fn on_case(request: &Request, turn: &mut Turn) -> Result<(), String> {
    let (by, at) = (request.by.clone(), request.at);
    let id = turn.case.id;
    match &request.ask {
        Ask::Approve { hash, .. } => {
            second_person::approve(turn, Approval { by, at, hash: hash.clone(), second: None })
        }
        Ask::Abort { reason, .. } => abort(turn, Cancelled { by, at, reason: reason.clone() }),
        Ask::Done { note, hands_off, .. } => match &mut turn.case.phase {
            Phase::HandedOver { claim, cancelled, .. } if *hands_off == cancelled.is_some() => {
                *claim = Some(Claim { by: by.clone(), at, note: note.clone(), said: Said::Here });
                let note = note.clone();
                turn.note(if *hands_off { Noted::HandsOff { by } } else { Noted::ClaimedDone { by, note } });
                Ok(())
            }
            Phase::HandedOver { cancelled: Some(_), .. } => Err(format!(
                "case {id} was called off; pitlane done {id} --hands-off says that nobody works on it"
            )),
            Phase::HandedOver { .. } => {
                Err(format!("case {id} was not called off; pitlane done {id} without --hands-off"))
            }
            phase => Err(format!("case {id} is {}; there is nothing with a technician", phase.name())),
        },
        Ask::Note { text, .. } if text.trim().is_empty() => {
            Err(format!("a note without words tells nobody anything; pitlane note {id} TEXT"))
        }
        Ask::Note { text, .. } => {
            turn.note(Noted::Remark { by, text: text.clone() });
            Ok(())
        }
        Ask::Retire { reason, .. } => match turn.case.phase {
            Phase::HandedOver { .. }
            | Phase::Stranded { .. }
            | Phase::Proving { .. }
            | Phase::GivingBack { .. } => {
                let node = &turn.case.node;
                // HA would fill it again as soon as its maintenance ends.
                if turn.view.cluster().map_err(|wait| wait.to_string())?.online(node) {
                    return Err(format!("{node} is online; switch it off, or pitlane done {id}"));
                }
                with_a_technician(&turn.case)?;
                let why = Ending::Retired { by, reason: reason.clone() };
                turn.note(Noted::ReturnBegins { why: why.clone() });
                turn.case.phase = Phase::GivingBack {
                    since: turn.view.now,
                    why,
                    clean_since: None,
                    handover: None,
                    course: Vec::new(),
                };
                Ok(())
            }
            _ => Err(format!(
                "case {id} is {}; only a node that is out can be retired",
                turn.case.phase.name()
            )),
        },
        Ask::Accept { part, reason, .. } if part.eq_ignore_ascii_case("led") => {
            let giving_back = matches!(turn.case.phase, Phase::GivingBack { .. });
            if giving_back && leave_lit(turn, &format!("{by} says: {reason}")) {
                return Ok(());
            }
            Err(format!("case {id} waits for no LED; pitlane show {id} tells what it waits for"))
        }
        Ask::Accept { part, reason, .. } => {
            super::inventory::accept(turn, part, Accepted { by, at, reason: reason.clone() })
        }
        Ask::Heal { .. } => match (&turn.case.owed.noout, &turn.case.phase) {
            (Some((host, _)), phase) if out_of_reach(phase, turn.view, &turn.case) => {
                let host = host.clone();
                turn.case.heal = true;
                turn.note(Noted::Heals { by, host });
                Ok(())
            }
            (Some(_), phase) => {
                Err(format!("case {id} is {}; only a node that is out can be healed around", phase.name()))
            }
            (None, _) => Err(format!("case {id} holds no noout; Ceph is free to heal")),
        },
        Ask::Drain { .. } | Ask::Pause { .. } | Ask::Resume => Ok(()),
    }
}

/// The node is out, so its OSDs may be down for long: where healing makes sense.
fn out_of_reach(phase: &Phase, view: &View, case: &Case) -> bool {
    let offline = view.cluster().is_ok_and(|cluster| !cluster.online(&case.node));
    match phase {
        Phase::HandedOver { .. } | Phase::Stranded { .. } => true,
        // A disk that never comes back must not keep noout for ever.
        Phase::Proving { .. } | Phase::GivingBack { .. } => offline || osds_down(view, case),
        Phase::Confirming { .. } | Phase::Preparing { .. } => offline,
        Phase::Draining { .. } | Phase::Closed { .. } => false,
    }
}

fn osds_down(view: &View, case: &Case) -> bool {
    let down = |host| view.ceph().is_ok_and(|ceph| ceph.osds_of(host).any(|(_, osd)| !osd.up));
    case.in_place.is_some() && matches!(view.host(&case.node), Ok(Some(host)) if down(host))
}

/// Before the hand-over everything goes straight back. After it, guests wait until nobody works on the machine; and so they
/// do where a work order is out from before: a disk that was served when the whole node was wanted may still be in a hand.
/// Nothing is given up under the hands of whoever works on it: it is off, and may be closed and started at any moment.
fn with_a_technician(case: &Case) -> Result<(), String> {
    let id = case.id;
    match &case.phase {
        Phase::HandedOver { claim: None, cancelled: None, .. } if case.owed.work_order.is_some() => {
            Err(format!(
                "case {id} is with the technician; pitlane abort {id}, and pitlane done {id} --hands-off when nobody works on it"
            ))
        }
        Phase::HandedOver { claim: None, cancelled: Some(_), .. } => Err(format!(
            "case {id} is with the technician; pitlane done {id} --hands-off when nobody works on it"
        )),
        _ => Ok(()),
    }
}

/// Alarms that joined the case later and that nobody believes yet: nobody has decided about them. Each gets a case of its own
/// when this one is closed.
fn leave_the_undecided(turn: &mut Turn) -> Result<(), Wait> {
    if matches!(turn.case.phase, Phase::Confirming { .. }) {
        return Ok(());
    }
    let mut undecided = Vec::new();
    for fault in turn.view.faults()?.iter().filter(|fault| turn.case.faults.contains(&fault.key)) {
        let joined = fault.episodes.iter().all(|episode| episode.received_at > turn.case.opened_at);
        let policy = turn.view.rules.policy(&fault.policy);
        if joined && policy.is_some_and(|policy| believed(fault, policy, turn.view.now).is_none()) {
            undecided.push(fault.key.clone());
        }
    }
    turn.case.faults.retain(|key| !undecided.contains(key));
    Ok(())
}

fn abort(turn: &mut Turn, cancel: Cancelled) -> Result<(), String> {
    let id = turn.case.id;
    // Where alarms cannot be seen, what is known of the case stays with it.
    let _ = leave_the_undecided(turn);
    let ending = Ending::Aborted { by: cancel.by.clone(), reason: cancel.reason.clone() };
    let order_is_out = turn.case.owed.work_order.is_some();
    match &mut turn.case.phase {
        Phase::Confirming { .. } | Phase::Preparing { .. } | Phase::Draining { .. } if order_is_out => {
            let (by, reason) = (cancel.by.clone(), cancel.reason.clone());
            turn.note(Noted::CalledOffHalfway { by, reason });
            turn.case.in_place = None;
            turn.case.phase = Phase::HandedOver {
                since: turn.view.now,
                handover: Handover::Halfway,
                claim: None,
                cancelled: Some(cancel),
            };
            Ok(())
        }
        Phase::Confirming { .. } | Phase::Preparing { .. } | Phase::Draining { .. } => {
            turn.note(Noted::ReturnBegins { why: ending.clone() });
            turn.case.phase = Phase::GivingBack {
                since: turn.view.now,
                why: ending,
                clean_since: None,
                handover: None,
                course: Vec::new(),
            };
            Ok(())
        }
        Phase::Proving { handover, cancelled, .. } if !handover.works_on() => {
            *cancelled = Some(cancel.clone());
            let Cancelled { by, reason, .. } = cancel;
            turn.note(Noted::CalledOffProving { by, reason });
            Ok(())
        }
        Phase::HandedOver { handover, cancelled, .. } | Phase::Proving { handover, cancelled, .. } => {
            *cancelled = Some(cancel.clone());
            let Cancelled { by, reason, .. } = cancel;
            let in_place = matches!(handover, Handover::InPlace { .. });
            turn.note(match in_place {
                true => Noted::CalledOffInPlace { by, reason },
                false => Noted::Cancelled { by, reason },
            });
            Ok(())
        }
        Phase::Stranded { .. } => {
            Err(format!("the node of case {id} died; pitlane retire {id}, or bring it back"))
        }
        Phase::GivingBack { .. } | Phase::Closed { .. } => {
            Err(format!("case {id} is giving everything back already"))
        }
    }
}

/// A case as it begins.
pub(super) fn new_case(
    id: CaseId,
    node: &NodeName,
    policy: PolicyName,
    origin: Origin,
    phase: Phase,
    view: &View,
) -> Case {
    Case {
        id,
        node: node.clone(),
        policy,
        origin,
        opened_at: view.now,
        faults: Default::default(),
        phase,
        owed: Owed::default(),
        wait: None,
        overran: false,
        late: false,
        heal: false,
        in_place: None,
        took: None,
        parts: Default::default(),
        revision: 0,
    }
}

#[cfg(test)]
mod tests;
