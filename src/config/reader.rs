//! Reads a file into a type, by the type's own JSON Schema: one description for editors, for reading and for messages.
//!
//! Every part is checked, whatever is wrong with its neighbours, so that all mistakes come out at once. A part that is
//! wrong is left out of what goes on to the later checks, so that one mistake is told once.

use serde_json::{Map, Value};

use super::formats;
use super::mistakes::{Mistakes, Place, meant};
use super::schemas::{Format, schema_of};
use super::tree::{Kind, Node, parse};

/// What came out of a file.
pub struct Read<T> {
    /// Only if nothing is wrong.
    pub value: Option<T>,
    /// Everything that is right by itself: for checks across fields.
    pub json: Value,
    pub root: Node,
}

impl<T> Read<T> {
    /// A value that was written and is right by itself, by JSON pointer.
    pub fn get<P: std::str::FromStr>(&self, pointer: &str) -> Option<P> {
        self.json.pointer(pointer).and_then(Value::as_str).and_then(|text| text.parse().ok())
    }
}

impl Read<super::file::ConfigFile> {
    /// As if this name were written.
    pub(super) fn named(mut self, name: &str) -> Self {
        if let Some(map) = self.json.as_object_mut() {
            map.insert("name".to_owned(), Value::from(name));
        }
        if let Some(file) = &mut self.value {
            file.name = Some(name.to_owned());
        }
        self
    }
}

/// Reads a whole file's text.
pub fn read<T: Format>(text: &str, mistakes: &mut Mistakes) -> Option<Read<T>> {
    let root = parse(text, mistakes)?;
    let schema = schema_of::<T>();
    let before = mistakes.list().len();
    let mut checker = Checker { whole: &schema, mistakes };
    let json = checker.check(&root, &schema, "").unwrap_or(Value::Null);
    let value = if mistakes.list().len() > before {
        None
    } else {
        // The schema and the type are one; if they ever differ, that is told rather than believed.
        serde_json::from_value(json.clone())
            .map_err(|error| mistakes.add(Place::START, format!("cannot be read: {error}")))
            .ok()
    };
    Some(Read { value, json, root })
}

struct Checker<'s, 'm> {
    whole: &'s Value,
    mistakes: &'m mut Mistakes,
}

impl<'s> Checker<'s, '_> {
    /// The part as JSON, or `None` when it is wrong, which has been told then.
    fn check(&mut self, node: &Node, schema: &'s Value, path: &str) -> Option<Value> {
        let schema = self.resolve(schema, Some(node));
        if let Some(words) = choices(schema) {
            return self.choice(node, &words, path);
        }
        match type_of(schema) {
            "object" => self.object(node, schema, path),
            "array" => self.array(node, schema, path),
            kind => self.scalar(node, schema, kind, path),
        }
    }

    /// Follows references and looks through "or nothing". Of "one or a list of them" the one that was written.
    fn resolve(&self, mut schema: &'s Value, written: Option<&Node>) -> &'s Value {
        let listed = written.is_some_and(|node| matches!(node.kind, Kind::List(_)));
        for _ in 0..8 {
            let inner =
                schema["$ref"].as_str().map(|r| &self.whole[&"$defs"][r.trim_start_matches("#/$defs/")]);
            let option = schema["anyOf"].as_array().and_then(|any| {
                let list = any.iter().find(|s| listed && s["type"] == "array");
                list.or_else(|| any.iter().find(|s| s["type"] != "null"))
            });
            match inner.or(option) {
                Some(next) => schema = next,
                None => break,
            }
        }
        schema
    }

    fn object(&mut self, node: &Node, schema: &'s Value, path: &str) -> Option<Value> {
        let entries = match &node.kind {
            Kind::Map(entries) => entries.as_slice(),
            _ if node.empty() => &[],
            _ => return self.wrong(node, path, "a group of keys"),
        };
        let known = schema["properties"].as_object();
        let others = schema.get("additionalProperties").filter(|s| s.is_object());
        let mut found = Map::new();
        for (i, entry) in entries.iter().enumerate() {
            if let Some(first) = entries[..i].iter().find(|e| e.key == entry.key) {
                let line = first.key_place.line;
                let text = format!("{} is written twice, first in line {line}; keep one", entry.key);
                self.mistakes.add(entry.key_place, text);
                continue;
            }
            let Some(schema) = known.and_then(|k| k.get(&entry.key)).or(others) else {
                let words = known.into_iter().flat_map(|k| k.keys().map(String::as_str));
                self.mistakes.add(entry.key_place, unknown_key(&entry.key, path, words.collect()));
                continue;
            };
            if let Some(value) = self.check(&entry.value, schema, &join(path, &entry.key)) {
                found.insert(entry.key.clone(), value);
            }
        }
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !entries.iter().any(|entry| entry.key == name) {
                let place = entries.first().map_or(node.place, |entry| entry.key_place);
                let hint = known
                    .and_then(|k| k.get(name))
                    .map(|s| example(self.resolve(s, None)))
                    .unwrap_or_default();
                self.mistakes.add(place, format!("{} is missing{hint}", join(path, name)));
            }
        }
        Some(Value::Object(found))
    }

    fn array(&mut self, node: &Node, schema: &'s Value, path: &str) -> Option<Value> {
        let Kind::List(items) = &node.kind else {
            return self.wrong(node, path, "a list, such as [one, two]");
        };
        let at_least = schema["minItems"].as_u64().unwrap_or(0);
        if (items.len() as u64) < at_least {
            self.mistakes.add(node.place, format!("{path} needs at least {at_least} entry"));
            return None;
        }
        let found = items.iter().enumerate();
        Some(
            found
                .filter_map(|(i, item)| self.check(item, &schema["items"], &join(path, &i.to_string())))
                .collect(),
        )
    }

    fn choice(&mut self, node: &Node, words: &[&str], path: &str) -> Option<Value> {
        if let Kind::Scalar { text, .. } = &node.kind {
            if words.contains(&text.as_str()) {
                return Some(Value::String(text.clone()));
            }
            let one_of = words.join(", ");
            let hint = meant(text, words.iter().copied()).map_or_else(
                || format!("write one of: {one_of}"),
                |w| format!("did you mean {w}? (one of: {one_of})"),
            );
            self.mistakes.add(node.place, format!("{path} cannot be {text:?}; {hint}"));
            return None;
        }
        self.wrong(node, path, &format!("one of: {}", words.join(", ")))
    }

    fn scalar(&mut self, node: &Node, schema: &Value, kind: &str, path: &str) -> Option<Value> {
        let wanted = match kind {
            "integer" => "a whole number",
            "number" => "a number",
            "boolean" => "true or false",
            _ => "a text",
        };
        let Kind::Scalar { text, plain } = &node.kind else {
            return self.wrong(node, path, wanted);
        };
        let value = match kind {
            "integer" if *plain => text.parse::<i64>().ok().map(Value::from),
            "number" if *plain => text.parse::<f64>().ok().filter(|n| n.is_finite()).map(Value::from),
            "boolean" if *plain => text.parse::<bool>().ok().map(Value::from),
            "string" if !node.empty() => Some(Value::String(text.clone())),
            _ => None,
        };
        let Some(value) = value else {
            let shown = if node.empty() { "nothing".to_owned() } else { format!("{text:?}") };
            self.mistakes.add(node.place, format!("{path} needs {wanted}, found {shown}{}", example(schema)));
            return None;
        };
        if let Err(why) = bounds(schema, &value).and_then(|()| formats::check(schema, text)) {
            self.mistakes.add(node.place, format!("{path}: {why}"));
            return None;
        }
        Some(value)
    }

    fn wrong(&mut self, node: &Node, path: &str, wanted: &str) -> Option<Value> {
        let path = if path.is_empty() { "the file" } else { path };
        self.mistakes.add(node.place, format!("{path} needs {wanted}, found {}", node.what()));
        None
    }
}

