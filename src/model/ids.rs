//! Names and numbers that must not be mixed up: a guest's id is not a count, a node's name is not a host's.

use std::borrow::Borrow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

/// Makes a newtype over `String` that shows and serialises as the string itself.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        /// It is ordered as its text, so a map is asked without making a name first.
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
    };
}

/// Makes a newtype over an integer that shows and serialises as the number itself.
macro_rules! number {
    ($(#[$doc:meta])* $name:ident($int:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(pub $int);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Number).and_then(|n| {
                    <$int>::try_from(n).map(Self).map_err(|_| de::Error::custom(format!("{n} is too large")))
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

/// A number, or its digits: as a key of a JSON map every number is a string, and inside a tagged enum serde has
/// forgotten that it was a key.
struct Number;

impl de::Visitor<'_> for Number {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_u64<E: de::Error>(self, n: u64) -> Result<u64, E> {
        Ok(n)
    }

    fn visit_str<E: de::Error>(self, digits: &str) -> Result<u64, E> {
        digits.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(digits), &self))
    }
}

name! {
    /// A cluster, as the configuration names it: `pvecm status` shows the same. Part of addresses and of directory names.
    ClusterName
}
name! {
    /// A budget that counts over several clusters, as the configuration names it.
    BudgetName
}
name! {
    /// A member of the Proxmox cluster, as `/cluster/status` spells it.
    NodeName
}
name! {
    /// A CRUSH host bucket. Often the node's name, not always: map it through the OSD tree, never by guess.
    HostName
}
name! {
    /// A policy's name, from its file.
    PolicyName
}
name! {
    /// A calendar's name, from its file.
    CalendarName
}
name! {
    /// Who asked: a token's or an operator's name. Free text for people, never a permission.
    Person
}
name! {
    /// A Proxmox task id (`UPID:node:pid:pstart:start:type:id:user:`), kept as text.
    Upid
}
name! {
    /// Alertmanager's hash of an alert's label set.
    Fingerprint
}
name! {
    /// What a ticket system calls a work order.
    TicketRef
}
name! {
    /// SHA-256 (hex) over what an approval is about. See [`crate::model::plan::Plan::hash`].
    PlanHash
}
name! {
    /// A request's id, chosen by the asker's side once, so that asking twice is asking once.
    RequestId
}

number! {
    /// A guest's vmid, unique in a cluster for virtual machines and containers together.
    GuestId(u32)
}
number! {
    /// A Ceph OSD.
    OsdId(u32)
}
number! {
    /// One maintenance of one node.
    CaseId(u64)
}

impl PlanHash {
    /// Fewer characters of a hash do not say which plan is meant. The same everywhere: command line, API, decision.
    pub const BEGINNING_MIN: usize = 12;

    /// # Errors
    /// What to write instead.
    pub fn long_enough(written: &str) -> Result<(), String> {
        if written.len() >= Self::BEGINNING_MIN {
            return Ok(());
        }
        let min = Self::BEGINNING_MIN;
        Err(format!(
            "{written:?} is too short to say which plan is meant; write the first {min} characters of its hash"
        ))
    }

    /// Was this plan meant, by its hash or the hash's beginning?
    ///
    /// # Errors
    /// What to write instead.
    pub fn meant_by(&self, written: &str) -> Result<(), String> {
        Self::long_enough(written)?;
        if !self.0.starts_with(written) {
            return Err(format!("the plan is now {}; read it and approve that one", self.short()));
        }
        Ok(())
    }

    /// The first twelve characters: enough to tell plans apart by eye and on the command line.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_meant_by_enough_of_its_hash_and_the_refusal_says_what_is_wrong() {
        let hash = PlanHash("0123456789abcdef".repeat(4));
        assert_eq!(hash.meant_by("0123456789ab"), Ok(()));
        assert_eq!(hash.meant_by(&hash.0), Ok(()));
        let said = |written: &str| hash.meant_by(written).expect_err("must be refused");
        assert!(said("0123456789a").contains("first 12 characters"), "{}", said("0123456789a"));
        assert!(said("ffffffffffff").contains("now 0123456789ab"), "{}", said("ffffffffffff"));
    }
}
