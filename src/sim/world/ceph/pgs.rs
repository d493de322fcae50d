//! Placement groups: where they lie, what state they are in, and what stopping some OSDs would do to them.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::ids::OsdId;
use crate::model::observed::OkToStop;
use crate::model::time::{Time, after, age};

use super::{Ceph, Osd, Pg};

/// States follow a lost OSD by some seconds.
const SHOWN_AFTER: u64 = 6;
/// After a return: everything looks clean for a moment, then it peers, then it is clean.
const PEERING_FROM: u64 = 1;
const PEERING_UNTIL: u64 = 4;
/// Copies of little data are made in that time.
const RECOVERY_SECS: u64 = 30;

impl Ceph {
    /// Spreads each pool's PGs: the highest hash first (rendezvous), one per failure domain.
    pub(crate) fn place_pgs(&mut self, pgs_per_pool: usize) {
        for at in 0..self.pools.len() {
            let pool = &self.pools[at].pool;
            let (size, by_host) = (pool.size as usize, pool.failure_domain != "osd");
            let all: BTreeSet<OsdId> = self.osds.keys().copied().collect();
            let pgs = (0..pgs_per_pool)
                .map(|pg| {
                    let home = self.pick(at, pg, size, by_host, &all);
                    Pg { acting: home.clone(), home, moving_until: Time::MIN }
                })
                .collect();
            self.pools[at].pgs = pgs;
        }
    }

    fn pick(&self, pool: usize, pg: usize, size: usize, by_host: bool, from: &BTreeSet<OsdId>) -> Vec<OsdId> {
        let mut order: Vec<(u64, OsdId)> = from
            .iter()
            .map(|id| {
                let seed = (pool as u64) << 40 | (pg as u64) << 20 | u64::from(id.0);
                (crate::sim::world::Chance::new(seed).draw(), *id)
            })
            .collect();
        order.sort_unstable();
        let mut hosts = BTreeSet::new();
        let mut chosen = Vec::new();
        for (_, id) in order {
            let fresh = self.osds.get(&id).is_some_and(|osd| hosts.insert(&osd.host));
            if chosen.len() < size && (fresh || !by_host) {
                chosen.push(id);
            }
        }
        chosen
    }

    /// Some OSDs went out, or came in again: their PGs move, if there is room.
    pub(super) fn remap(&mut self, now: Time) {
        let usable: BTreeSet<OsdId> = self.osds.iter().filter(|(_, o)| o.r#in).map(|(id, _)| *id).collect();
        for at in 0..self.pools.len() {
            let pool = &self.pools[at].pool;
            let (size, by_host) = (pool.size as usize, pool.failure_domain != "osd");
            for pg in 0..self.pools[at].pgs.len() {
                let picked = self.pick(at, pg, size, by_host, &usable);
                let place = &mut self.pools[at].pgs[pg];
                if picked.len() == size && picked != place.acting {
                    place.acting = picked;
                    place.moving_until = after(now, std::time::Duration::from_secs(RECOVERY_SECS));
                }
            }
        }
    }

    /// A new OSD takes an old one's place: its copies have to be made.
    pub(crate) fn rename(&mut self, old: OsdId, new: OsdId, now: Time) {
        for pg in self.pools.iter_mut().flat_map(|pool| &mut pool.pgs) {
            let mut moved = false;
            for id in pg.home.iter_mut().chain(&mut pg.acting).filter(|id| **id == old) {
                *id = new;
                moved = true;
            }
            if moved {
                pg.moving_until = after(now, std::time::Duration::from_secs(RECOVERY_SECS));
            }
        }
        self.changed = now;
    }

    /// As the manager sees them: it follows the map by some seconds.
    pub(super) fn pg_states(&self, now: Time) -> BTreeMap<String, u64> {
        let mut states: BTreeMap<&str, u64> = BTreeMap::new();
        for placed in &self.pools {
            for pg in &placed.pgs {
                let state = self.pg_state(pg, placed.pool.min_size as usize, now);
                *states.entry(state).or_default() += 1;
            }
        }
        states.into_iter().map(|(state, n)| (state.to_owned(), n)).collect()
    }

    fn pg_state(&self, pg: &Pg, min_size: usize, now: Time) -> &'static str {
        let osds: Vec<&Osd> = pg.acting.iter().filter_map(|id| self.osds.get(id)).collect();
        let secs = |osd: &&&Osd| age(now, osd.since).as_secs();
        let serves = |osd: &&Osd| osd.up || age(now, osd.since).as_secs() < SHOWN_AFTER;
        let alive = osds.iter().filter(|o| serves(o)).count();
        if alive == 0 {
            return "down";
        }
        if alive < min_size {
            return "undersized+degraded+peered";
        }
        if alive < osds.len() {
            return "active+undersized+degraded";
        }
        // `since` is also the world's beginning: nothing returned then.
        let returned = osds.iter().filter(|o| o.up && o.since > Time::UNIX_EPOCH).map(|o| secs(&o)).min();
        match returned {
            Some(secs) if (PEERING_FROM..PEERING_UNTIL).contains(&secs) => "peering",
            _ if now < pg.moving_until => "active+remapped+backfilling",
            _ => "active+clean",
        }
    }

    /// The manager's answer for a set: availability only. OSDs that do not exist, or are down already, are fine by it.
    pub fn stoppable(&self, asked: &BTreeSet<OsdId>) -> OkToStop {
        let works = |id: &OsdId| self.osds.get(id).is_some_and(|o| o.up);
        let (mut ok_pgs, mut bad_pgs) = (0, 0);
        for placed in &self.pools {
            for pg in &placed.pgs {
                if !pg.acting.iter().any(|id| asked.contains(id) && works(id)) {
                    continue;
                }
                let left = pg.acting.iter().filter(|id| works(id) && !asked.contains(id)).count();
                if left >= placed.pool.min_size as usize { ok_pgs += 1 } else { bad_pgs += 1 }
            }
        }
        OkToStop { asked: asked.clone(), ok: bad_pgs == 0, ok_pgs, bad_pgs }
    }
}
