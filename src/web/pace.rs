//! How often somebody may ask. Wrong tokens are dear: ten at once for an address, then one in six seconds, and until then
//! that address's tokens are not looked at. Fresh looks at the cluster are two at once, whoever asks. Each person has a measure, too, which only a script that runs wild reaches.
//!
//! Not measured: what costs no more than the refusal would (probes, the login page, requests without a token), and
//! deliveries of alerts, which are bounded by their weight: Alertmanager drops what meets a 429.
//!
//! Everything in here is bounded: addresses that are remembered, and what is remembered of each. It must never keep out
//! somebody who was let in from the same address a short while ago: a neighbour behind the same proxy who guesses tokens
//! must not keep an operator from calling a drain off.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::auth::{Access, Who};
use super::error::Refusal;
use crate::model::access::Role;

/// The address of whoever connected, as a block that one customer holds: IPv6 by its first half.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Peer(IpAddr);

impl Peer {
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(six) => {
                let [a, b, c, d, ..] = six.segments();
                IpAddr::from([a, b, c, d, 0, 0, 0, 0])
            }
            four => four,
        })
    }
}

impl Default for Peer {
    /// Requests that came over no wire: tests.
    fn default() -> Self {
        Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }
}

/// So many at once, and so many a second in the long run.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    pub burst: f64,
    pub per_sec: f64,
}

/// A person at a console with ten tabs asks once a second; a command that waits, twice; a script in a hurry, some fifty times.
pub const PERSON: Rate = Rate { burst: 500.0, per_sec: 100.0 };
pub const WRONG: Rate = Rate { burst: 10.0, per_sec: 1.0 / 6.0 };

/// Addresses remembered at once. Beyond it those that were quiet for longest are forgotten.
const PEERS_MAX: usize = 4096;
/// Somebody who was let in is not kept out by a neighbour's mistakes for so long.
const TRUSTED_FOR: Duration = Duration::from_secs(3600);
/// Tokens remembered as good for one address.
const GOOD_MAX: usize = 64;
/// People remembered at once, beyond it only those who asked a short while ago: configurations change, this memory stays.
const PEOPLE_MAX: usize = 1024;

#[derive(Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    fn full(rate: Rate, now: Instant) -> Self {
        Self { left: rate.burst, at: now }
    }

    fn refill(&mut self, rate: Rate, now: Instant) {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + since * rate.per_sec).min(rate.burst);
        self.at = now;
    }

    /// Takes one, or tells after how many seconds there is one.
    fn take(&mut self, rate: Rate, now: Instant) -> Result<(), u64> {
        self.refill(rate, now);
        if self.left < 1.0 {
            return Err(((1.0 - self.left) / rate.per_sec).ceil().max(1.0) as u64);
        }
        self.left -= 1.0;
        Ok(())
    }
}

#[derive(Debug)]
struct AtPeer {
    wrong: Bucket,
    /// Names of those who were let in from here, and when last.
    good: Vec<(String, Instant)>,
}

/// Fresh looks at once: each is a full look at the cluster.
const LOOKS_MAX: usize = 2;

/// The memory of all this; one for each process, so that a reload forgives nobody.
#[derive(Debug)]
pub struct Pace {
    inner: Mutex<Inner>,
    looks: Semaphore,
}

impl Default for Pace {
    fn default() -> Self {
        Self { inner: Mutex::default(), looks: Semaphore::new(LOOKS_MAX) }
    }
}

#[derive(Debug, Default)]
struct Inner {
    peers: HashMap<Peer, AtPeer>,
    people: HashMap<String, Bucket>,
}

impl Inner {
    fn at(&mut self, peer: Peer, now: Instant) -> &mut AtPeer {
        if self.peers.len() >= PEERS_MAX && !self.peers.contains_key(&peer) {
            // Half of them at once, so that it is rare.
            let mut times: Vec<Instant> = self.peers.values().map(|at| at.wrong.at).collect();
            times.sort_unstable();
            let middle = times[times.len() / 2];
            self.peers.retain(|_, at| at.wrong.at > middle);
        }
        self.peers.entry(peer).or_insert_with(|| AtPeer { wrong: Bucket::full(WRONG, now), good: Vec::new() })
    }
}

impl Pace {
    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        // Counters: whoever panicked while counting left nothing that could hurt.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody shows a token.
    ///
    /// # Errors
    /// [`Refusal::WrongToken`], or [`Refusal::TooOften`] without a look at the token.
    pub fn knock(&self, peer: Peer, access: &Access, token: &str) -> Result<Who, Refusal> {
        self.knock_at(peer, access, token, Instant::now())
    }

    fn knock_at(&self, peer: Peer, access: &Access, token: &str, now: Instant) -> Result<Who, Refusal> {
        let mut inner = self.inner();
        let at = inner.at(peer, now);
        at.wrong.refill(WRONG, now);
        at.good.retain(|(_, since)| now.saturating_duration_since(*since) < TRUSTED_FOR);
        let shut = at.wrong.left < 1.0;
        let secs = ((1.0 - at.wrong.left) / WRONG.per_sec).ceil().max(1.0) as u64;
        match access.who(token) {
            // A lost alert is a page that nobody gets: another program with a wrong token beside Alertmanager must not cost one.
            Ok(who) if who.role == Role::Alerts => Ok(who),
            Ok(who) if shut && !at.good.iter().any(|(name, _)| *name == who.name.0) => {
                Err(Refusal::TooOften { secs })
            }
            Ok(who) => {
                at.good.retain(|(name, _)| *name != who.name.0);
                if at.good.len() < GOOD_MAX {
                    at.good.push((who.name.0.clone(), now));
                }
                Ok(who)
            }
            Err(_) if shut => Err(Refusal::TooOften { secs }),
            Err(refusal) => {
                at.wrong.left -= 1.0;
                Err(refusal)
            }
        }
    }

