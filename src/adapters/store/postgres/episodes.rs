//! Episodes: what was told, at most one row for each firing of a label set. An end once heard stays, unless
//! Alertmanager itself lists the alert.
//!
//! Several instances take the same delivery in at the same time: the rows are locked in their order, and who makes a row that
//! another one has just made tries again.

use std::collections::BTreeMap;

use tokio_postgres::Row;

use super::super::documents::{from_json, instant, stamp, to_json};
use super::super::error::StoreError;
use super::super::seal::of_episode;
use super::ask::{Ask, Columns as _};
use super::bells::ring;
use super::conn::{Conn, Failure, READ, WRITE};
use super::lease::begin_fenced;
use crate::model::alert::{Episode, EpisodeKey, Listed};
use crate::model::ids::{ClusterName, Fingerprint};
use crate::model::time::Time;
use crate::ports::{Fence, Ingested};

/// Several deliveries in one transaction, in their order.
pub(super) async fn ingest(
    conn: &Conn,
    cluster: &ClusterName,
    deliveries: &[Vec<Episode>],
) -> Result<Vec<Ingested>, Failure> {
    let keys = deliveries.iter().flatten().map(key);
    let answers = conn.begin(WRITE, vec![ask_known(cluster, keys)]).await?;
    let mut known = Known::read(&answers[0])?;
    let counts: Vec<Ingested> = deliveries.iter().map(|told| hear(&mut known, told)).collect();
    let mut asks = known.write(cluster)?;
    if counts.iter().any(|count| count.new + count.resolved > 0) {
        asks.push(ring(cluster));
    }
    conn.end(asks).await?;
    Ok(counts)
}

fn hear(known: &mut Known, told: &[Episode]) -> Ingested {
    let mut count = Ingested::default();
    for episode in told {
        match known.get(&key(episode)) {
            None => {
                known.hold(episode.clone());
                count.new += 1;
            }
            Some(before) => {
                let (fired, mut heard) = (before.fires(), before.clone());
                heard.hear(episode);
                if fired && !heard.fires() {
                    count.resolved += 1;
                } else {
                    count.known += 1;
                }
                known.hold(heard);
            }
        }
    }
    count
}

/// What Alertmanager lists, and what it no longer does: the one way in which an ended episode fires again. Only by whoever
/// holds the cluster: a list of long ago must not come after a newer one.
pub(super) async fn level(
    conn: &Conn,
    cluster: &ClusterName,
    fence: &Fence,
    listed: &[Listed],
    gone: &[EpisodeKey],
    at: Time,
) -> Result<Ingested, Failure> {
    let keys = listed.iter().map(|listed| key(&listed.episode)).chain(gone.iter().map(of_key));
    let answers = begin_fenced(conn, cluster, fence, vec![ask_known(cluster, keys)]).await?;
    let mut known = Known::read(&answers[0])?;
    let mut count = Ingested::default();
    for listed in listed {
        match known.get(&key(&listed.episode)) {
            None => {
                known.hold(listed.episode.clone());
                count.new += 1;
            }
            Some(before) => {
                let (fired, mut level) = (before.fires(), before.clone());
                level.level(listed);
                if !fired && level.fires() {
                    count.new += 1;
                } else {
                    count.known += 1;
                }
                known.hold(level);
            }
        }
    }
    for gone in gone {
        if let Some(before) = known.get(&of_key(gone)).filter(|before| before.fires()) {
            let ended = Episode { ends_at: Some(at.max(before.starts_at)), ..before.clone() };
            known.hold(ended);
            count.resolved += 1;
        }
    }
    conn.end(known.write(cluster)?).await?;
    Ok(count)
}

/// Those that fire, and those that ended after `since`; by start.
pub(super) async fn since(conn: &Conn, cluster: &ClusterName, since: Time) -> Result<Vec<Episode>, Failure> {
    let ask = Ask::new(
        "SELECT fingerprint, starts_at, ends_at, received_at, labels, seal FROM episodes
         WHERE cluster = $1 AND (ends_at IS NULL OR ends_at > $2) ORDER BY starts_at, fingerprint",
    );
    let answers = conn.whole(READ, vec![ask.text(&cluster.0).text(&stamp(since))]).await?;
    answers[0].iter().map(read).collect()
}

/// Fingerprint and start, as they are stored.
type Key = (String, String);

fn key(episode: &Episode) -> Key {
    (episode.fingerprint.0.clone(), stamp(episode.starts_at))
}

fn of_key(key: &EpisodeKey) -> Key {
    (key.fingerprint.0.clone(), stamp(key.starts_at))
}

