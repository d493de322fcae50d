//! Label matchers in Alertmanager's syntax: `class="fan"`, `severity=~"warning|critical"`, `site!="lab"`.

use std::fmt;
use std::str::FromStr;

use regex::Regex;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An alert's labels. An empty label is an absent one, as in Alertmanager.
pub use super::labels::Labels;

/// One condition on one label. Regular expressions match the whole value, as in Alertmanager.
#[derive(Clone, Debug)]
pub struct Matcher {
    label: String,
    value: String,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    Is,
    IsNot,
    Matches(Pattern),
    MatchesNot(Pattern),
}

/// A regular expression for whole values.
#[derive(Clone, Debug)]
enum Pattern {
    /// The value is plain words with `|` between them.
    Words,
    Regex(Regex),
}

impl Matcher {
    pub fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.label).unwrap_or_default();
        match &self.test {
            Test::Is => value == self.value,
            Test::IsNot => value != self.value,
            Test::Matches(pattern) => self.fits(pattern, value),
            Test::MatchesNot(pattern) => !self.fits(pattern, value),
        }
    }

    fn fits(&self, pattern: &Pattern, value: &str) -> bool {
        match pattern {
            Pattern::Words => self.value.split('|').any(|word| word == value),
            Pattern::Regex(regex) => regex.is_match(value),
        }
    }

    fn operator(&self) -> &'static str {
        match self.test {
            Test::Is => "=",
            Test::IsNot => "!=",
            Test::Matches(_) => "=~",
            Test::MatchesNot(_) => "!~",
        }
    }
}

/// What is wrong with a matcher, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAMatcher {
    #[error(
        "{0:?} is not a matcher; write label=\"value\", label!=\"value\", label=~\"regex\" or label!~\"regex\""
    )]
    Shape(String),
    #[error("the regular expression of {label} does not compile: {why}")]
    Regex { label: String, why: String },
}

impl FromStr for Matcher {
    type Err = NotAMatcher;

    fn from_str(text: &str) -> Result<Self, NotAMatcher> {
        let shape = || NotAMatcher::Shape(text.to_owned());
        let start = text.find(['=', '!']).ok_or_else(shape)?;
        let (label, rest) = text.split_at(start);
        let label = label.trim();
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if label.is_empty() || label.starts_with(|c: char| c.is_ascii_digit()) || !label.chars().all(word) {
            return Err(shape());
        }
        let (operator, quoted) = ["=~", "!~", "!=", "="]
            .into_iter()
            .find_map(|operator| rest.strip_prefix(operator).map(|quoted| (operator, quoted.trim())))
            .ok_or_else(shape)?;
        let value: String = serde_json::from_str(quoted).map_err(|_| shape())?;
        let pattern = |value: &str| {
            if value.chars().all(|c| word(c) || matches!(c, '-' | ' ' | '|')) {
                return Ok(Pattern::Words);
            }
            Regex::new(&format!("^(?s:{value})$"))
                .map(Pattern::Regex)
                .map_err(|why| NotAMatcher::Regex { label: label.to_owned(), why: why.to_string() })
        };
        let test = match operator {
            "=" => Test::Is,
            "!=" => Test::IsNot,
            "=~" => Test::Matches(pattern(&value)?),
            _ => Test::MatchesNot(pattern(&value)?),
        };
        Ok(Self { label: label.to_owned(), value, test })
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{:?}", self.label, self.operator(), self.value)
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.label == other.label && self.operator() == other.operator() && self.value == other.value
    }
}

impl Serialize for Matcher {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Matcher {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn matchers_read_as_alertmanager_reads_them() {
        let fan = labels(&[("alarm_class", "fan"), ("severity", "warning")]);
        for (text, expected) in [
            (r#"alarm_class="fan""#, true),
            (r#"alarm_class!="fan""#, false),
            (r#"severity=~"warning|critical""#, true),
            (r#"severity=~"warn""#, false),
            (r#"severity!~"warn""#, true),
            (r#"site="""#, true),
        ] {
            assert_eq!(text.parse::<Matcher>().expect(text).matches(&fan), expected, "{text}");
        }
    }

    #[test]
    fn words_are_read_as_the_regular_expression_that_they_are() {
        for words in ["warning|critical", "node-down|node_down", "front panel", "a||b", "|", ""] {
            let by_words = format!("class=~{words:?}").parse::<Matcher>().expect(words);
            let by_regex = format!("class=~{:?}", format!("(?:{words})")).parse::<Matcher>().expect(words);
            assert!(matches!(by_words.test, Test::Matches(Pattern::Words)), "{words}");
            assert!(matches!(by_regex.test, Test::Matches(Pattern::Regex(_))), "{words}");
            for value in [
                "warning",
                "critical",
                "warning|critical",
                "node_down",
                "front panel",
                "Warning",
                "a",
                "b",
                "",
            ] {
                let of_it = labels(&[("class", value)]);
                assert_eq!(by_words.matches(&of_it), by_regex.matches(&of_it), "{words}: {value:?}");
            }
        }
    }

    #[test]
    fn what_is_not_a_matcher_says_what_to_write() {
        for text in ["", "fan", "=\"x\"", "a=b", "9a=\"b\"", "a==\"b\"", "a=~\"(\""] {
            assert!(text.parse::<Matcher>().is_err(), "{text} must be refused");
        }
    }
}
