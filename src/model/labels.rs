//! An alert's labels, packed into one piece of memory: a service that knows a hundred thousand alerts holds a hundred thousand
//! of these, and copies them from turn to turn.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Index;
use std::sync::Arc;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Names and values, by name. Copying it copies nothing.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Labels(Arc<str>);

impl Labels {
    pub fn new() -> Self {
        Self(Arc::from(""))
    }

    /// Of two values of one name the later one counts.
    pub fn of<N: AsRef<str>, V: AsRef<str>>(mut pairs: Vec<(N, V)>) -> Self {
        if !pairs.is_sorted_by(|a, b| a.0.as_ref() < b.0.as_ref()) {
            // Stable, so that the later ones of a name stay the later ones.
            pairs.sort_by(|a, b| a.0.as_ref().cmp(b.0.as_ref()));
            pairs.reverse();
            pairs.dedup_by(|a, b| a.0.as_ref() == b.0.as_ref());
            pairs.reverse();
        }
        let size = |text: &str| text.len() + 2;
        let mut packed =
            String::with_capacity(pairs.iter().map(|(n, v)| size(n.as_ref()) + size(v.as_ref())).sum());
        for (name, value) in &pairs {
            push(&mut packed, name.as_ref());
            push(&mut packed, value.as_ref());
        }
        Self(packed.into())
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// In the order of their names.
    pub fn iter(&self) -> Iter<'_> {
        Iter(&self.0)
    }

    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|(_, value)| value)
    }

    /// The same with one more, or with another value of it.
    pub fn with(&self, name: &str, value: &str) -> Self {
        Self::of(self.iter().chain([(name, value)]).collect())
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self::new()
    }
}

/// Length first, six bits a byte, the lowest first; 64 says that more follow. All of it is ASCII, so that the whole is a text.
fn push(packed: &mut String, text: &str) {
    let mut left = text.len();
    while left > 0x3f {
        packed.push(char::from(0x40 | (left & 0x3f) as u8));
        left >>= 6;
    }
    packed.push(char::from(left as u8));
    packed.push_str(text);
}

/// The first text, and what follows it. `None` at the end.
fn pull(packed: &str) -> Option<(&str, &str)> {
    let (mut length, mut shift) = (0, 0);
    for (at, byte) in packed.bytes().enumerate() {
        length |= usize::from(byte & 0x3f) << shift;
        if byte & 0x40 == 0 {
            return packed[at + 1..].split_at_checked(length);
        }
        shift += 6;
    }
    None
}

/// Names with values.
#[derive(Clone)]
pub struct Iter<'a>(&'a str);

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, rest) = pull(self.0)?;
        let (value, rest) = pull(rest)?;
        self.0 = rest;
        Some((name, value))
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self::of(pairs.into_iter().collect())
    }
}

impl<N: AsRef<str>, V: AsRef<str>, const MANY: usize> From<[(N, V); MANY]> for Labels {
    fn from(pairs: [(N, V); MANY]) -> Self {
        pairs.into_iter().collect()
    }
}

impl From<BTreeMap<String, String>> for Labels {
    fn from(all: BTreeMap<String, String>) -> Self {
        all.into_iter().collect()
    }
}

impl Index<&str> for Labels {
    type Output = str;

    fn index(&self, name: &str) -> &str {
        self.get(name).unwrap_or_else(|| panic!("no label {name}"))
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Labels {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.iter().cmp(other.iter())
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Pairs)
    }
}

struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = Labels;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("labels with texts as values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
        let mut pairs: Vec<(super::text::Text<'de>, super::text::Text<'de>)> = Vec::with_capacity(16);
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Labels::of(pairs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_there_again_in_the_order_of_names() {
        let long = "ü".repeat(5000);
        let all = [("node", "pve1"), ("", "empty"), ("b", ""), ("a", long.as_str()), ("\u{0}@", "\u{7f}")];
        let labels: Labels = all.into_iter().collect();
        let sorted: BTreeMap<&str, &str> = all.into_iter().collect();
        assert!(labels.iter().eq(sorted.clone()));
        assert_eq!((labels.len(), labels.get("a"), labels.get("c")), (5, Some(long.as_str()), None));
        let told = serde_json::to_string(&labels).expect("JSON");
        assert_eq!(told, serde_json::to_string(&sorted).expect("JSON"));
        assert_eq!(serde_json::from_str::<Labels>(&told).expect("reads"), labels);
    }

    #[test]
    fn lengths_at_every_edge_are_kept() {
        for length in [0, 1, 63, 64, 65, 4095, 4096, 262_143, 262_144] {
            let value = "x".repeat(length);
            let labels = Labels::of(vec![("a", value.as_str()), ("b", "after")]);
            assert_eq!((labels.get("a"), labels.get("b")), (Some(value.as_str()), Some("after")));
        }
    }

    #[test]
    fn the_later_of_two_values_counts_wherever_it_stands() {
        for pairs in [vec![("a", "1"), ("a", "2")], vec![("a", "1"), ("b", "x"), ("a", "2")]] {
            assert_eq!(Labels::of(pairs).get("a"), Some("2"));
        }
        assert_eq!(Labels::of(vec![("a", "1")]).with("a", "2"), Labels::of(vec![("a", "2")]));
    }
}
