//! Every question and order for Request Tracker's REST 2.0: a closed list.

use reqwest::Method;

use crate::model::reach::{Call, Effect, System};

/// One call below `REST/2.0/`.
#[derive(Clone, Copy, Debug)]
pub enum Asked<'a> {
    Version,
    Queue(&'a str),
    Search,
    Read(&'a str),
    Comments(&'a str),
    Create,
    /// Status, subject or our field.
    Change(&'a str),
    Comment(&'a str),
}

impl Asked<'_> {
    pub fn method(self) -> Method {
        match self {
            Self::Version | Self::Queue(_) | Self::Search | Self::Read(_) | Self::Comments(_) => Method::GET,
            Self::Create | Self::Comment(_) => Method::POST,
            Self::Change(_) => Method::PUT,
        }
    }

    pub fn path(self) -> String {
        match self {
            Self::Version => "rt".to_owned(),
            Self::Queue(name) => format!("queue/{}", segment(name)),
            Self::Search => "tickets".to_owned(),
            Self::Create => "ticket".to_owned(),
            Self::Read(number) | Self::Change(number) => format!("ticket/{}", segment(number)),
            Self::Comments(number) => format!("ticket/{}/attachments", segment(number)),
            Self::Comment(number) => format!("ticket/{}/comment", segment(number)),
        }
    }

    fn needs(self) -> (&'static str, Effect) {
        match self {
            Self::Version => ("anybody who is logged in", Effect::Read),
            Self::Queue(_) => ("SeeQueue, SeeCustomField", Effect::Read),
            Self::Search | Self::Read(_) => ("ShowTicket, SeeCustomField", Effect::Read),
            Self::Comments(_) => ("ShowTicket, ShowTicketComments", Effect::Read),
            Self::Create => ("CreateTicket, ModifyCustomField", Effect::Tell),
            Self::Change(_) => ("ModifyTicket, ModifyCustomField", Effect::Tell),
            Self::Comment(_) => ("CommentOnTicket", Effect::Tell),
        }
    }

    /// What pitlane can say to Request Tracker.
    pub fn statement() -> Vec<Call> {
        let all = [
            Asked::Version,
            Asked::Queue("QUEUE"),
            Asked::Search,
            Asked::Read("TICKET"),
            Asked::Comments("TICKET"),
            Asked::Create,
            Asked::Change("TICKET"),
            Asked::Comment("TICKET"),
        ];
        let said = |asked: Asked| {
            let (needs, effect) = asked.needs();
            let path = format!("/REST/2.0/{}", asked.path());
            Call::new(System::RequestTracker, asked.method(), path, effect, needs)
        };
        all.map(said).into()
    }
}

/// One segment of a path.
fn segment(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~');
    text.bytes().map(|b| if plain(b) { (b as char).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_with_a_space_is_one_segment() {
        assert_eq!(Asked::Queue("Hard ware/ü").path(), "queue/Hard%20ware%2F%C3%BC");
    }
}
