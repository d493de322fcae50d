//! One statement with its values, and what comes back.

use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, ToSql, Type};

use super::conn::Failure;

/// A statement. All of them are constants; what is from outside goes beside them.
pub(super) struct Ask {
    pub(super) sql: &'static str,
    pub(super) with: Vec<(Box<dyn ToSql + Sync + Send>, Type)>,
}

impl Ask {
    pub(super) fn new(sql: &'static str) -> Self {
        Self { sql, with: Vec::new() }
    }

    fn and(mut self, value: impl ToSql + Sync + Send + 'static, of: Type) -> Self {
        self.with.push((Box::new(value), of));
        self
    }

    pub(super) fn text(self, text: &str) -> Self {
        self.and(kept(text), Type::TEXT)
    }

    pub(super) fn int(self, number: i64) -> Self {
        self.and(number, Type::INT8)
    }

    /// A number of ours. One that the database cannot count to is in no row of it.
    pub(super) fn count(self, number: u64) -> Self {
        self.int(i64::try_from(number).unwrap_or(i64::MAX))
    }

    pub(super) fn limit(self, rows: usize) -> Self {
        self.int(i64::try_from(rows).unwrap_or(i64::MAX))
    }

    pub(super) fn maybe_int(self, number: Option<i64>) -> Self {
        self.and(number, Type::INT8)
    }

    pub(super) fn yes(self, yes: bool) -> Self {
        self.and(yes, Type::BOOL)
    }

    pub(super) fn bytes(self, bytes: Vec<u8>) -> Self {
        self.and(bytes, Type::BYTEA)
    }

    pub(super) fn texts<'a>(self, all: impl IntoIterator<Item = &'a str>) -> Self {
        self.and(all.into_iter().map(kept).collect::<Vec<_>>(), Type::TEXT_ARRAY)
    }

    pub(super) fn maybe_texts<'a>(self, all: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        self.and(all.into_iter().map(|text| text.map(kept)).collect::<Vec<_>>(), Type::TEXT_ARRAY)
    }

    pub(super) fn ints(self, all: impl IntoIterator<Item = i64>) -> Self {
        self.and(all.into_iter().collect::<Vec<_>>(), Type::INT8_ARRAY)
    }

    pub(super) fn counts(self, all: impl IntoIterator<Item = u64>) -> Self {
        self.ints(all.into_iter().map(|number| i64::try_from(number).unwrap_or(i64::MAX)))
    }

    pub(super) fn maybe_ints(self, all: impl IntoIterator<Item = Option<i64>>) -> Self {
        self.and(all.into_iter().collect::<Vec<_>>(), Type::INT8_ARRAY)
    }

    pub(super) fn flags(self, all: impl IntoIterator<Item = bool>) -> Self {
        self.and(all.into_iter().collect::<Vec<_>>(), Type::BOOL_ARRAY)
    }

    pub(super) fn many_bytes(self, all: impl IntoIterator<Item = Option<Vec<u8>>>) -> Self {
        self.and(all.into_iter().collect::<Vec<_>>(), Type::BYTEA_ARRAY)
    }
}

/// PostgreSQL's text cannot hold a NUL, and an alert's fingerprint may. Two texts never become the same one.
fn kept(text: &str) -> String {
    match text.contains(['\0', ESCAPE]) {
        false => text.to_owned(),
        true => text.replace(ESCAPE, "\u{1}1").replace('\0', "\u{1}0"),
    }
}

fn told(text: String) -> String {
    match text.contains(ESCAPE) {
        false => text,
        true => text.replace("\u{1}0", "\0").replace("\u{1}1", "\u{1}"),
    }
}

const ESCAPE: char = '\u{1}';

/// Columns by their place.
pub(super) trait Columns {
    fn get_as<T: for<'a> FromSql<'a>>(&self, column: usize) -> Result<T, Failure>;

    fn text(&self, column: usize) -> Result<String, Failure> {
        self.get_as(column).map(told)
    }

    fn maybe_text(&self, column: usize) -> Result<Option<String>, Failure> {
        Ok(self.get_as::<Option<String>>(column)?.map(told))
    }

    fn int(&self, column: usize) -> Result<i64, Failure> {
        self.get_as(column)
    }

    /// A number that is never below zero as we write it. One that is was changed, and zero would be a guess.
    fn count(&self, column: usize) -> Result<u64, Failure> {
        let number = self.int(column)?;
        u64::try_from(number)
            .map_err(|_| Failure::No(format!("{number} stands where nothing below zero can be")))
    }

    fn maybe_seal(&self, column: usize) -> Result<Option<Vec<u8>>, Failure> {
        self.get_as(column)
    }
}

impl Columns for Row {
    fn get_as<T: for<'a> FromSql<'a>>(&self, column: usize) -> Result<T, Failure> {
        self.try_get(column).map_err(|error| Failure::No(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_text_comes_back_as_it_was(text in "[\u{0}\u{1}01a]{0,8}") {
            let stored = kept(&text);
            prop_assert!(!stored.contains('\0'));
            prop_assert_eq!(told(stored), text);
        }
    }
}
