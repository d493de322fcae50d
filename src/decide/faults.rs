//! From alerts to faults, and from faults to belief. Faults are not stored: they follow from the episodes, the
//! members and the policies, so there is nothing to keep in step.

use std::collections::BTreeMap;

use crate::model::alert::Episode;
use crate::model::fault::{Fault, FaultKey, Misfit, Unplaced};
use crate::model::ids::PolicyName;
use crate::model::matcher::Labels;
use crate::model::note::Noted;
use crate::model::observed::Observed;
use crate::model::plain::plain;
use crate::model::rules::{Policy, Rules};
use crate::model::seen::{Blind, Seen};
use crate::model::state::Past;
use crate::model::time::{Period, Time, age};
use crate::model::wait::{Source, Wait};

use super::resolve::{self, Cluster};

/// What the alerts come to.
pub struct Derived {
    /// What is broken.
    pub faults: Vec<Fault>,
    /// The same of every class that may be a room or a feed, with what closed cases knew of.
    pub all_told: Vec<Fault>,
    /// Alerts that we could not place: the first of them, and how many more by kind.
    pub unplaced: Vec<Unplaced>,
    pub unplaced_more: BTreeMap<String, usize>,
    /// Why there may be more.
    pub unseen: Option<Wait>,
}

/// So many alerts that lead nowhere are told one by one. A rule that is wrong makes a hundred thousand of them.
const UNPLACED_MAX: usize = 1000;

/// What is broken, and which alerts we could not place.
///
/// The wait: an alert that fires names nothing but a Ceph daemon, and Ceph cannot be seen. Whose fault it is is unknown,
/// and an unknown fault must not look like none.
pub fn derive(seen: &Observed, cluster: Cluster, rules: &Rules, past: &[Past]) -> Derived {
    let mut unseen = None;
    let (mut faults, mut all_told) = (Gathered::default(), Gathered::default());
    let (mut unplaced, mut unplaced_more) = (Vec::new(), BTreeMap::new());
    for episode in &seen.episodes {
        match place(&episode.labels, cluster, rules) {
            Ok((key, policy)) => {
                if policy.correlate.is_some() {
                    all_told.add(&key, policy, episode);
                }
                if !dealt_with(&key, episode, past) {
                    faults.add(&key, policy, episode);
                }
            }
            Err(Misfit::CephUnseen { .. }) if episode.fires() => {
                let why = match &seen.ceph {
                    Seen::Unknown { why } => Blind::Unknown(why.clone()),
                    Seen::Known { .. } | Seen::NotAsked => Blind::NotAsked,
                };
                unseen = Some(Wait::CannotSee { source: Source::Ceph, why });
            }
            Err(why) if episode.fires() && unplaced.len() >= UNPLACED_MAX => {
                *unplaced_more.entry(why.kind().to_owned()).or_default() += 1;
            }
            Err(why) if episode.fires() => {
                unplaced.push(Unplaced { fingerprint: episode.fingerprint.clone(), why });
            }
            Err(_) => {}
        }
    }
    Derived { faults: faults.sorted(), all_told: all_told.sorted(), unplaced, unplaced_more, unseen }
}

/// Episodes by the fault that they are witnesses of.
#[derive(Default)]
struct Gathered(BTreeMap<FaultKey, (PolicyName, Vec<Episode>)>);

impl Gathered {
    fn add(&mut self, key: &FaultKey, policy: &Policy, episode: &Episode) {
        let new = || (policy.name.clone(), Vec::new());
        self.0.entry(key.clone()).or_insert_with(new).1.push(episode.clone());
    }

    fn sorted(self) -> Vec<Fault> {
        let faults = self.0.into_iter().map(|(key, (policy, mut episodes))| {
            episodes.sort_by_key(|episode| episode.starts_at);
            Fault { key, policy, episodes }
        });
        faults.collect()
    }
}

/// Which fault an alert with these labels is a witness of.
///
/// # Errors
/// No policy wants it, or it names no single member.
pub fn place<'a>(
    labels: &Labels,
    cluster: Cluster,
    rules: &'a Rules,
) -> Result<(FaultKey, &'a Policy), Misfit> {
    let policy = rules.policies.iter().find(|policy| policy.wants(labels)).ok_or(Misfit::NoPolicy)?;
    let node = resolve::node(labels, rules, cluster)?;
    let part = policy.component_labels.iter().find_map(|label| labels.get(label)).unwrap_or_default();
    // Some exporters write `/dev/sdb`, others `sdb`: one disk.
    let component = plain(part.strip_prefix("/dev/").unwrap_or(part));
    Ok((FaultKey { node, class: policy.class.clone(), component }, policy))
}

/// An episode that a closed case knew of belongs to that case: it opens no new one, even if it still fires after an abort.
fn dealt_with(key: &FaultKey, episode: &Episode, past: &[Past]) -> bool {
    past.iter().any(|case| case.faults.contains(key) && episode.received_at <= case.closed_at)
}

/// Why a fault is believed, if it is: steady long enough, or failed often enough. Coming and going counts.
pub fn believed(fault: &Fault, policy: &Policy, now: Time) -> Option<Noted> {
    let confirm = &policy.confirm;
    if let Some(since) = fault.firing_since(now)
        && age(now, since) >= confirm.steady_for.0
    {
        return Some(Noted::Steady { fault: fault.key.clone(), spell: whole_seconds(age(now, since)) });
    }
    let episodes = episodes_in_window(fault, policy, now);
    (episodes >= confirm.or_episodes).then(|| Noted::Flapping {
        fault: fault.key.clone(),
        episodes,
        within: confirm.within,
    })
}

/// Failures within the policy's window, as far as Alertmanager showed them.
pub fn episodes_in_window(fault: &Fault, policy: &Policy, now: Time) -> u32 {
    let window = jiff::SignedDuration::try_from(policy.confirm.within.0).unwrap_or(jiff::SignedDuration::MAX);
    let since = now.saturating_sub(window).unwrap_or(Time::MIN);
    u32::try_from(fault.episodes_since(since)).unwrap_or(u32::MAX)
}

/// For telling: nobody wants to read milliseconds.
pub fn whole_seconds(span: std::time::Duration) -> Period {
    Period::secs(span.as_secs())
}
