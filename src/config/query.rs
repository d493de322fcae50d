//! What can be wrong with a sensor's query before anybody asks it: where placeholders stand, and comparisons that drop
//! what they should call bad.
//!
//! It must never be a parser of PromQL: it knows quotes, braces and signs, and leaves the rest to Prometheus.

/// One quoted or unquoted piece of a query.
struct Scan<'a> {
    rest: &'a str,
    /// In `{…}`: there `=` compares labels.
    braces: u32,
    quote: Option<char>,
    /// The quoted text is the value of a label matcher.
    matcher: bool,
    /// The last sign outside quotes that is no space.
    last: char,
    found: Vec<String>,
    compares: Vec<String>,
    bools: usize,
}

/// Mistakes in words, each once.
pub fn mistakes(query: &str) -> Vec<String> {
    let mut scan = Scan {
        rest: query,
        braces: 0,
        quote: None,
        matcher: false,
        last: ' ',
        found: Vec::new(),
        compares: Vec::new(),
        bools: 0,
    };
    while scan.step().is_some() {}
    if scan.quote.is_some() {
        scan.found.push("a quotation mark is not closed".to_owned());
    }
    if let Some(sign) = scan.compares.first().filter(|_| scan.bools == 0) {
        scan.found.push(format!(
            "{sign} drops the samples for which it is false, so a bad part looks like one that nobody can see; write {sign} bool"
        ));
    }
    scan.found.dedup();
    scan.found
}

impl Scan<'_> {
    fn step(&mut self) -> Option<()> {
        let c = self.rest.chars().next()?;
        if self.rest.starts_with("{{") {
            return self.placeholder();
        }
        let mut taken = c.len_utf8();
        match self.quote {
            // An escaped character closes nothing; backquotes know no escapes.
            Some(quote) if c == '\\' && quote != '`' => {
                taken += self.rest[1..].chars().next().map_or(0, char::len_utf8);
            }
            Some(quote) if c == quote => self.quote = None,
            Some(_) => {}
            None => taken = self.code(c),
        }
        self.rest = &self.rest[taken..];
        Some(())
    }

    /// Outside of quotes; the number of bytes to go on by.
    fn code(&mut self, c: char) -> usize {
        match c {
            '#' => return self.rest.find('\n').unwrap_or(self.rest.len()),
            '{' => self.braces += 1,
            '}' => self.braces = self.braces.saturating_sub(1),
            '"' | '\'' | '`' => {
                self.quote = Some(c);
                self.matcher = self.braces > 0 && matches!(self.last, '=' | '~');
            }
            '=' | '!' | '<' | '>' if self.braces == 0 => {
                let sign = if self.rest[1..].starts_with('=') { &self.rest[..2] } else { &self.rest[..1] };
                // A single `=` or `!` is no comparison, and Prometheus will say so.
                if sign.len() == 2 || matches!(c, '<' | '>') {
                    let after = self.rest[sign.len()..].trim_start();
                    let bool = after.strip_prefix("bool").is_some_and(|rest| {
                        !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
                    });
                    self.bools += usize::from(bool);
                    self.compares.push(sign.to_owned());
                }
                self.last = c;
                return sign.len();
            }
            _ => {}
        }
        if !c.is_whitespace() {
            self.last = c;
        }
        c.len_utf8()
    }

    fn placeholder(&mut self) -> Option<()> {
        // One that is never closed is told by the check of all texts.
        let end = self.rest.find("}}")?;
        if self.quote.is_none() || !self.matcher {
            let whole = &self.rest[..end + 2];
            self.found.push(format!(
                "{whole} must be the quoted value of a label, such as node=\"{whole}\": it comes from alerts and must not change the question"
            ));
        }
        self.rest = &self.rest[end + 2..];
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::mistakes;

    #[test]
    fn good_queries_are_left_alone() {
        for query in [
            r#"ipmi_fan_speed_state{node="{{ node }}", name="{{ component }}"} == bool 0"#,
            r#"up{node=~"{{ node }}"}"#,
            r#"count(x{node='{{ node }}'} == 0) <= bool 1"#,
            r#"(a{n="{{ node }}"} ==bool 1) or (b{n=`{{ node }}`} != bool 0) # == 0"#,
        ] {
            assert_eq!(mistakes(query), Vec::<String>::new(), "{query}");
        }
    }

    #[test]
    fn a_comparison_without_bool_and_a_loose_placeholder_are_mistakes() {
        for (query, word) in [
            (r#"x{node="a"} == 0"#, "write == bool"),
            (r#"x > boolean"#, "write > bool"),
            (r#"x{node={{ node }}} == bool 0"#, "must be the quoted value"),
            (r#"{{ component }} == bool 0"#, "must be the quoted value"),
            (r#"label_replace(x, "a", "{{ node }}", "b", "") == bool 0"#, "must be the quoted value"),
            (r#"x{node="a} == bool 0"#, "not closed"),
        ] {
            let said = mistakes(query).join("; ");
            assert!(said.contains(word), "{query}: {said}");
        }
    }
}
