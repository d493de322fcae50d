//! Whether a ticket template's texts can be filled: each is filled once with stand-ins, so that a name that is not there,
//! a slip of the pen or a body that is no JSON is told with its place when the file is read, not when a node is out.

use std::collections::BTreeMap;
use std::collections::btree_map::Keys;

use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};

use super::mistakes::Mistakes;
use super::tree::Node;
use crate::model::ticket_template::{MethodName, Pointer, RequestTemplate, TicketTemplate};

/// What the configuration gives to the template.
pub(super) struct Known<'a, A, B> {
    pub values: Keys<'a, String, A>,
    pub secrets: Keys<'a, String, B>,
}

/// What each request may use beside `values` and `secrets`.
const FIND: &[&str] = &["id"];
const CREATE: &[&str] = &["id", "case", "node", "title", "body"];
const ON_TICKET: &[&str] = &["ticket"];
const ADOPT: &[&str] = &["ticket", "id"];
const COMMENT: &[&str] = &["ticket", "text", "receipt"];
const CHANGE: &[&str] = &["ticket", "text"];

pub(super) fn check<A, B>(
    template: &TicketTemplate,
    root: &Node,
    known: Known<'_, A, B>,
    mistakes: &mut Mistakes,
) {
    let stand_ins = |keys: &mut dyn Iterator<Item = &String>| -> BTreeMap<String, String> {
        keys.map(|key| (key.clone(), "x".to_owned())).collect()
    };
    let mut base = BTreeMap::new();
    base.insert("values", Value::from(stand_ins(&mut { known.values })));
    base.insert("secrets", Value::from(stand_ins(&mut { known.secrets })));
    let mut check = Check { root, mistakes, base };
    if let Some(session) = &template.session {
        check.request("session.open", &session.open, &[]);
        check.pointer("session.token", &session.token);
        check.base.insert("session", Value::from("x"));
        check.request("session.close", &session.close, &[]);
    }
    for (name, text) in &template.headers {
        check.fill(&format!("headers.{name}"), text, &[], Form::Plain);
    }
    for (path, request, names) in [
        ("find.request", Some(&template.find.request), FIND),
        ("create.request", Some(&template.create.request), CREATE),
        ("read.request", Some(&template.read.request), ON_TICKET),
        ("adopt", template.adopt.as_ref(), ADOPT),
        ("comment", Some(&template.comment), COMMENT),
        ("comments.request", template.comments.as_ref().map(|c| &c.request), ON_TICKET),
        ("reopen", Some(&template.reopen), CHANGE),
        ("close", Some(&template.close), CHANGE),
        ("cancel", Some(&template.cancel), CHANGE),
    ] {
        if let Some(request) = request {
            check.request(path, request, names);
        }
    }
    for (i, request) in template.check.iter().enumerate() {
        check.request(&format!("check.{i}"), request, &[]);
    }
    if let Some(page) = &template.page {
        check.fill("page", page, ON_TICKET, Form::Plain);
    }
    if !template.comment.body.as_deref().unwrap_or_default().contains("receipt") {
        let text = "comment.body must use receipt: it is how a comment is known to have been said";
        check.mistakes.add(root.at("comment").place, text);
    }
    check.pointers(template);
}

#[derive(Clone, Copy, PartialEq)]
enum Form {
    Plain,
    Json,
}

struct Check<'a> {
    root: &'a Node,
    mistakes: &'a mut Mistakes,
    base: BTreeMap<&'static str, Value>,
}

