//! How a case stands with its time box: until when it may be called off and everything be home in time. Made anew each
//! turn from what is seen, for showing and telling; nothing here says that anything is safe.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::rates::Basis;
use super::time::{Period, Time, to_the_second};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeBox {
    /// How long the node may be out.
    pub within: Period,
    /// When the first thing was taken.
    pub since: Time,
    pub ends: Time,
    /// From "called off" to everything home, as far as one can tell now.
    pub way_back: Period,
    /// Called off later than this, not everything is home when the box ends.
    pub abort_by: Time,
    /// While a technician has it: "done" later than this, and the whole soak ends after the box.
    pub done_by: Option<Time>,
    /// When everything is expected to be home as it goes now; `None`: that depends on people.
    pub home: Option<Time>,
    /// When the node is expected to be empty, while it drains.
    pub empty: Option<Time>,
    /// What the spans of moving guests rest on.
    pub basis: Basis,
}

impl TimeBox {
    pub fn over(&self, now: Time) -> bool {
        now > self.ends
    }

    /// The latest safe abort has passed.
    pub fn late(&self, now: Time) -> bool {
        now >= self.abort_by
    }
}

impl fmt::Display for TimeBox {
    /// `4h until 2026-01-01T16:00:00Z; the way back takes about 5m: latest safe abort 2026-01-01T15:55:00Z`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { within, ends, way_back, abort_by, .. } = self;
        let (ends, abort_by) = (to_the_second(*ends), to_the_second(*abort_by));
        write!(
            f,
            "{within} until {ends}; the way back takes about {way_back}: latest safe abort {abort_by}"
        )?;
        if let Some(at) = self.done_by {
            write!(f, ", latest \"done\" {}", to_the_second(at))?;
        }
        if let Some(at) = self.empty {
            write!(f, "; empty about {}", to_the_second(at))?;
        }
        if let Some(at) = self.home {
            write!(f, "; everything home about {}", to_the_second(at))?;
        }
        Ok(())
    }
}
