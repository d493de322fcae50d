//! Fills a template's texts: in a path every value is percent-encoded, in a body every value becomes JSON, and a name
//! that is not there is an error. Nothing that a person wrote in an alarm can break out of its place.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use minijinja::value::Value as Given;
use minijinja::{AutoEscape, Environment, Output, State, UndefinedBehavior};
use serde_json::Value;

use crate::adapters::tickets::error::TicketError;
use crate::model::ticket_template::Pointer;

/// What a text may use.
#[derive(Clone, Default)]
pub struct Fill {
    given: BTreeMap<&'static str, Given>,
}

impl Fill {
    pub fn plain(given: BTreeMap<&'static str, Given>) -> Self {
        Self { given }
    }

    pub fn with(mut self, name: &'static str, value: Given) -> Self {
        self.given.insert(name, value);
        self
    }

    /// A header: as it is.
    pub fn text(&self, template: &str) -> Result<String, TicketError> {
        self.render(&environment(AutoEscape::None), template)
    }

    /// A path with its query: values are encoded, the template's own characters stay.
    pub fn url(&self, template: &str) -> Result<String, TicketError> {
        let mut env = environment(AutoEscape::None);
        env.set_formatter(encoded);
        self.render(&env, template)
    }

    /// A body: checked to be JSON, and sent compact.
    pub fn json(&self, template: &str) -> Result<String, TicketError> {
        let text = self.render(&environment(AutoEscape::Json), template)?;
        let value: Value = serde_json::from_str(&text)
            .map_err(|error| TicketError::Setup(format!("the ticket template's body is no JSON: {error}")))?;
        Ok(value.to_string())
    }

    fn render(&self, env: &Environment, template: &str) -> Result<String, TicketError> {
        // The error names the place in the template and the missing name, never the values.
        env.render_named_str("template", template, &self.given).map_err(|error| {
            let why = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
            TicketError::Setup(format!("the ticket template cannot be filled: {why}"))
        })
    }
}

fn environment(escape: AutoEscape) -> Environment<'static> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_auto_escape_callback(move |_| escape);
    env.add_filter("base64", |text: String| base64(text.as_bytes()));
    env
}

fn encoded(out: &mut Output, _state: &State, value: &Given) -> Result<(), minijinja::Error> {
    if value.is_undefined() {
        return Err(minijinja::ErrorKind::UndefinedError.into());
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~');
    for byte in value.to_string().bytes() {
        if plain(byte) {
            out.write_char(byte as char)?;
        } else {
            out.write_str(&format!("%{byte:02X}"))?;
        }
    }
    Ok(())
}

/// For `Authorization: Basic`. RFC 4648 §4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let all =
            group.iter().fold(0_u32, |all, byte| all << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for i in 0..4 {
            let letter = LETTERS[(all >> (18 - 6 * i)) as usize & 63] as char;
            text.push(if i > group.len() { '=' } else { letter });
        }
    }
    text
}

/// The place in an answer.
pub fn at<'a>(body: &'a Value, pointer: &Pointer) -> Option<&'a Value> {
    body.pointer(&pointer.0).filter(|value| !value.is_null())
}

/// A text, or a number's digits.
pub fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill() -> Fill {
        Fill::default().with("title", Given::from("a \"fan\"\n& <b> ü"))
    }

    #[test]
    fn nothing_breaks_out_of_a_body() {
        let body = fill().json(r#"{"title": {{ title }}, "n": 1}"#).expect("JSON");
        let value: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(value["title"], "a \"fan\"\n& <b> ü");
    }

    #[test]
    fn nothing_breaks_out_of_a_path() {
        let path = fill().url("/x?q={{ title }}&n=1").expect("a path");
        assert_eq!(path, "/x?q=a%20%22fan%22%0A%26%20%3Cb%3E%20%C3%BC&n=1");
    }

    #[test]
    fn a_name_that_is_not_there_is_an_error() {
        for template in ["{{ nobody }}", "{{ title.deep }}"] {
            assert!(fill().url(template).is_err(), "{template}");
            assert!(fill().text(template).is_err(), "{template}");
            assert!(fill().json(template).is_err(), "{template}");
        }
    }

    #[test]
    fn base64_as_in_the_standard() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