impl Check<'_> {
    fn request(&mut self, path: &str, request: &RequestTemplate, names: &[&'static str]) {
        if request.method == MethodName::DELETE && path != "session.close" {
            let text = format!(
                "{path}.method: pitlane deletes nothing in a ticket system; DELETE may stand in session.close alone"
            );
            self.mistakes.add(self.root.at(&format!("{path}.method")).place, text);
        }
        let mut names = names.to_vec();
        if let Some(first) = &request.first {
            self.fill(&format!("{path}.first.path"), &first.path, &names, Form::Plain);
            self.fill(&format!("{path}.first.is"), &first.is, &names, Form::Plain);
            for (key, pointer) in [("list", &first.list), ("by", &first.by), ("take", &first.take)] {
                self.pointer(&format!("{path}.first.{key}"), pointer);
            }
            names.push("found");
        }
        self.fill(&format!("{path}.path"), &request.path, &names, Form::Plain);
        for (name, text) in &request.headers {
            self.fill(&format!("{path}.headers.{name}"), text, &names, Form::Plain);
        }
        if let Some(body) = &request.body {
            self.fill(&format!("{path}.body"), body, &names, Form::Json);
        }
    }

    fn fill(&mut self, path: &str, text: &str, names: &[&'static str], form: Form) {
        let mut env = Environment::new();
        env.set_undefined_behavior(UndefinedBehavior::Strict);
        env.add_filter("base64", |text: String| text);
        env.set_auto_escape_callback(move |_| match form {
            Form::Plain => AutoEscape::None,
            Form::Json => AutoEscape::Json,
        });
        let mut given = self.base.clone();
        given.extend(names.iter().map(|name| (*name, Value::from("x"))));
        if names.contains(&"body") {
            given.insert("checklist", Value::from(vec!["x"]));
        }
        let place = self.root.at(path).place;
        match env.render_named_str(path, text, &given) {
            Err(error) => {
                let may: Vec<&str> = given.keys().copied().collect();
                let why = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
                let line = error.line().map(|n| format!(" in its line {n}")).unwrap_or_default();
                let text = format!("{path} cannot be filled{line}: {why}; it may use {}", may.join(", "));
                self.mistakes.add(place, text);
            }
            Ok(filled) if form == Form::Json => {
                if let Err(error) = serde_json::from_str::<serde_json::Value>(&filled) {
                    let text = format!(
                        "{path} is no JSON when it is filled: {error}; values bring their own quotes, write \
                         {{\"title\": {{{{ title }}}}}}"
                    );
                    self.mistakes.add(place, text);
                }
            }
            Ok(_) => {}
        }
    }

    fn pointer(&mut self, path: &str, pointer: &Pointer) {
        if !pointer.0.is_empty() && !pointer.0.starts_with('/') {
            let text =
                format!("{path}: {:?} is no JSON pointer; it begins with /, as in /issues/0/key", pointer.0);
            self.mistakes.add(self.root.at(path).place, text);
        }
    }

    fn pointers(&mut self, template: &TicketTemplate) {
        let mut all: Vec<(String, Option<&Pointer>)> = vec![
            ("find.list".into(), Some(&template.find.list)),
            ("find.count".into(), template.find.count.as_ref()),
            ("create.number".into(), Some(&template.create.number)),
            ("comments.list".into(), template.comments.as_ref().map(|c| &c.list)),
            ("comments.text".into(), template.comments.as_ref().map(|c| &c.text)),
        ];
        let lists = [("why", &template.why), ("refusals", &template.refusals)];
        for (key, list) in lists {
            all.extend(list.iter().enumerate().map(|(i, pointer)| (format!("{key}.{i}"), Some(pointer))));
        }
        for (at, ticket) in [("find", &template.find.ticket), ("read", &template.read.ticket)] {
            all.extend([
                (format!("{at}.ticket.number"), Some(&ticket.number)),
                (format!("{at}.ticket.name"), ticket.name.as_ref()),
                (format!("{at}.ticket.title"), Some(&ticket.title)),
                (format!("{at}.ticket.status"), Some(&ticket.status)),
                (format!("{at}.ticket.owner"), ticket.owner.as_ref()),
                (format!("{at}.ticket.id"), ticket.id.as_ref()),
            ]);
        }
        for (path, pointer) in all {
            if let Some(pointer) = pointer {
                self.pointer(&path, pointer);
            }
        }
    }
}
