//! Scalars as Perl writes them: the same value may come as number, string or boolean, depending on who touched it last.
//!
//! [`Flag`], [`Int`], [`Num`], [`Text`] and [`Word`] refuse what cannot be read. [`Stat`] does not: it is for figures that nobody decides
//! anything about on their own, so that one odd figure does not blind us to a cluster.

use std::{borrow::Cow, collections::BTreeMap, fmt, ops::Deref};

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// A boolean: `0`/`1`, `"0"`/`"1"`, `true`/`false`, or a word; Perl writes an empty string for false.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flag(pub bool);

/// A whole number, perhaps in quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Int(pub i64);

/// Any number, perhaps in quotes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Num(pub f64);

/// A text; a guest called `123` comes as a number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(pub String);

/// The same, borrowed from the body where it stands there as it is: for answers that grow with a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Word<'a>(pub Cow<'a, str>);

/// A figure, or `None` for anything that is not one.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Stat(pub Option<f64>);

/// A list written as `a,b;c d` or as a JSON array.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Items(pub Vec<String>);

/// A JSON object by name. Perl sometimes writes an empty one as `[]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table<T>(pub BTreeMap<String, T>);

impl<T> Default for Table<T> {
    fn default() -> Table<T> {
        Table(BTreeMap::new())
    }
}

impl Deref for Text {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Deref for Word<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<T> Deref for Table<T> {
    type Target = BTreeMap<String, T>;
    fn deref(&self) -> &BTreeMap<String, T> {
        &self.0
    }
}

/// Any of them, as it was written.
enum Scalar<'de> {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Cow<'de, str>),
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a string or a boolean")
    }
    fn visit_bool<E>(self, v: bool) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Bool(v))
    }
    fn visit_i64<E>(self, v: i64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Int(v))
    }
    fn visit_u64<E>(self, v: u64) -> Result<Scalar<'de>, E> {
        Ok(i64::try_from(v).map_or(Scalar::Float(v as f64), Scalar::Int))
    }
    fn visit_f64<E>(self, v: f64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Float(v))
    }
    fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Borrowed(v)))
    }
    fn visit_str<E>(self, v: &str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Owned(v.to_owned())))
    }
}

/// What each kind of value is.
impl<'de> Scalar<'de> {
    fn flag(&self) -> Option<Flag> {
        let flag = match self {
            Scalar::Bool(b) => Some(*b),
            Scalar::Int(n) => Some(*n != 0),
            Scalar::Float(_) => None,
            Scalar::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
                "1" | "true" | "yes" | "on" => Some(true),
                "0" | "false" | "no" | "off" | "" => Some(false),
                _ => None,
            },
        };
        flag.map(Flag)
    }

    fn int(&self) -> Option<Int> {
        let int = match self {
            Scalar::Bool(b) => Some(i64::from(*b)),
            Scalar::Int(n) => Some(*n),
            // Beyond 2^53 a float is no longer the number that was written.
            Scalar::Float(x) if x.fract() == 0.0 && x.abs() < 9e15 => Some(*x as i64),
            Scalar::Float(_) => None,
            Scalar::Text(text) => text.trim().parse().ok(),
        };
        int.map(Int)
    }

    fn text(self) -> Cow<'de, str> {
        match self {
            Scalar::Bool(b) => i32::from(b).to_string().into(),
            Scalar::Int(n) => n.to_string().into(),
            Scalar::Float(x) => x.to_string().into(),
            Scalar::Text(text) => text,
        }
    }
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Flag, D::Error> {
        let flag = d.deserialize_any(ScalarVisitor)?.flag();
        flag.ok_or_else(|| D::Error::custom("expected a boolean in any of Perl's spellings"))
    }
}

impl<'de> Deserialize<'de> for Int {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Int, D::Error> {
        d.deserialize_any(ScalarVisitor)?.int().ok_or_else(|| D::Error::custom("expected a whole number"))
    }
}

impl<'de> Deserialize<'de> for Num {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Num, D::Error> {
        number(d.deserialize_any(ScalarVisitor)?)
            .map(Num)
            .ok_or_else(|| D::Error::custom("expected a number"))
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Text, D::Error> {
        Ok(Text(d.deserialize_any(ScalarVisitor)?.text().into_owned()))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Word<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Word<'a>, D::Error> {
        Ok(Word(d.deserialize_any(ScalarVisitor)?.text()))
    }
}

impl<'de> Deserialize<'de> for Stat {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Stat, D::Error> {
        d.deserialize_any(StatVisitor)
    }
}

struct StatVisitor;

impl<'de> Visitor<'de> for StatVisitor {
    type Value = Stat;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a figure")
    }
    fn visit_i64<E>(self, v: i64) -> Result<Stat, E> {
        Ok(Stat(Some(v as f64)))
    }
    fn visit_u64<E>(self, v: u64) -> Result<Stat, E> {
        Ok(Stat(Some(v as f64)))
    }
    fn visit_f64<E>(self, v: f64) -> Result<Stat, E> {
        Ok(Stat(Some(v).filter(|x| x.is_finite())))
    }
    fn visit_str<E>(self, v: &str) -> Result<Stat, E> {
        Ok(Stat(v.trim().parse().ok().filter(|x: &f64| x.is_finite())))
    }
    fn visit_bool<E>(self, _: bool) -> Result<Stat, E> {
        Ok(Stat(None))
    }
    fn visit_unit<E>(self) -> Result<Stat, E> {
        Ok(Stat(None))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Stat, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Stat(None))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Stat, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Stat(None))
    }
}

