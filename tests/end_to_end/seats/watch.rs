//! What is seen from outside: for how long nobody led although somebody could have, by the database's own rows.

use std::fmt;
use std::ops::Add;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_postgres::NoTls;

use super::LEASE;
use super::house::House;
use crate::postgres::Database;

const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A look reads one row that nobody can lock. When it takes so long, the machine has no time for anybody: nothing is measured then,
/// and it is counted.
const GASP: Duration = Duration::from_secs(1);

/// The process of a holder stands between its host and its chance.
const HOLDER: &str = "SELECT holder FROM leases WHERE cluster = $1 AND until > clock_timestamp()";

/// The longest time for which no instance led that is alive, awake and reaches the database, while there was such a one. It leads when
/// the database says so; a lease of one that is dead, stopped or cut off is nobody's. With the number of gasps.
pub async fn leaderless(house: Arc<House>, database: Arc<Database>) -> (Duration, u32) {
    let (client, talk) = tokio_postgres::connect(database.url(), NoTls).await.expect("the lab answers");
    let talk = tokio::spawn(talk);
    let (mut since, mut longest, mut gasps) = (None::<Instant>, Duration::ZERO, 0);
    while !house.is_finished() {
        let began = Instant::now();
        tokio::time::sleep(LOOK_EVERY).await;
        // The tables are made by whichever instance is the first.
        let row = client.query_opt(HOLDER, &[&house.name.0]).await.ok().flatten();
        let holder = row.and_then(|row| {
            let holder: String = row.get(0);
            holder.rsplit('-').nth(1)?.parse::<u32>().ok()
        });
        let fit = house.fit();
        house.leads(holder);
        if fit.is_empty() || holder.is_some_and(|pid| fit.contains(&pid)) {
            since = None;
        } else if began.elapsed() > LOOK_EVERY + GASP {
            (since, gasps) = (None, gasps + 1);
        } else {
            longest = longest.max(since.get_or_insert_with(Instant::now).elapsed());
        }
    }
    talk.abort();
    (longest, gasps)
}

/// What happened, over all seeds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub seeds: u32,
    pub kills: u32,
    /// Kills of a machine whose cables were cut before: nobody was told.
    pub powers: u32,
    pub stops: u32,
    pub from_database: u32,
    pub from_cluster: u32,
    pub from_both: u32,
    pub leaderless: Duration,
    /// Looks that came so late that they said nothing.
    pub gasps: u32,
}

impl Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            seeds: self.seeds + other.seeds,
            kills: self.kills + other.kills,
            powers: self.powers + other.powers,
            stops: self.stops + other.stops,
            from_database: self.from_database + other.from_database,
            from_cluster: self.from_cluster + other.from_cluster,
            from_both: self.from_both + other.from_both,
            leaderless: self.leaderless.max(other.leaderless),
            gasps: self.gasps + other.gasps,
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} seeds, {} kills ({} of them with their power), {} stops, {} partitions ({} from the database, {} from the cluster, {} from \
             both), 0 doubles, nobody led for at most {:.2} leases ({} looks too late to say)",
            self.seeds,
            self.kills,
            self.powers,
            self.stops,
            self.from_database + self.from_cluster + self.from_both,
            self.from_database,
            self.from_cluster,
            self.from_both,
            self.leaderless.as_secs_f64() / LEASE.as_secs_f64(),
            self.gasps
        )
    }
}
