//! `{{ node }}` and `{{ component }}` in a PromQL expression. Both values come from alerts, so from anybody who can
//! send one: they may name a part, they must never change the question.
//!
//! A placeholder therefore stands inside the quoted value of a label matcher and nowhere else; there every character
//! can be made to mean itself. `\` and quotes are escaped, and in `=~` and `!~` so are the regular expression's signs.

use crate::model::fault::FaultKey;

/// What is wrong with a query, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadQuery {
    #[error("{{{{ {0} }}}} is not known; write {{{{ node }}}} or {{{{ component }}}}")]
    UnknownPlaceholder(String),
    #[error("{{{{ {0} }}}} must be a label's quoted value, such as node=\"{{{{ {0} }}}}\"")]
    OutsideMatcher(&'static str),
    #[error("a quotation mark or a placeholder is not closed")]
    Unclosed,
    #[error("the alert names no part, and the query asks for {{{{ component }}}}")]
    NoComponent,
    #[error("a part with a backquote in its name cannot be asked for in backquotes; use double quotes")]
    Backquote,
}

/// Where in the expression we are.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Code,
    Comment,
    Text { quote: char, what: Kind },
}

/// What a quoted text is for, told from what stands before it.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Equal,
    Regex,
    /// An argument of a function or the like.
    Other,
}

/// Fills in the placeholders.
///
/// # Errors
/// The query is not to be asked as it stands.
pub fn fill(template: &str, fault: &FaultKey) -> Result<String, BadQuery> {
    let mut query = String::with_capacity(template.len() + 64);
    let mut place = Place::Code;
    // How deep in `{…}` we are: only there `=` compares labels.
    let mut braces = 0_u32;
    let mut rest = template;
    while let Some(c) = rest.chars().next() {
        if rest.starts_with("{{") {
            let end = rest.find("}}").ok_or(BadQuery::Unclosed)?;
            let (name, value) = named(rest[2..end].trim(), fault)?;
            let Place::Text { quote, what: what @ (Kind::Equal | Kind::Regex) } = place else {
                return Err(BadQuery::OutsideMatcher(name));
            };
            query.push_str(&escaped(value, quote, what)?);
            rest = &rest[end + 2..];
            continue;
        }
        let mut taken = c.len_utf8();
        match place {
            Place::Comment if c == '\n' => place = Place::Code,
            Place::Comment => {}
            // An escaped character, whatever it is, closes nothing. Backquotes know no escapes.
            Place::Text { quote, .. } if c == '\\' && quote != '`' => {
                taken += rest[1..].chars().next().ok_or(BadQuery::Unclosed)?.len_utf8();
            }
            Place::Text { quote, .. } if c == quote => place = Place::Code,
            Place::Text { .. } => {}
            Place::Code => match c {
                '#' => place = Place::Comment,
                '{' => braces += 1,
                '}' => braces = braces.saturating_sub(1),
                '"' | '\'' | '`' => place = Place::Text { quote: c, what: kind(&query, braces) },
                _ => {}
            },
        }
        query.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    if matches!(place, Place::Text { .. }) { Err(BadQuery::Unclosed) } else { Ok(query) }
}

/// Whether the question is about the very part that an alert names.
pub fn names_the_part(template: &str) -> bool {
    let inside = |rest: &str| rest.split("}}").next().is_some_and(|name| name.trim() == "component");
    template.split("{{").skip(1).any(inside)
}

fn named<'a>(name: &str, fault: &'a FaultKey) -> Result<(&'static str, &'a str), BadQuery> {
    match name {
        "node" => Ok(("node", fault.node.as_str())),
        // Compared with nothing, a label that is absent fits: the query would be about another part.
        "component" if fault.component.is_empty() => Err(BadQuery::NoComponent),
        "component" => Ok(("component", &fault.component)),
        other => Err(BadQuery::UnknownPlaceholder(other.chars().take(40).collect())),
    }
}

fn kind(before: &str, braces: u32) -> Kind {
    let before = before.trim_end();
    if braces == 0 {
        Kind::Other
    } else if before.ends_with("=~") || before.ends_with("!~") {
        Kind::Regex
    } else if before.ends_with('=') {
        Kind::Equal
    } else {
        Kind::Other
    }
}