fn number(scalar: Scalar<'_>) -> Option<f64> {
    let number = match scalar {
        Scalar::Bool(b) => f64::from(u8::from(b)),
        Scalar::Int(n) => n as f64,
        Scalar::Float(x) => x,
        Scalar::Text(text) => text.trim().parse().ok()?,
    };
    number.is_finite().then_some(number)
}

impl<'de> Deserialize<'de> for Items {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Items, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Array(Vec<Text>),
            List(Text),
        }
        Ok(Items(match Either::deserialize(d)? {
            Either::Array(items) => items.into_iter().map(|t| t.0).collect(),
            Either::List(text) => {
                let items = text.split([',', ';', ' ', '\t', '\n']).filter(|item| !item.is_empty());
                items.map(str::to_owned).collect()
            }
        }))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Table<T>, D::Error> {
        d.deserialize_any(TableVisitor(std::marker::PhantomData))
    }
}

struct TableVisitor<T>(std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for TableVisitor<T> {
    type Value = Table<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Table<T>, A::Error> {
        let mut table = BTreeMap::new();
        while let Some((name, value)) = map.next_entry()? {
            table.insert(name, value);
        }
        Ok(Table(table))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Table<T>, A::Error> {
        match seq.next_element::<IgnoredAny>()? {
            None => Ok(Table::default()),
            Some(_) => Err(A::Error::custom("expected an object, found a list with something in it")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: for<'de> Deserialize<'de>>(json: &str) -> Option<T> {
        serde_json::from_str(json).ok()
    }

    #[test]
    fn a_boolean_is_read_in_all_of_perls_spellings() {
        for yes in ["1", "\"1\"", "true", "\"true\"", "\"on\"", "2"] {
            assert_eq!(read(yes), Some(Flag(true)), "{yes}");
        }
        for no in ["0", "\"0\"", "false", "\"\"", "\"off\""] {
            assert_eq!(read(no), Some(Flag(false)), "{no}");
        }
        for nonsense in ["\"maybe\"", "null", "[]", "{}", "0.5"] {
            assert_eq!(read::<Flag>(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn a_number_may_stand_in_quotes_and_nonsense_is_no_number() {
        assert_eq!(read("\"3\""), Some(Int(3)));
        assert_eq!(read("3.0"), Some(Int(3)));
        assert_eq!(read::<Int>("\"three\""), None);
        assert_eq!(read::<Int>("3.5"), None);
        assert_eq!(read("\"2596.140\""), Some(Num(2596.14)));
        assert_eq!(read::<Num>("\"NaN\""), None);
    }

    #[test]
    fn a_guest_may_be_called_by_a_number() {
        assert_eq!(read("123"), Some(Text("123".to_owned())));
        assert_eq!(read::<Text>("{}"), None);
    }

    #[test]
    fn an_odd_figure_is_no_figure_and_no_error() {
        assert_eq!(read("{\"x\":1}"), Some(Stat(None)));
        assert_eq!(read("[1,[2]]"), Some(Stat(None)));
        assert_eq!(read("true"), Some(Stat(None)));
        assert_eq!(read("\"inf\""), Some(Stat(None)));
        assert_eq!(read("\"5\""), Some(Stat(Some(5.0))));
    }

    #[test]
    fn a_word_is_borrowed_where_it_stands_as_it_is() {
        let word = |json: &'static str| serde_json::from_str::<Word>(json).expect(json).0;
        assert!(matches!(word("\"pve1\""), Cow::Borrowed("pve1")));
        assert_eq!(word(r#""pve\u0031""#), "pve1");
        assert_eq!(word("123"), "123");
        assert!(serde_json::from_str::<Word>("null").is_err());
    }

    #[test]
    fn an_empty_object_may_come_as_an_empty_list_but_not_as_a_full_one() {
        assert_eq!(read("[]"), Some(Table::<Int>::default()));
        assert_eq!(read::<Table<Int>>("[1]"), None);
        assert_eq!(read::<Table<Int>>("null"), None);
    }

    #[test]
    fn a_list_may_be_an_array_or_a_text() {
        let both = Items(vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!(read("\"a,b\""), Some(both.clone()));
        assert_eq!(read("\"a; b\""), Some(both.clone()));
        assert_eq!(read("[\"a\",\"b\"]"), Some(both));
    }
}
