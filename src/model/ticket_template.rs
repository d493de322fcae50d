//! A ticket system's manners as data: which requests make, find, read and change a ticket, and where in an answer what
//! stands. `docs/TICKETS.md` tells how to write one; whoever sends the requests is elsewhere.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tickets::StatusWords;
use super::time::Period;

/// A place in a JSON answer (RFC 6901): `/issues/0/key`; the empty text is the whole answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("format" = "json-pointer", "examples" = ["/issues"]))]
pub struct Pointer(pub String);

/// Everything about one system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "pitlane ticket template")]
pub struct TicketTemplate {
    /// What people call it.
    pub system: String,
    /// Sent with every request. May use `values`, `secrets` and `session`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Where every conversation begins with a login and ends with a logout.
    pub session: Option<SessionTemplate>,
    pub find: FindTemplate,
    pub create: CreateTemplate,
    pub read: ReadTemplate,
    /// Writes the id into a ticket that lacks it. May use `ticket` and `id`.
    pub adopt: Option<RequestTemplate>,
    /// May use `ticket`, `text` and `receipt`; the receipt has to stand in what is written.
    pub comment: RequestTemplate,
    /// How comments are read back. Without it, a comment whose answer was lost may stand there twice.
    pub comments: Option<CommentsTemplate>,
    pub reopen: RequestTemplate,
    pub close: RequestTemplate,
    /// For duplicates of ours.
    pub cancel: RequestTemplate,
    /// Harmless requests that work only when everything is set up: sent by `config check --send`.
    #[serde(default)]
    pub check: Vec<RequestTemplate>,
    pub statuses: StatusWords,
    /// Where people read a ticket. May use `ticket`.
    pub page: Option<String>,
    /// So long may the search hide a new ticket.
    pub index_lag: Option<Period>,
    /// Where a no is explained; the first place where something stands.
    #[serde(default)]
    pub why: Vec<Pointer>,
    /// What means no in an answer whose status is good.
    #[serde(default)]
    pub refusals: Vec<Pointer>,
}

/// One request. Texts are templates; in a path every value is percent-encoded, in a body it becomes JSON, quotes and all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestTemplate {
    #[serde(default)]
    pub method: MethodName,
    /// Below the configuration's `url`.
    pub path: String,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    pub body: Option<String>,
    /// Statuses that mean yes. Not given: 200 to 299.
    #[serde(default)]
    pub ok: Vec<u16>,
    /// Something that has to be looked up first; it is `found` afterwards.
    pub first: Option<LookupTemplate>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MethodName {
    #[default]
    GET,
    POST,
    PUT,
    PATCH,
    DELETE,
}

/// Takes one value out of a list: the transition whose name is "Done".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LookupTemplate {
    pub path: String,
    pub list: Pointer,
    /// In an entry: what is compared …
    pub by: Pointer,
    /// … with this. A template.
    pub is: String,
    /// In the entry that is the one: what is taken.
    pub take: Pointer,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionTemplate {
    pub open: RequestTemplate,
    /// In the answer: what is `session` afterwards.
    pub token: Pointer,
    pub close: RequestTemplate,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FindTemplate {
    /// May use `id`. Must search in all statuses.
    pub request: RequestTemplate,
    pub list: Pointer,
    /// Where the answer counts, for systems that leave the list out when it would be empty.
    pub count: Option<Pointer>,
    pub ticket: TicketTemplateParts,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateTemplate {
    /// May use `id`, `case`, `node`, `title`, `body` and `checklist`.
    pub request: RequestTemplate,
    pub number: Pointer,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadTemplate {
    /// May use `ticket`.
    pub request: RequestTemplate,
    pub ticket: TicketTemplateParts,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommentsTemplate {
    /// May use `ticket`.
    pub request: RequestTemplate,
    pub list: Pointer,
    /// In an entry: what was written.
    pub text: Pointer,
}

/// Where in a ticket what stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TicketTemplateParts {
    /// What the system's own requests call it, `ticket` in the templates; a number or a text.
    pub number: Pointer,
    /// What people call it, where that is another one.
    pub name: Option<Pointer>,
    pub title: Pointer,
    pub status: Pointer,
    pub owner: Option<Pointer>,
    /// The field with the correlation id; a text, or a list of them. Not given: the id in the title counts.
    pub id: Option<Pointer>,
}