fn join(path: &str, step: &str) -> String {
    if path.is_empty() { step.to_owned() } else { format!("{path}.{step}") }
}

fn type_of(schema: &Value) -> &str {
    match &schema["type"] {
        Value::String(kind) => kind,
        Value::Array(kinds) => {
            kinds.iter().filter_map(Value::as_str).find(|k| *k != "null").unwrap_or("string")
        }
        _ => "string",
    }
}

/// The words of an enumeration, in either of the forms in which it is described.
fn choices(schema: &Value) -> Option<Vec<&str>> {
    if let Some(words) = schema["enum"].as_array() {
        return Some(words.iter().filter_map(Value::as_str).collect());
    }
    let variants = schema["oneOf"].as_array()?;
    let of = |variant| match choices(variant) {
        Some(words) => words,
        None => variant["const"].as_str().into_iter().collect(),
    };
    Some(variants.iter().flat_map(of).collect())
}

fn bounds(schema: &Value, value: &Value) -> Result<(), String> {
    let Some(n) = value.as_f64() else { return Ok(()) };
    let (min, max) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
    let above = schema["exclusiveMinimum"].as_f64();
    let width = match schema["format"].as_str() {
        Some("uint8") => f64::from(u8::MAX),
        Some("uint16") => f64::from(u16::MAX),
        Some("uint32") => f64::from(u32::MAX),
        _ => f64::INFINITY,
    };
    let max = max.unwrap_or(f64::INFINITY).min(width);
    if above.is_some_and(|above| n <= above) || n < min.unwrap_or(f64::NEG_INFINITY) || n > max {
        let low = min
            .map_or_else(|| format!("more than {}", above.unwrap_or_default()), |m| format!("{m} or more"));
        let high = if max.is_finite() { format!(", at most {max}") } else { String::new() };
        return Err(format!("{value} is out of range; write {low}{high}"));
    }
    Ok(())
}

fn example(schema: &Value) -> String {
    if let Some(words) = choices(schema) {
        return format!("; write one of: {}", words.join(", "));
    }
    schema["examples"][0].as_str().map(|e| format!("; write for example {e}")).unwrap_or_default()
}

fn unknown_key(key: &str, path: &str, known: Vec<&str>) -> String {
    let whole = join(path, key);
    if ["token", "secret", "password", "apitoken", "api_token"].contains(&key.to_ascii_lowercase().as_str()) {
        return format!(
            "{whole}: secrets do not stand in this file; put it in a file of its own and name that"
        );
    }
    match meant(key, known.iter().copied()) {
        Some(word) => format!("{whole} is not known; did you mean {word}?"),
        None => format!("{whole} is not known; known here: {}", known.join(", ")),
    }
}