fn ask_known(cluster: &ClusterName, keys: impl Iterator<Item = Key>) -> Ask {
    let keys: std::collections::BTreeSet<Key> = keys.collect();
    Ask::new(
        "SELECT fingerprint, starts_at, ends_at, received_at, labels, seal FROM episodes
         WHERE cluster = $1 AND (fingerprint, starts_at) IN (SELECT it.f, it.s FROM UNNEST($2, $3) AS it (f, s))
         ORDER BY fingerprint, starts_at FOR UPDATE",
    )
    .text(&cluster.0)
    .texts(keys.iter().map(|(fingerprint, _)| fingerprint.as_str()))
    .texts(keys.iter().map(|(_, starts_at)| starts_at.as_str()))
}

/// What is stored of some episodes, and what is to be.
struct Known {
    stored: BTreeMap<Key, Episode>,
    now: BTreeMap<Key, Episode>,
}

impl Known {
    fn read(rows: &[Row]) -> Result<Self, Failure> {
        let mut stored = BTreeMap::new();
        for row in rows {
            let episode = read(row)?;
            stored.insert(key(&episode), episode);
        }
        Ok(Self { now: stored.clone(), stored })
    }

    fn get(&self, key: &Key) -> Option<&Episode> {
        self.now.get(key)
    }

    fn hold(&mut self, episode: Episode) {
        self.now.insert(key(&episode), episode);
    }

    fn write(&self, cluster: &ClusterName) -> Result<Vec<Ask>, StoreError> {
        let insert = "INSERT INTO episodes (cluster, fingerprint, starts_at, ends_at, received_at, labels, seal)
            SELECT $1, fingerprint, starts_at, ends_at, received_at, labels, seal
            FROM UNNEST($2, $3, $4, $5, $6, $7) AS it (fingerprint, starts_at, ends_at, received_at, labels, seal)";
        let update = "UPDATE episodes SET ends_at = it.ends_at, received_at = it.received_at, labels = it.labels, seal = it.seal
            FROM UNNEST($2, $3, $4, $5, $6, $7) AS it (fingerprint, starts_at, ends_at, received_at, labels, seal)
            WHERE episodes.cluster = $1 AND episodes.fingerprint = it.fingerprint AND episodes.starts_at = it.starts_at";
        let (mut new, mut changed) = (Vec::new(), Vec::new());
        for (key, episode) in &self.now {
            match self.stored.get(key) {
                None => new.push(EpisodeRow::of(key, episode)?),
                Some(before) if before != episode => changed.push(EpisodeRow::of(key, episode)?),
                Some(_) => {}
            }
        }
        let all = [(insert, new), (update, changed)].into_iter().filter(|(_, rows)| !rows.is_empty());
        Ok(all.map(|(statement, rows)| columns(Ask::new(statement).text(&cluster.0), &rows)).collect())
    }
}

struct EpisodeRow<'a> {
    key: &'a Key,
    ends_at: Option<String>,
    received_at: String,
    labels: String,
}

impl<'a> EpisodeRow<'a> {
    fn of(key: &'a Key, episode: &Episode) -> Result<Self, StoreError> {
        Ok(Self {
            key,
            ends_at: episode.ends_at.map(stamp),
            received_at: stamp(episode.received_at),
            labels: to_json("an alert's labels", &episode.labels)?,
        })
    }

    fn seal(&self) -> Vec<u8> {
        let (fingerprint, starts_at) = self.key;
        of_episode(fingerprint, starts_at, self.ends_at.as_deref(), &self.received_at, &self.labels).to_vec()
    }
}

fn columns(ask: Ask, rows: &[EpisodeRow<'_>]) -> Ask {
    ask.texts(rows.iter().map(|row| row.key.0.as_str()))
        .texts(rows.iter().map(|row| row.key.1.as_str()))
        .maybe_texts(rows.iter().map(|row| row.ends_at.as_deref()))
        .texts(rows.iter().map(|row| row.received_at.as_str()))
        .texts(rows.iter().map(|row| row.labels.as_str()))
        .many_bytes(rows.iter().map(|row| Some(row.seal())))
}

pub(super) fn read(row: &Row) -> Result<Episode, Failure> {
    let (fingerprint, starts_at, ends_at) = (row.text(0)?, row.text(1)?, row.maybe_text(2)?);
    let (received_at, labels) = (row.text(3)?, row.text(4)?);
    let what = format!("the episode of alert {fingerprint} from {starts_at}");
    let written = of_episode(&fingerprint, &starts_at, ends_at.as_deref(), &received_at, &labels);
    if row.maybe_seal(5)?.is_some_and(|seal| seal != written) {
        return Err(StoreError::spoilt(what).into());
    }
    Ok(Episode {
        starts_at: instant(&what, &starts_at)?,
        ends_at: ends_at.map(|text| instant(&what, &text)).transpose()?,
        received_at: instant(&what, &received_at)?,
        labels: from_json(&what, &labels)?,
        fingerprint: Fingerprint(fingerprint),
    })
}
