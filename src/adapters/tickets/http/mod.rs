//! Any ticket system that speaks JSON over HTTP, told by a template: data, no code.
//!
//! It must never guess: a list that is missing is not an empty list, a status word that the template does not name is not
//! "open", and a ticket that does not carry the very id is not ours.

mod fill;
mod talk;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use minijinja::Value as Given;
use reqwest::{StatusCode, Url};
use serde_json::Value;

use super::contract::{Become, Carries, Depth, Desk, Paper, Ticket};
use super::error::TicketError;
use crate::model::ticket_template::{Pointer, TicketTemplate, TicketTemplateParts};
use fill::{Fill, at, text_of};
use talk::Talk;

/// More tickets of one case than this nobody could have made.
const FOUND_MAX: usize = 200;

/// Where the system is, its manners, and what they need.
#[derive(Clone)]
pub struct HttpConfig {
    pub url: Url,
    pub ca_pem: Option<Vec<u8>>,
    pub template: TicketTemplate,
    pub values: BTreeMap<String, String>,
    pub secrets: BTreeMap<String, String>,
}

/// A system told by a template, as a desk.
pub struct HttpDesk {
    talk: Talk,
    template: TicketTemplate,
}

impl HttpDesk {
    /// # Errors
    /// A matter of configuration: the address or the certificates.
    pub fn new(config: HttpConfig) -> Result<Self, TicketError> {
        let template = config.template.clone();
        Ok(Self { talk: Talk::new(config)?, template })
    }

    fn nonsense(&self, why: impl Into<String>) -> TicketError {
        self.talk.caller.nonsense(why)
    }

    /// `None`: it is in the answer, and it is not ours.
    fn ticket(
        &self,
        body: &Value,
        parts: &TicketTemplateParts,
        id: &str,
    ) -> Result<Option<Ticket>, TicketError> {
        let need = |pointer: &Pointer, what: &str| {
            at(body, pointer)
                .and_then(text_of)
                .ok_or_else(|| self.nonsense(format!("a ticket has no {what} at {:?}", pointer.0)))
        };
        let title = need(&parts.title, "title")?;
        let tagged = title.contains(&format!("[{id}]"));
        let carries = match &parts.id {
            None if tagged => Carries::Id,
            Some(pointer) if holds(at(body, pointer), id) => Carries::Id,
            Some(_) if tagged => Carries::TitleOnly,
            _ => return Ok(None),
        };
        let number = need(&parts.number, "number")?;
        let word = need(&parts.status, "status")?;
        let status = self.template.statuses.read(&word).ok_or_else(|| {
            self.nonsense(format!("ticket {number} is {word:?}, which the template's statuses do not name"))
        })?;
        let name = parts.name.as_ref().and_then(|pointer| at(body, pointer)).and_then(text_of);
        let owner = parts.owner.as_ref().and_then(|pointer| at(body, pointer)).and_then(text_of);
        let fill = Fill::plain(self.talk.base()).with("ticket", ticket_value(&number));
        let url = self.template.page.as_deref().map(|page| fill.url(page)).transpose()?;
        Ok(Some(Ticket {
            name: name.unwrap_or_else(|| number.clone()),
            number,
            carries,
            status,
            title,
            owner: owner.filter(|who| !who.is_empty()),
            url,
        }))
    }

    fn on(&self, number: &str) -> BTreeMap<&'static str, Given> {
        [("ticket", ticket_value(number))].into()
    }
}

fn ticket_value(number: &str) -> Given {
    // A number stays one in a body.
    number.parse::<u64>().map_or_else(|_| Given::from(number), Given::from)
}

/// The field is the id, or a list with it.
fn holds(field: Option<&Value>, id: &str) -> bool {
    match field {
        Some(Value::Array(all)) => all.iter().any(|one| one.as_str() == Some(id)),
        Some(Value::String(text)) => text == id,
        _ => false,
    }
}

#[async_trait]
impl Desk for HttpDesk {
    async fn find(&self, id: &str, _depth: Depth) -> Result<Vec<Ticket>, TicketError> {
        const DOING: &str = "searching for the ticket";
        let find = &self.template.find;
        let body = self.talk.say(DOING, &find.request, [("id", Given::from(id))].into()).await?;
        let count = find.count.as_ref().map(|pointer| at(&body, pointer).and_then(text_of));
        let list = match (at(&body, &find.list).and_then(Value::as_array), count.flatten().as_deref()) {
            (Some(list), _) => list,
            (None, Some("0")) => return Ok(Vec::new()),
            _ => return Err(self.nonsense(format!("a search without a list at {:?}", find.list.0))),
        };
        if list.len() > FOUND_MAX {
            return Err(
                self.nonsense(format!("{} tickets for one id: its search does not search", list.len()))
            );
        }
        list.iter().filter_map(|body| self.ticket(body, &find.ticket, id).transpose()).collect()
    }

