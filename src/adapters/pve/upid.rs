//! The name of a task: `UPID:NODE:PID:PSTART:STARTTIME:TYPE:ID:USER:`, numbers in hexadecimal.
//!
//! The name alone tells where a task runs, what it does, to which guest and since when, so a task can be found again
//! after an order whose answer was lost.

use std::{fmt, str::FromStr};

/// A parsed task name. [`fmt::Display`] writes it as Proxmox does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Upid {
    pub node: String,
    pub pid: u32,
    /// Start of the worker in clock ticks since boot; with `pid` it names the process for good.
    pub pstart: u64,
    /// Seconds since 1970, by the clock of the node.
    pub start_secs: i64,
    /// `qmigrate`, `vzmigrate`, `hamigrate`, …
    pub kind: String,
    /// The guest, service or flag the task is about; may be empty.
    pub id: String,
    /// `pitlane@pve!ctl`, `root@pam`.
    pub user: String,
}

/// The text is not the name of a task.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is not the name of a Proxmox task")]
pub struct BadUpid {
    given: String,
}

impl FromStr for Upid {
    type Err = BadUpid;

    fn from_str(text: &str) -> Result<Upid, BadUpid> {
        parse(text).ok_or_else(|| BadUpid { given: text.chars().take(200).collect() })
    }
}

fn parse(text: &str) -> Option<Upid> {
    let fields: Vec<&str> = text.strip_prefix("UPID:")?.strip_suffix(':')?.split(':').collect();
    let [node, pid, pstart, start, kind, id, user] = fields.try_into().ok()?;
    let hex = |digits: &str, min: usize, max: usize| {
        let plain = (min..=max).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
        plain.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
    };
    let named = |name: &str| !name.is_empty() && !name.contains(char::is_whitespace);
    if !named(node) || !named(kind) || !named(user) || id.contains(char::is_whitespace) {
        return None;
    }
    Some(Upid {
        node: node.to_owned(),
        pid: hex(pid, 8, 8)?.try_into().ok()?,
        pstart: hex(pstart, 8, 9)?,
        start_secs: hex(start, 8, 8)?.try_into().ok()?,
        kind: kind.to_owned(),
        id: id.to_owned(),
        user: user.to_owned(),
    })
}

impl fmt::Display for Upid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Upid { node, pid, pstart, start_secs, kind, id, user } = self;
        write!(f, "UPID:{node}:{pid:08X}:{pstart:08X}:{start_secs:08X}:{kind}:{id}:{user}:")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_recorded_name_is_taken_apart_and_put_together_again() {
        let text = "UPID:pve1:0000012B:00043B30:6B02228B:qmigrate:100:pitlane@pve!ctl:";
        let upid: Upid = text.parse().expect("recorded");
        assert_eq!((upid.node.as_str(), upid.pid, upid.start_secs), ("pve1", 299, 1_795_302_027));
        assert_eq!(
            (upid.kind.as_str(), upid.id.as_str(), upid.user.as_str()),
            ("qmigrate", "100", "pitlane@pve!ctl")
        );
        assert_eq!(upid.to_string(), text);
    }

    #[test]
    fn a_task_may_be_about_nothing_in_particular() {
        let text = "UPID:pve3:00000089:000004A0:6B022A24:startall::root@pam:";
        assert_eq!(text.parse::<Upid>().map(|u| u.id), Ok(String::new()));
    }

    #[test]
    fn other_texts_are_refused() {
        for wrong in [
            "",
            "NOTAUPID",
            "UPID:::::::",
            "UPID:n:0000012B:00043B30:6B02228B:t:i:u",
            "UPID:n:+000012B:00043B30:6B02228B:t:i:u:",
        ] {
            assert!(wrong.parse::<Upid>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC*") {
            let _ = text.parse::<Upid>();
        }

        #[test]
        fn every_name_survives_the_round(pid: u32, pstart in 0u64..0xF_FFFF_FFFF, start in 0i64..0xFFFF_FFFF, id in "[a-z0-9.]{0,8}") {
            let upid = Upid { node: "pve-1".into(), pid, pstart, start_secs: start, kind: "qmigrate".into(), id, user: "a@pve!t".into() };
            prop_assert_eq!(upid.to_string().parse::<Upid>(), Ok(upid));
        }
    }
}
