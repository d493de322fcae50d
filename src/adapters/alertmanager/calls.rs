//! Every question and order for Alertmanager's API: a closed list.

use reqwest::{Method, Url};

use crate::model::reach::{Call, Effect, System};

/// One call below `/api/v2/`.
#[derive(Clone, Copy, Debug)]
pub enum Asked<'a> {
    /// What fires.
    Alerts,
    Silences,
    /// Sets a silence, or lengthens ours.
    Silence,
    /// Ends one of ours.
    End(&'a str),
}

impl Asked<'_> {
    pub fn method(self) -> Method {
        match self {
            Self::Alerts | Self::Silences => Method::GET,
            Self::Silence => Method::POST,
            Self::End(_) => Method::DELETE,
        }
    }

    /// `None`: the id is none that could stand in a path.
    pub fn url(self, api: &Url) -> Option<Url> {
        match self {
            Self::Alerts => api.join("alerts").ok(),
            Self::Silences | Self::Silence => api.join("silences").ok(),
            // An id is a UUID; what is not plain could lead to another path.
            Self::End(id) if id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') => {
                api.join(&format!("silence/{id}")).ok()
            }
            Self::End(_) => None,
        }
    }

    /// What pitlane can say to Alertmanager.
    pub fn statement() -> Vec<Call> {
        let api = Url::parse("http://alertmanager/api/v2/").expect("an address");
        let said = |call: Asked| {
            let effect = if call.method() == Method::GET { Effect::Read } else { Effect::Change };
            let path = call.url(&api).map(|url| url.path().to_owned()).unwrap_or_default();
            let needs = match effect {
                Effect::Read => "reading below /api/v2",
                _ => "writing below /api/v2; only with alertmanager.silences",
            };
            Call::new(System::Alertmanager, call.method(), path, effect, needs)
        };
        [Asked::Alerts, Asked::Silences, Asked::Silence, Asked::End("ID")].map(said).into()
    }
}
