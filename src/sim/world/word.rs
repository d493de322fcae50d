//! Words of a closed set, kept as such when a world is put away and taken out again.

use serde::{Deserialize, Deserializer};

/// One of the program's own words.
pub type Word = &'static str;

/// Reads a word back. It lives as long as the program: worlds use a few dozen words and are read back once a start.
pub fn known<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Word, D::Error> {
    String::deserialize(deserializer).map(|word| &*word.leak())
}
