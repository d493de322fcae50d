//! YAML as a tree that knows where each part stands in its file.
//!
//! Built from the parser's own events, not through serde: serde stops at the first mistake and forgets positions, and
//! scalars stay text here until the schema says what they are, so that `no` can be a name and `1.10` a version.
//! Anchors, aliases, tags and second documents are refused: nobody needs them in these files, and they hide things.

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, ScanError};

use super::mistakes::{Mistakes, Place};

/// Deeper nesting than this is no configuration.
const DEPTH_MAX: usize = 24;

/// One part of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub place: Place,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Text as written, quotes removed. `plain`: it had none, so it may be a number, a truth or nothing.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    /// In the file's order; a key written twice is here twice.
    Map(Vec<Entry>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub key: String,
    pub key_place: Place,
    pub value: Node,
}

impl Node {
    /// Nothing written: `key:` with no value, or `null`.
    pub fn empty(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null"))
    }

    /// The part under a dotted path such as `prove.soak` or `hand.members.0.port`; the nearest part that exists.
    pub fn at(&self, path: &str) -> &Node {
        path.split('.').fold(self, |node, step| match &node.kind {
            Kind::Map(entries) => entries.iter().find(|e| e.key == step).map_or(node, |entry| &entry.value),
            Kind::List(items) => step.parse().ok().and_then(|i: usize| items.get(i)).unwrap_or(node),
            Kind::Scalar { .. } => node,
        })
    }

    /// What it is, for people.
    pub fn what(&self) -> &'static str {
        match self.kind {
            Kind::Scalar { .. } if self.empty() => "nothing",
            Kind::Scalar { .. } => "a single value",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a group of keys",
        }
    }
}

/// Reads one document. `None` when it is no YAML at all; the reason is among the mistakes. An empty file is an empty
/// group of keys.
pub fn parse(text: &str, mistakes: &mut Mistakes) -> Option<Node> {
    let mut builder = Builder { parser: Parser::new_from_str(text), mistakes, refused: false };
    match builder.document() {
        Ok(node) if !builder.refused => Some(node),
        Ok(_) => None,
        Err(stop) => {
            builder.mistakes.add(stop.place, stop.text);
            None
        }
    }
}

struct Builder<'a, 'm, I: serde_saphyr::granit_parser::BorrowedInput<'a>> {
    parser: Parser<'a, I>,
    mistakes: &'m mut Mistakes,
    refused: bool,
}

struct Stop {
    place: Place,
    text: String,
}

impl From<ScanError> for Stop {
    fn from(error: ScanError) -> Self {
        let mark = error.marker();
        let text = error.to_string();
        // The parser adds its own position to its words; ours stands in front of them already.
        let text = text.split(" at byte ").next().unwrap_or(&text).to_owned();
        Self { place: Place::of(mark.line(), mark.col()), text: format!("this is no YAML: {text}") }
    }
}

impl<'a, I: serde_saphyr::granit_parser::BorrowedInput<'a>> Builder<'a, '_, I> {
    fn document(&mut self) -> Result<Node, Stop> {
        let mut root = None;
        loop {
            let (event, place) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(..) if root.is_some() => {
                    return Err(Stop {
                        place,
                        text: "a second document begins here; write one document per file".into(),
                    });
                }
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                event => root = Some(self.node(event, place, 0)?),
            }
        }
        let nothing = Node { place: Place::of(1, 0), kind: Kind::Map(Vec::new()) };
        Ok(root.filter(|node| !node.empty()).unwrap_or(nothing))
    }

    /// The next event that is no comment.
    fn next(&mut self) -> Result<(Event<'a>, Place), Stop> {
        loop {
            let Some(next) = self.parser.next_event() else {
                return Ok((Event::StreamEnd, Place::START));
            };
            let (event, span) = next?;
            if !matches!(event, Event::Comment(..) | Event::Anchor(..)) {
                return Ok((event, Place::of(span.start.line(), span.start.col())));
            }
        }
    }

    fn node(&mut self, event: Event<'a>, place: Place, depth: usize) -> Result<Node, Stop> {
        if depth > DEPTH_MAX {
            return Err(Stop { place, text: format!("nested more than {DEPTH_MAX} deep") });
        }
        let kind = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_extras(place, anchor, tag.is_some());
                Kind::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain }
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_extras(place, anchor, tag.is_some());
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break,
                        (event, place) => items.push(self.node(event, place, depth + 1)?),
                    }
                }
                Kind::List(items)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_extras(place, anchor, tag.is_some());
                Kind::Map(self.entries(depth)?)
            }
            Event::Alias(_) => {
                self.refused = true;
                self.mistakes.add(place, "aliases are not used here; write the value out");
                Kind::Scalar { text: String::new(), plain: true }
            }
            _ => return Err(Stop { place, text: "the file ends too early".into() }),
        };
        Ok(Node { place, kind })
    }

    fn entries(&mut self, depth: usize) -> Result<Vec<Entry>, Stop> {
        let mut entries = Vec::new();
        loop {
            let (event, key_place) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(entries);
            }
            let key = self.node(event, key_place, depth + 1)?;
            let (event, place) = self.next()?;
            let value = self.node(event, place, depth + 1)?;
            match key.kind {
                Kind::Scalar { text, .. } => entries.push(Entry { key: text, key_place, value }),
                _ => {
                    self.refused = true;
                    self.mistakes.add(key_place, "a key must be a single word");
                }
            }
        }
    }

    fn refuse_extras(&mut self, place: Place, anchor: usize, tag: bool) {
        if anchor != 0 {
            self.refused = true;
            self.mistakes.add(place, "anchors are not used here; write the value out where it is needed");
        }
        if tag {
            self.refused = true;
            self.mistakes.add(place, "tags such as !!str are not used here; put text in quotes instead");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Result<Node, String> {
        let mut mistakes = Mistakes::of("x.yaml");
        parse(text, &mut mistakes).ok_or_else(|| mistakes.to_string())
    }

    #[test]
    fn each_part_knows_its_place() {
        let root = tree("a: 1\nb:\n  - x\n  - {c: \"2\"}\n").expect("valid");
        assert_eq!(root.at("a").place, Place { line: 1, column: 4 });
        assert_eq!(root.at("b.1.c").place, Place { line: 4, column: 9 });
        assert_eq!(root.at("b.1.c").kind, Kind::Scalar { text: "2".into(), plain: false });
        assert_eq!(root.at("b.7"), root.at("b"), "the nearest part that exists");
    }

    #[test]
    fn what_hides_things_is_refused() {
        for (text, expected) in [
            ("a: [1\n", "x.yaml:"),
            ("a: &x 1\nb: *x\n", "x.yaml:1:7: anchors are not used"),
            ("a: !!str 1\n", "tags such as"),
            ("a: 1\n---\nb: 2\n", "x.yaml:2:1: a second document"),
            ("[a]: 1\n", "x.yaml:1:1: a key must be a single word"),
        ] {
            let said = tree(text).expect_err(text);
            assert!(said.contains(expected), "{text:?} said {said:?}");
        }
    }

    #[test]
    fn an_empty_file_is_an_empty_group() {
        for text in ["", "# nothing\n", "---\n"] {
            assert_eq!(tree(text).expect(text).kind, Kind::Map(Vec::new()));
        }
    }
}
