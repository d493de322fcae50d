//! Who has seen the part, and what they say: metrics, and the machine's own controller.
//!
//! Good needs one witness who sees the part, and none who says bad. A witness who cannot be asked may know something
//! bad, so without him there is no good reading: a dead BMC freezes both "false alarm" and "proved".

use std::time::Duration;

use crate::model::case::Case;
use crate::model::fault::FaultKey;
use crate::model::observed::{Inventory, PartKind, PartSource, Reading};
use crate::model::rules::SensorQuery;
use crate::model::seen::{Blind, Seen, Trouble};
use crate::model::wait::{Source, Wait};

use super::view::View;

/// A BMC's list is read once a minute; two misses are allowed.
const BMC_FRESH_FOR: Duration = Duration::from_secs(150);

/// What is true of the part now, from every witness that the policy names.
///
/// # Errors
/// Nobody sees it, or somebody who should could not be asked.
pub(super) fn reading(
    fault: &FaultKey,
    query: &SensorQuery,
    case: &Case,
    view: &View,
) -> Result<Reading, Wait> {
    let metrics = if query.promql.is_empty() { None } else { Some(metrics(fault, view)) };
    let asked = query.bmc && !case.parts.given_up.contains_key(&PartSource::Bmc);
    let controller = if asked { controller(fault, view) } else { None };
    join([metrics, controller].into_iter().flatten())
}

type Word = Result<Reading, Wait>;

fn join(words: impl Iterator<Item = Word>) -> Word {
    let (mut good, mut blank, mut failed) = (None::<Reading>, None, None);
    for word in words {
        match word {
            Ok(reading) if !reading.good => return Ok(reading),
            Ok(reading) => {
                good = Some(match good {
                    None => reading,
                    Some(first) => Reading { good: true, text: format!("{}, {}", first.text, reading.text) },
                });
            }
            Err(wait) if sees_nothing(&wait) => blank = blank.or(Some(wait)),
            Err(wait) => failed = failed.or(Some(wait)),
        }
    }
    match (failed, good, blank) {
        (Some(wait), _, _) => Err(wait),
        (None, Some(reading), _) => Ok(reading),
        (None, None, Some(wait)) => Err(wait),
        (None, None, None) => {
            let why = "no witness of this part is configured".to_owned();
            Err(Wait::CannotSee { source: Source::Sensor, why: Blind::Unknown(Trouble::NotConfigured(why)) })
        }
    }
}

fn sees_nothing(wait: &Wait) -> bool {
    matches!(wait, Wait::CannotSee { why: Blind::Unknown(Trouble::NoTrace(_)), .. })
}

fn metrics(fault: &FaultKey, view: &View) -> Word {
    match view.seen.sensors.get(fault) {
        Some(seen) => view.fresh(Source::Sensor, seen).cloned(),
        None => Err(Wait::CannotSee { source: Source::Sensor, why: Blind::NotAsked }),
    }
}

/// `None`: this machine has no controller that we may ask.
fn controller(fault: &FaultKey, view: &View) -> Option<Word> {
    let blind = |why| Wait::CannotSee { source: Source::Bmc, why };
    let Some(seen) = view.seen.inventory.get(&fault.node) else { return Some(Err(blind(Blind::NotAsked))) };
    if let Seen::Unknown { why: Trouble::NotConfigured(_) } = &seen.bmc {
        return None;
    }
    let parts = match seen.bmc.fresh(view.now, BMC_FRESH_FOR) {
        Ok(parts) => parts,
        Err(why) => return Some(Err(blind(why))),
    };
    let nothing = || Trouble::NoTrace(format!("the BMC lists no {} {}", fault.class, fault.component));
    Some(says(parts, fault).ok_or_else(|| blind(Blind::Unknown(nothing()))))
}

/// What the controller says of the part that a fault names; of all parts of the kind where it names none.
fn says(parts: &Inventory, fault: &FaultKey) -> Option<Reading> {
    let kinds = kinds(&fault.class);
    let mut told = 0_usize;
    for (key, part) in &parts.parts {
        let meant = fault.component.is_empty() || plain(&key.slot) == plain(&fault.component);
        match part.good {
            Some(good) if kinds.contains(&key.kind) && meant => {
                if !good {
                    return Some(Reading { good: false, text: format!("{key} reads {}", part.text) });
                }
                told += 1;
            }
            _ => {}
        }
    }
    (told > 0).then(|| Reading { good: true, text: "the BMC reads good".to_owned() })
}

/// Which parts an alarm class is about.
fn kinds(class: &str) -> &'static [PartKind] {
    match class {
        "fan" => &[PartKind::Fan],
        "psu" | "power" => &[PartKind::PowerSupply],
        "temperature" => &[PartKind::Sensor],
        "ecc" | "memory" => &[PartKind::Memory],
        "disk" => &[PartKind::Disk],
        "nic" => &[PartKind::Nic],
        "cpu" => &[PartKind::Cpu],
        _ => &[],
    }
}

/// `PS1 Status` and `ps1_status` are one name.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::observed::{Part, PartKey};

    fn good(text: &str) -> Word {
        Ok(Reading { good: true, text: text.to_owned() })
    }

    fn bad() -> Word {
        Ok(Reading { good: false, text: "0 of 1 samples good".to_owned() })
    }

    fn cannot(why: Trouble) -> Word {
        Err(Wait::CannotSee { source: Source::Sensor, why: Blind::Unknown(why) })
    }

    #[test]
    fn good_needs_one_who_sees_it_and_none_who_says_bad() {
        let blank = || cannot(Trouble::NoTrace("no sample".into()));
        let dead = || cannot(Trouble::TooSlow("no answer".into()));
        let join = |words: Vec<Word>| super::join(words.into_iter());
        assert_eq!(join(vec![good("a"), blank()]), good("a"));
        assert_eq!(join(vec![good("a"), good("b")]), good("a, b"));
        assert_eq!(join(vec![good("a"), bad()]), bad());
        assert_eq!(join(vec![dead(), bad()]), bad(), "bad is bad, whoever else is dead");
        assert_eq!(join(vec![good("a"), dead()]), dead(), "the dead one may know something bad");
        assert_eq!(join(vec![blank(), blank()]), blank());
        assert!(join(vec![]).is_err());
    }

    #[test]
    fn the_controller_is_asked_for_the_part_that_the_alarm_names() {
        let fan = |good| Part { good: Some(good), text: "0 rpm".into(), ..Part::default() };
        let parts = Inventory {
            parts: [
                (PartKey::new(PartKind::Fan, "FAN 1"), fan(true)),
                (PartKey::new(PartKind::Fan, "FAN 2"), fan(false)),
                (PartKey::new(PartKind::PowerSupply, "FAN3"), fan(true)),
            ]
            .into(),
        };
        let fault =
            |part: &str| FaultKey { node: "pve2".into(), class: "fan".into(), component: part.into() };
        let good = |part: &str| says(&parts, &fault(part)).map(|reading| reading.good);
        assert_eq!(good("FAN1"), Some(true));
        assert_eq!(good("fan_2"), Some(false));
        assert_eq!(good(""), Some(false), "all fans, and one is bad");
        assert_eq!(good("FAN3"), None, "another kind of part has that name");
    }
}