/// The value as it must be written between `quote`s to mean itself.
fn escaped(value: &str, quote: char, what: Kind) -> Result<String, BadQuery> {
    let value = if what == Kind::Regex { regex::escape(value) } else { value.to_owned() };
    if quote == '`' {
        return if value.contains('`') { Err(BadQuery::Backquote) } else { Ok(value) };
    }
    let mut text = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' | '"' | '\'' if c == '\\' || c == quote => text.extend(['\\', c]),
            c if c.is_control() => text.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => text.push(c),
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fan(component: &str) -> FaultKey {
        FaultKey { node: "pve2".into(), class: "fan".into(), component: component.into() }
    }

    #[test]
    fn values_are_filled_in_where_labels_are_compared() {
        let template = r#"ipmi_fan_speed_state{node="{{ node }}",name='{{component}}'} == bool 0 # "ours"#;
        assert_eq!(
            fill(template, &fan("FAN3")).expect("a good query"),
            r#"ipmi_fan_speed_state{node="pve2",name='FAN3'} == bool 0 # "ours"#
        );
    }

    /// What Prometheus makes of a double-quoted text; `None`: it ends before its end.
    fn unquoted(text: &str) -> Option<String> {
        let (mut out, mut rest) = (String::new(), text.chars());
        while let Some(c) = rest.next() {
            match c {
                '"' | '\n' => return None,
                '\\' => match rest.next()? {
                    'u' => {
                        let digits: String = rest.by_ref().take(4).collect();
                        out.push(char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?);
                    }
                    c @ ('"' | '\\') => out.push(c),
                    _ => return None,
                },
                c => out.push(c),
            }
        }
        Some(out)
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_part_is_called_the_question_stays_the_same(part in ".{1,40}|[\"\\\\{}`$|.*\n\r\0]{1,20}") {
            let asked = fill(r#"x{name="{{ component }}"} == 1"#, &fan(&part)).expect("it can be asked");
            let inside = asked.strip_prefix(r#"x{name=""#).and_then(|rest| rest.strip_suffix(r#""} == 1"#));
            let inside = inside.expect("what stood around it stands there still");
            assert_eq!(unquoted(inside).as_deref(), Some(part.as_str()), "{asked}");
            let asked = fill(r#"x{name=~"{{ component }}"}"#, &fan(&part)).expect("it can be asked");
            let inside = asked.strip_prefix(r#"x{name=~""#).and_then(|rest| rest.strip_suffix(r#""}"#));
            let pattern = unquoted(inside.expect("the same")).expect("closed");
            let pattern = regex::Regex::new(&format!("(?s)^(?:{pattern})$")).expect("a pattern");
            assert!(pattern.is_match(&part), "{part:?} {asked}");
        }
    }

    #[test]
    fn a_hostile_name_means_itself() {
        let equal = |part| fill(r#"x{name="{{ component }}"}"#, &fan(part)).expect("it can be asked");
        assert_eq!(equal(r#"a"} or vector(1) #"#), r#"x{name="a\"} or vector(1) #"}"#);
        assert_eq!(equal(r"a\"), r#"x{name="a\\"}"#);
        assert_eq!(equal("a\nb'\u{0}"), r#"x{name="a\u000ab'\u0000"}"#);
        assert_eq!(equal("{{ node }}"), r#"x{name="{{ node }}"}"#, "filled in once, not twice");
        let regex = |part| fill(r#"x{name=~"{{ component }}.*"}"#, &fan(part)).expect("it can be asked");
        assert_eq!(regex(".*|FAN"), r#"x{name=~"\\.\\*\\|FAN.*"}"#);
        assert_eq!(regex(r#"\""#), r#"x{name=~"\\\\\".*"}"#);
        let raw = "x{name!~`{{ component }}`}";
        assert_eq!(fill(raw, &fan("a.b")), Ok(r"x{name!~`a\.b`}".to_owned()));
        assert_eq!(fill(raw, &fan("a`b")), Err(BadQuery::Backquote));
    }

    #[test]
    fn elsewhere_a_placeholder_is_refused() {
        let outside = Err(BadQuery::OutsideMatcher("node"));
        for template in [
            "{{ node }}_state",
            r#"label_replace(x, "a", "{{ node }}", "b", "(.*)")"#,
            r#"x{"{{ node }}"}"#,
            "x # {{ node }}",
            r#"x{a="b\"{{ node }}"} {{ node }}"#,
        ] {
            assert_eq!(fill(template, &fan("F")), outside, "{template}");
        }
        assert_eq!(fill("x{a=\"{{ nod }}\"}", &fan("F")), Err(BadQuery::UnknownPlaceholder("nod".into())));
        assert_eq!(fill("x{a=\"{{ component }}\"}", &fan("")), Err(BadQuery::NoComponent));
        for unclosed in ["x{a=\"", "x{a=\"{{ node", "x{a=\"b\\"] {
            assert_eq!(fill(unclosed, &fan("F")), Err(BadQuery::Unclosed), "{unclosed}");
        }
    }
}
