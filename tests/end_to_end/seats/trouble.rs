//! What happens to the instances, and when: drawn by seed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use tokio::task::JoinSet;

use super::LEASE;
use super::house::{CLOSED, House};
use super::watch::Tally;
use super::ways::{CABLES, Cable};

const LOOK_EVERY: Duration = Duration::from_millis(50);

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// SIGKILL; its machine stays in the network.
    Kill,
    /// The machine is gone from one moment to the next: nobody is told.
    Power,
    /// SIGSTOP, longer than the lease.
    Stop,
    CutFrom(&'static [Cable]),
}

/// To whom.
#[derive(Clone, Copy, Debug)]
enum Whom {
    Leader,
    /// Of those that wait.
    Other,
}

#[derive(Clone, Copy, Debug)]
struct Trouble {
    kind: Kind,
    whom: Whom,
    /// Not before the maintenance has come so far, and a while.
    at: u8,
    after: Duration,
    lasts: Duration,
}

pub struct Troubles(Vec<Trouble>);

impl fmt::Display for Troubles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|t| {
            write!(f, "[{:?} of {:?} in {} after {:?} for {:?}] ", t.kind, t.whom, t.at, t.after, t.lasts)
        })
    }
}

impl Troubles {
    pub fn draw(dice: &mut StdRng) -> Self {
        let mut all: Vec<Trouble> = (0..dice.random_range(2..=4)).map(|_| Trouble::draw(dice)).collect();
        all.sort_by_key(|trouble| trouble.at);
        Self(all)
    }

    /// All of them, some beside each other. What cannot happen because nobody is left to whom it could waits for that.
    pub async fn happen(self, house: Arc<House>, mut dice: StdRng) -> Tally {
        let (mut tally, mut running) = (Tally::default(), JoinSet::new());
        for trouble in self.0 {
            while house.far() < trouble.at {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            tokio::time::sleep(trouble.after).await;
            let victim = loop {
                if house.far() == CLOSED {
                    break None;
                }
                match house.pick(matches!(trouble.whom, Whom::Leader), &mut dice) {
                    Some(victim) => break Some(victim),
                    None => tokio::time::sleep(LOOK_EVERY).await,
                }
            };
            let Some(victim) = victim else { break };
            tally = tally + trouble.counted();
            running.spawn(happens(trouble, house.clone(), victim));
            // The next one may come while this one lasts; but not before it has begun.
            tokio::time::sleep(LOOK_EVERY).await;
        }
        while let Some(over) = running.join_next().await {
            over.expect("a hardship comes to its end");
        }
        tally
    }
}

impl Trouble {
    fn draw(dice: &mut StdRng) -> Self {
        const CUTS: [&[Cable]; 4] =
            [&[Cable::Database], &[Cable::Database], &[Cable::Cluster], &[Cable::Database, Cable::Cluster]];
        let millis =
            |dice: &mut StdRng, from: u64, to: u64| Duration::from_millis(dice.random_range(from..to));
        let (kind, lasts) = match dice.random_range(0..10) {
            0..=2 => (Kind::Kill, millis(dice, 0, 9_000)),
            3 => (Kind::Power, millis(dice, 0, 9_000)),
            4..=5 => (Kind::Stop, LEASE + millis(dice, 500, 6_000)),
            _ => (Kind::CutFrom(CUTS[dice.random_range(0..CUTS.len())]), millis(dice, 1_000, 14_000)),
        };
        let whom = if dice.random_ratio(2, 3) { Whom::Leader } else { Whom::Other };
        Self { kind, whom, at: dice.random_range(0..CLOSED), after: millis(dice, 0, 4_000), lasts }
    }

    fn counted(&self) -> Tally {
        let mut tally = Tally::default();
        match self.kind {
            Kind::Kill => tally.kills = 1,
            Kind::Power => (tally.kills, tally.powers) = (1, 1),
            Kind::Stop => tally.stops = 1,
            Kind::CutFrom([Cable::Database]) => tally.from_database = 1,
            Kind::CutFrom([Cable::Cluster]) => tally.from_cluster = 1,
            Kind::CutFrom(_) => tally.from_both = 1,
        }
        tally
    }
}

async fn happens(trouble: Trouble, house: Arc<House>, victim: usize) {
    let instance = &house.instances[victim];
    match trouble.kind {
        Kind::Kill => {
            instance.kill().await;
            tokio::time::sleep(trouble.lasts).await;
            instance.start();
        }
        Kind::Power => {
            instance.machine.cut(&CABLES);
            instance.kill().await;
            tokio::time::sleep(trouble.lasts).await;
            instance.machine.heal(&CABLES);
            instance.start();
        }
        Kind::Stop => {
            instance.stop(true);
            tokio::time::sleep(trouble.lasts).await;
            instance.stop(false);
        }
        Kind::CutFrom(cables) => {
            instance.cut_off(cables.contains(&Cable::Database));
            instance.machine.cut(cables);
            tokio::time::sleep(trouble.lasts).await;
            instance.machine.heal(cables);
            instance.cut_off(false);
        }
    }
    instance.is_well();
}
