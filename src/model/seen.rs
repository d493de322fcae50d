//! Not seeing is something we know. A blind spot is a value with a reason, never an empty list.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::time::{Period, Time, age};

/// What a look at one source brought home.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen<T> {
    /// It was so at `at`: when the fact was true at its source, not when we fetched it.
    Known { value: T, at: Time },
    /// We looked and could not see.
    Unknown { why: Trouble },
    /// Nobody needed it this turn, so nobody looked.
    #[default]
    NotAsked,
}

/// Why a source gave no answer, or an effect did not happen. What an adapter's own error becomes at its port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "text")]
pub enum Trouble {
    /// No connection, no route, wrong certificate: nobody answered.
    Unreachable(String),
    /// It answered no: missing rights, a lock, a rule.
    Refused(String),
    /// It answered something that we do not understand.
    Nonsense(String),
    /// It did not answer in time. An effect asked for may have happened all the same.
    TooSlow(String),
    /// It answered, and there is nothing of the kind: no sample, no such part. Nobody sees it.
    NoTrace(String),
    /// We are not told how to reach it: a matter of configuration.
    NotConfigured(String),
}

impl Trouble {
    /// The words for people.
    pub fn text(&self) -> &str {
        match self {
            Self::Unreachable(t)
            | Self::Refused(t)
            | Self::Nonsense(t)
            | Self::TooSlow(t)
            | Self::NoTrace(t)
            | Self::NotConfigured(t) => t,
        }
    }

    /// One word, for metric labels.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Refused(_) => "refused",
            Self::Nonsense(_) => "nonsense",
            Self::TooSlow(_) => "too_slow",
            Self::NoTrace(_) => "no_trace",
            Self::NotConfigured(_) => "not_configured",
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::Unreachable(_) => "not reachable",
            Self::Refused(_) => "refused",
            Self::Nonsense(_) => "answered nonsense",
            Self::TooSlow(_) => "did not answer in time",
            Self::NoTrace(_) => "nothing to be seen",
            Self::NotConfigured(_) => "not configured",
        };
        write!(f, "{what}: {}", self.text())
    }
}

/// Why a fact cannot be used now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blind {
    Unknown(Trouble),
    Stale {
        age: Period,
    },
    /// Dated later than now.
    Ahead {
        by: Period,
    },
    NotAsked,
}

impl fmt::Display for Blind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(why) => why.fmt(f),
            Self::Ahead { by } => write!(f, "the last reading is dated {by} ahead of our clock"),
            Self::Stale { age } => write!(f, "the last reading is {age} old"),
            Self::NotAsked => f.write_str("not looked at yet"),
        }
    }
}

impl<T> Seen<T> {
    pub fn known(value: T, at: Time) -> Self {
        Self::Known { value, at }
    }

    /// The value, if it was true no longer than `limit` ago.
    ///
    /// # Errors
    /// Says why it cannot be used: never seen, or too old.
    pub fn fresh(&self, now: Time, limit: Duration) -> Result<&T, Blind> {
        match self {
            // A reading from the future is from before a clock was set back: nobody knows how old it is.
            Self::Known { at, .. } if age(*at, now) > limit => {
                Err(Blind::Ahead { by: Period::secs(age(*at, now).as_secs()) })
            }
            Self::Known { value, at } if age(now, *at) <= limit => Ok(value),
            Self::Known { at, .. } => Err(Blind::Stale { age: Period::secs(age(now, *at).as_secs()) }),
            Self::Unknown { why } => Err(Blind::Unknown(why.clone())),
            Self::NotAsked => Err(Blind::NotAsked),
        }
    }

    /// The value whatever its age: for showing, never for acting.
    pub fn any_age(&self) -> Option<&T> {
        match self {
            Self::Known { value, .. } => Some(value),
            _ => None,
        }
    }

    pub fn at(&self) -> Option<Time> {
        match self {
            Self::Known { at, .. } => Some(*at),
            _ => None,
        }
    }
}

impl<T> From<Trouble> for Seen<T> {
    fn from(why: Trouble) -> Self {
        Self::Unknown { why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::after;

    #[test]
    fn what_is_stale_is_not_used() {
        let then: Time = "2026-01-01T00:00:00Z".parse().expect("a valid instant");
        let seen = Seen::known(7, then);
        let limit = Duration::from_secs(15);
        assert_eq!(seen.fresh(after(then, limit), limit), Ok(&7));
        let late = after(then, Duration::from_secs(16));
        assert_eq!(seen.fresh(late, limit), Err(Blind::Stale { age: Period::secs(16) }));
    }

    #[test]
    fn what_is_dated_ahead_is_not_used_either() {
        let then: Time = "2026-01-01T01:00:00Z".parse().expect("a valid instant");
        let limit = Duration::from_secs(15);
        let seen = Seen::known(7, then);
        let back = then - jiff::SignedDuration::from_secs(3600);
        assert_eq!(seen.fresh(back, limit), Err(Blind::Ahead { by: Period::hours(1) }));
        let skew = then - jiff::SignedDuration::from_secs(2);
        assert_eq!(seen.fresh(skew, limit), Ok(&7), "two clocks are never quite the same");
    }
}