    /// Leave for a fresh look, as long as it is held.
    ///
    /// # Errors
    /// [`Refusal::Busy`].
    pub fn look(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        self.looks.try_acquire().map_err(|_| Refusal::Busy)
    }

    /// One more request of somebody known.
    ///
    /// # Errors
    /// [`Refusal::TooOften`].
    pub fn person(&self, who: &Who) -> Result<(), Refusal> {
        if who.role == Role::Alerts {
            return Ok(());
        }
        let now = Instant::now();
        let mut inner = self.inner();
        if inner.people.len() >= PEOPLE_MAX && !inner.people.contains_key(&who.name.0) {
            inner.people.retain(|_, bucket| {
                bucket.refill(PERSON, now);
                bucket.left < PERSON.burst
            });
        }
        let bucket = inner.people.entry(who.name.0.clone()).or_insert_with(|| Bucket::full(PERSON, now));
        bucket.take(PERSON, now).map_err(|secs| Refusal::TooOften { secs })
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::model::access::KnownToken;

    fn access() -> Access {
        let token = |name: &str, role| KnownToken {
            name: name.to_owned(),
            role,
            sha256: Sha256::digest(name.as_bytes()).into(),
            clusters: None,
        };
        let all = [("alice", Role::Operate), ("bob", Role::Read), ("sender", Role::Alerts)];
        Access::new(all.map(|(name, role)| token(name, role)).into(), false)
    }

    fn peer(text: &str) -> Peer {
        Peer::of(text.parse().expect("an address"))
    }

    #[test]
    fn guesses_become_dear_and_their_neighbours_are_not_kept_out() {
        let (pace, access, now) = (Pace::default(), access(), Instant::now());
        let here = peer("192.0.2.1");
        assert!(pace.knock_at(here, &access, "alice", now).is_ok(), "alice works from here");
        let wrong =
            (0..50).map(|n| pace.knock_at(here, &access, &format!("guess {n}"), now).expect_err("wrong"));
        let looked_at = wrong.filter(|refusal| *refusal == Refusal::WrongToken).count();
        assert_eq!(looked_at, WRONG.burst as usize);
        let right = pace.knock_at(here, &access, "bob", now);
        assert!(matches!(right, Err(Refusal::TooOften { secs: 6 })), "a right guess is not told: {right:?}");
        assert!(pace.knock_at(here, &access, "alice", now).is_ok(), "she was let in before");
        assert!(pace.knock_at(peer("192.0.2.2"), &access, "bob", now).is_ok(), "another address");
        assert!(pace.knock_at(here, &access, "bob", now + Duration::from_secs(7)).is_ok(), "later");
    }

    #[test]
    fn a_wrong_token_beside_alertmanager_costs_no_alert() {
        let (pace, access, now) = (Pace::default(), access(), Instant::now());
        let here = peer("192.0.2.1");
        for _ in 0..50 {
            let _ = pace.knock_at(here, &access, "Prometheus' old token", now);
        }
        assert!(matches!(pace.knock_at(here, &access, "bob", now), Err(Refusal::TooOften { .. })));
        assert!(pace.knock_at(here, &access, "sender", now).is_ok(), "its first delivery");
    }

    #[test]
    fn one_that_was_let_in_long_ago_is_a_stranger_again() {
        let (pace, access, now) = (Pace::default(), access(), Instant::now());
        let here = peer("192.0.2.1");
        assert!(pace.knock_at(here, &access, "alice", now).is_ok());
        let later = now + TRUSTED_FOR;
        for n in 0..20 {
            let _ = pace.knock_at(here, &access, &format!("guess {n}"), later);
        }
        assert!(matches!(pace.knock_at(here, &access, "alice", later), Err(Refusal::TooOften { .. })));
    }

    #[test]
    fn a_hundred_thousand_addresses_are_not_remembered() {
        let (pace, access, now) = (Pace::default(), access(), Instant::now());
        for n in 0..100_000_u32 {
            let from = Peer::of(IpAddr::V4(n.into()));
            let _ = pace.knock_at(from, &access, "guess", now + Duration::from_micros(n.into()));
        }
        let inner = pace.inner();
        assert!(inner.peers.len() <= PEERS_MAX && inner.people.is_empty(), "{}", inner.peers.len());
    }

    #[test]
    fn an_address_of_six_is_its_first_half() {
        assert_eq!(peer("2001:db8:1:2:3:4:5:6"), peer("2001:db8:1:2:ffff::1"));
        assert_ne!(peer("2001:db8:1:2::1"), peer("2001:db8:1:3::1"));
        assert_eq!(peer("::ffff:192.0.2.1"), peer("192.0.2.1"));
    }

    #[test]
    fn a_person_has_a_measure_and_alerts_have_none() {
        let pace = Pace::default();
        let who = |name: &str, role| Who { name: name.into(), role, clusters: None };
        let count = |who: Who| (0..5000).filter(|_| pace.person(&who).is_ok()).count();
        let (alice, sender) = (count(who("alice", Role::Operate)), count(who("am", Role::Alerts)));
        assert!((500..2500).contains(&alice) && sender == 5000, "{alice} {sender}");
        assert!(matches!(pace.person(&who("alice", Role::Operate)), Err(Refusal::TooOften { .. })));
        assert!(pace.person(&who("bob", Role::Read)).is_ok(), "each has their own");
    }
}
