//! If the node, or what lies under its guests, were lost now: what could be brought back? A guest without a good backup
//! elsewhere is a warning before the drain, and a no where the configuration asks for one.

use std::collections::BTreeMap;

use super::{Found, Question};
use crate::decide::recovery::cards;
use crate::model::ids::GuestId;
use crate::model::recovery::{Card, LastBackup, ReplicaState};
use crate::model::rules::Required;
use crate::model::verdict::{Check, CheckName};
use crate::model::wait::{BackupLack, ReplicationIllness, Wait};
use crate::model::wait_text::count;

/// The answer, and the cards that it was read from.
pub(super) fn check(q: &Question) -> (Check, Vec<Card>) {
    let cards = cards(q.node, q.view);
    let found = cards.as_ref().map_err(Wait::clone).map(|cards| find(q, cards));
    let source = q.view.seen.surveys.get(q.node).map(|survey| &survey.stores);
    let check = match source {
        Some(stores) => q.answer(CheckName::Recoverability, stores, found),
        None => q.answer(CheckName::Recoverability, &q.view.seen.pve.first, found),
    };
    (check, cards.unwrap_or_default())
}

fn find(q: &Question, cards: &[Card]) -> Found {
    let good = cards.iter().filter(|card| matches!(card.backup, LastBackup::Good { .. })).count();
    let replicated = cards.iter().filter(|card| !card.replicas.is_empty()).count();
    let mut found = Found::new(format!(
        "{good} of {} with a good backup elsewhere, {replicated} replicated",
        count(cards.len(), "guest")
    ));
    let mut lacking: BTreeMap<BackupLack, Vec<GuestId>> = BTreeMap::new();
    let mut ill: BTreeMap<ReplicationIllness, Vec<GuestId>> = BTreeMap::new();
    let (mut unseen, mut replicas_unseen) = (None, None);
    for card in cards {
        let lack = match &card.backup {
            LastBackup::Good { .. } => None,
            LastBackup::Old { .. } => Some(BackupLack::Old),
            LastBackup::AtRisk { .. } => Some(BackupLack::AtRisk),
            LastBackup::Broken { .. } => Some(BackupLack::Broken),
            LastBackup::Missing => Some(BackupLack::Missing),
            LastBackup::Unseen { why } => {
                unseen.get_or_insert(why);
                None
            }
        };
        if let Some(lack) = lack {
            lacking.entry(lack).or_default().push(card.guest);
        }
        replicas_unseen = replicas_unseen.or(card.replicas_unseen.as_ref());
        let illness = card.replicas.iter().find_map(|replica| match replica.state {
            ReplicaState::Current => None,
            ReplicaState::Failing { .. } => Some(ReplicationIllness::Failing),
            ReplicaState::Late => Some(ReplicationIllness::Late),
            ReplicaState::Disabled | ReplicaState::Never => Some(ReplicationIllness::Off),
        });
        if let Some(illness) = illness {
            ill.entry(illness).or_default().push(card.guest);
        }
    }
    let required = q.view.rules.limits.recovery.required == Required::Yes;
    let mut tell = |wait: Wait| if required { found.block(wait) } else { found.warn(wait) };
    if let Some(why) = unseen {
        tell(Wait::BackupsUnseen { why: why.clone() });
    }
    for (lack, guests) in lacking {
        tell(Wait::NoGoodBackup { guests, lack });
    }
    // A replica is no backup: it follows every mistake. So it never blocks, and never stands in for one.
    if let Some(why) = replicas_unseen {
        found.warn(Wait::ReplicationUnseen { why: why.clone() });
    }
    for (ill, guests) in ill {
        found.warn(Wait::ReplicationIll { guests, ill });
    }
    found
}
