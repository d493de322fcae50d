//! What a sensor says of a part, and what an alarm chain would tell about a fan that comes and goes.

use serde::{Deserialize, Serialize};

use crate::model::alert::Episode;
use crate::model::fault::FaultKey;
use crate::model::ids::{Fingerprint, NodeName};
use crate::model::observed::Reading;
use crate::model::seen::{Seen, Trouble};
use crate::model::time::Time;

use super::World;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sensor {
    Good,
    Bad,
    /// No samples: the BMC hangs, the exporter is gone.
    Blind,
}

impl World {
    pub fn set_sensor(&mut self, fault: &FaultKey, to: Sensor) {
        self.sensors.insert(fault.clone(), to);
    }

    /// A part that nobody ever broke reads good.
    pub fn read_sensor(&self, fault: &FaultKey) -> Seen<Reading> {
        let reading = |good, text: &str| Seen::known(Reading { good, text: text.to_owned() }, self.now);
        match self.sensors.get(fault).copied().unwrap_or(Sensor::Good) {
            Sensor::Good => reading(true, "3 of 3 samples good"),
            Sensor::Bad => reading(false, "0 of 3 samples good"),
            Sensor::Blind => Seen::from(Trouble::NoTrace(format!("no samples for {fault}"))),
        }
    }
}

/// A fan of a node, as a fault.
pub fn fan(node: &str, part: &str) -> FaultKey {
    FaultKey { node: NodeName::from(node), class: "fan".to_owned(), component: part.to_owned() }
}

/// A part of a node, as a script writes it: `FAN3`, or with its class before it, `disk:sdb`.
pub fn part(node: &str, word: &str) -> FaultKey {
    let (class, component) = word.split_once(':').unwrap_or(("fan", word));
    FaultKey { node: NodeName::from(node), class: class.to_owned(), component: component.to_owned() }
}

/// One firing of a part's alarm: from `starts`, and still firing or over at `ends`. Delivered at once.
///
/// The labels are those of an IPMI exporter's rule: `alarm_class`, `component`, `node`, `severity`.
pub fn episode(fault: &FaultKey, starts: Time, ends: Option<Time>) -> Episode {
    let labels = [
        ("alertname", "HardwareFault"),
        ("alarm_class", &fault.class),
        ("component", &fault.component),
        ("node", fault.node.as_str()),
        ("severity", "warning"),
    ]
    .into_iter()
    .collect();
    Episode {
        fingerprint: Fingerprint(format!("{}-{}-{}", fault.node, fault.class, fault.component)),
        labels,
        starts_at: starts,
        received_at: starts,
        ends_at: ends,
    }
}

/// Comes and goes: `times` firings of `on` seconds with `off` seconds between, the first at `from`; all of them over.
pub fn flapping(fault: &FaultKey, from: Time, times: u32, on: u64, off: u64) -> Vec<Episode> {
    let second = |n: u64| crate::model::time::after(from, std::time::Duration::from_secs(n));
    (0..u64::from(times))
        .map(|n| {
            let starts = n * (on + off);
            episode(fault, second(starts), Some(second(starts + on)))
        })
        .collect()
}