    async fn create(&self, paper: &Paper<'_>) -> Result<String, TicketError> {
        const DOING: &str = "creating the ticket";
        let given = BTreeMap::from([
            ("id", Given::from(paper.id)),
            ("case", Given::from(paper.case.0)),
            ("node", Given::from(paper.order.node.as_str())),
            ("title", Given::from(paper.title.as_str())),
            ("body", Given::from(paper.body.as_str())),
            ("checklist", Given::from(paper.order.checklist.clone())),
        ]);
        let create = &self.template.create;
        let body = self.talk.say(DOING, &create.request, given).await?;
        at(&body, &create.number)
            .and_then(text_of)
            .ok_or_else(|| self.nonsense(format!("a new ticket without a number at {:?}", create.number.0)))
    }

    async fn read(&self, number: &str, id: &str) -> Result<Ticket, TicketError> {
        const DOING: &str = "reading a ticket";
        let read = &self.template.read;
        let body = match self.talk.say(DOING, &read.request, self.on(number)).await {
            Err(TicketError::Refused { status: StatusCode::NOT_FOUND | StatusCode::GONE, .. }) => {
                return Err(TicketError::NoTicket(id.to_owned()));
            }
            other => other?,
        };
        self.ticket(&body, &read.ticket, id)?.ok_or_else(|| TicketError::NoTicket(id.to_owned()))
    }

    async fn adopt(&self, number: &str, id: &str) -> Result<(), TicketError> {
        let Some(adopt) = &self.template.adopt else { return Ok(()) };
        let mut given = self.on(number);
        given.insert("id", Given::from(id));
        self.talk.say("writing the correlation id", adopt, given).await.map(drop)
    }

    async fn become_(&self, number: &str, to: Become, text: &str) -> Result<(), TicketError> {
        let request = match to {
            Become::Open => &self.template.reopen,
            Become::Closed => &self.template.close,
            Become::Cancelled => &self.template.cancel,
        };
        let mut given = self.on(number);
        given.insert("text", Given::from(text));
        self.talk.say("changing the ticket's status", request, given).await.map(drop)
    }

    async fn comment(&self, number: &str, receipt: &str, text: &str) -> Result<(), TicketError> {
        let mut given = self.on(number);
        given.insert("text", Given::from(text));
        given.insert("receipt", Given::from(receipt));
        self.talk.say("commenting on the ticket", &self.template.comment, given).await.map(drop)
    }

    async fn said(&self, number: &str, receipt: &str) -> Result<bool, TicketError> {
        let Some(comments) = &self.template.comments else { return Ok(false) };
        let body = self.talk.say("reading the ticket's comments", &comments.request, self.on(number)).await?;
        let list = at(&body, &comments.list)
            .and_then(Value::as_array)
            .ok_or_else(|| self.nonsense(format!("comments without a list at {:?}", comments.list.0)))?;
        // Rich text is a tree; its words stand somewhere in it.
        let says = |entry: &Value| at(entry, &comments.text).is_some_and(|text| mentions(text, receipt));
        Ok(list.iter().any(says))
    }

    /// A title is the team's to change, where the system is not known well enough to change it alone.
    async fn retitle(&self, _number: &str, _title: &str) -> Result<(), TicketError> {
        Ok(())
    }

    async fn preflight(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for request in &self.template.check {
            if let Err(error) = self.talk.say("a check", request, BTreeMap::new()).await {
                wrong.push(error.to_string());
            }
        }
        wrong
    }

    fn done(&self) -> Option<&str> {
        self.template.statuses.done.first().map(String::as_str)
    }

    fn lag(&self) -> Duration {
        self.template.index_lag.map(|lag| lag.0).unwrap_or_default()
    }
}

/// `case-1/work-order/close-1` is not said by `…close-10`.
fn mentions(text: &Value, receipt: &str) -> bool {
    match text {
        Value::String(text) => text.match_indices(receipt).any(|(i, _)| {
            let next = text[i + receipt.len()..].chars().next();
            next.is_none_or(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/')))
        }),
        Value::Array(all) => all.iter().any(|part| mentions(part, receipt)),
        Value::Object(parts) => parts.values().any(|part| mentions(part, receipt)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_receipt_is_found_in_rich_text_and_not_in_a_longer_one() {
        let text = json!({"type": "doc", "content": [{"text": "done (pitlane case-1/work-order/close-1)"}]});
        assert!(mentions(&text, "pitlane case-1/work-order/close-1"));
        assert!(!mentions(&json!("pitlane case-1/work-order/close-10"), "pitlane case-1/work-order/close-1"));
    }

    #[test]
    fn a_list_of_labels_holds_the_very_id() {
        assert!(holds(Some(&json!(["a", "pitlane:lab:case-1"])), "pitlane:lab:case-1"));
        assert!(!holds(Some(&json!(["pitlane:lab:case-10"])), "pitlane:lab:case-1"));
        assert!(!holds(None, "pitlane:lab:case-1"));
    }
}
