//! Parameters of a call, and the closed schema that refuses everything it does not list, in Proxmox's words.

use std::collections::BTreeMap;

use serde_json::Value;

/// What was asked: from the path, the query and the body together. Values stay as they came.
#[derive(Clone, Debug, Default)]
pub(super) struct Params(pub BTreeMap<String, Value>);

impl Params {
    /// A parameter as text, whatever it was written as. Call only after [`check`].
    pub fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).map(plain)
    }

    pub fn number(&self, name: &str) -> Option<i64> {
        self.text(name)?.parse().ok()
    }

    /// Absent is no.
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.text(name).as_deref(), Some("1"))
    }
}

/// JSON booleans count as 1 and 0; text is taken as it is.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(yes) => u8::from(*yes).to_string(),
        other => other.to_string(),
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Text,
    /// With the smallest allowed value.
    Int(Option<i64>),
    Number,
    Bool,
    Node,
    Vmid,
    One(&'static [&'static str]),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Param {
    pub name: &'static str,
    pub kind: Kind,
    pub optional: bool,
}

pub(super) const fn must(name: &'static str, kind: Kind) -> Param {
    Param { name, kind, optional: false }
}

pub(super) const fn may(name: &'static str, kind: Kind) -> Param {
    Param { name, kind, optional: true }
}

/// Parameter → what is wrong with it; empty when all is well.
pub(super) fn check<'a>(
    params: &Params,
    allowed: impl Iterator<Item = &'a Param> + Clone,
) -> BTreeMap<String, String> {
    let mut errors = BTreeMap::new();
    for (name, value) in &params.0 {
        let wrong = match allowed.clone().find(|param| param.name == name) {
            None => Some(
                "property is not defined in schema and the schema does not allow additional properties"
                    .to_owned(),
            ),
            Some(param) => wrong(param.kind, value),
        };
        errors.extend(wrong.map(|text| (name.clone(), text)));
    }
    for param in allowed.filter(|param| !param.optional && !params.0.contains_key(param.name)) {
        errors.insert(param.name.to_owned(), "property is missing and it is not optional".to_owned());
    }
    errors
}

fn wrong(kind: Kind, value: &Value) -> Option<String> {
    let text = plain(value);
    let ill_typed = |name: &str| Some(format!("type check ('{name}') failed - got '{text}'"));
    match kind {
        Kind::Text => None,
        Kind::Bool => {
            if matches!(text.as_str(), "0" | "1") {
                None
            } else {
                ill_typed("boolean")
            }
        }
        Kind::Number => {
            if text.parse::<f64>().is_ok_and(f64::is_finite) {
                None
            } else {
                ill_typed("number")
            }
        }
        Kind::Int(least) => match (text.parse::<i64>(), least) {
            (Err(_), _) => ill_typed("integer"),
            (Ok(n), Some(least)) if n < least => Some(format!("value must have a minimum value of {least}")),
            (Ok(_), _) => None,
        },
        Kind::Vmid => match text.parse::<u32>() {
            Err(_) => ill_typed("integer"),
            Ok(n) if !(100..=999_999_999).contains(&n) => {
                Some("invalid format - value does not look like a valid VM ID\n".to_owned())
            }
            Ok(_) => None,
        },
        Kind::Node => {
            let name = !text.is_empty()
                && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
                && !text.starts_with('-')
                && !text.ends_with('-');
            (!name).then(|| "invalid format - value does not look like a valid node name\n".to_owned())
        }
        Kind::One(words) => (!words.contains(&text.as_str())).then(|| {
            format!("value '{text}' does not have a value in the enumeration '{}'", words.join(", "))
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked(value: Value) -> Params {
        Params(value.as_object().expect("an object").clone().into_iter().collect())
    }

    #[test]
    fn the_schema_is_closed_and_speaks_proxmox() {
        let allowed =
            [must("target", Kind::Node), may("online", Kind::Bool), may("action", Kind::One(&["stop"]))];
        assert!(check(&asked(json!({"target": "pve1", "online": true})), allowed.iter()).is_empty());
        let errors = check(&asked(json!({"online": "on", "bogus": 1, "action": "reboot"})), allowed.iter());
        assert_eq!(errors["target"], "property is missing and it is not optional");
        assert_eq!(errors["online"], "type check ('boolean') failed - got 'on'");
        assert!(errors["bogus"].starts_with("property is not defined in schema"));
        assert_eq!(errors["action"], "value 'reboot' does not have a value in the enumeration 'stop'");
        assert_eq!(errors.len(), 4);
    }
}
