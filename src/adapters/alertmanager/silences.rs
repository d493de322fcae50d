//! Our silences in Alertmanager. They are gossiped between the members of a pair, so one that answers is enough to set
//! one; each is asked what it knows, and of two versions of one silence the younger counts.
//!
//! Found before it is set, by its mark: whoever died between asking and the answer finds it again, and sets no second.
//! What somebody else set or changed is never touched. Nothing is asked of a second member when the first may have done
//! it all the same.

use std::collections::BTreeMap;

use futures::future::join_all;
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};

use super::calls::Asked;
use super::error::PollError;
use super::poll::{Alertmanagers, Member, named};
use crate::model::seen::{Seen, Trouble};
use crate::model::silence::{CREATED_BY, Silence, SilenceMark, SilenceMatcher, Silenced, SilencesView};
use crate::model::time::Time;
use crate::ports::EndSilence;

/// Ended silences stay listed for days; a house with thirty thousand of them has about so much.
const LIST_MAX: usize = 16 << 20;
/// Of ours. A cluster has one for each node that is out; the ended ones of some days beside them.
const OURS_MAX: usize = 1_000;

/// As the API lists it. What else it tells is none of our business.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    id: String,
    status: Status,
    updated_at: Time,
    starts_at: Time,
    ends_at: Time,
    matchers: Vec<SilenceMatcher>,
}

#[derive(Debug, Deserialize)]
struct Status {
    state: State,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Active,
    Pending,
    Expired,
}

/// One of ours, as the member with the youngest version of it tells.
struct Ours {
    wire: Wire,
    shown: Silenced,
    /// Members that list it, by their place: whoever does not know it cannot be asked to change it.
    known_to: Vec<usize>,
}

/// What all members that answer know of ours, by id.
struct Found {
    ours: BTreeMap<String, Ours>,
    /// Members that answered, by their place.
    heard: Vec<usize>,
    silent: Vec<String>,
}

impl Alertmanagers {
    pub(super) async fn list_silences(&self) -> Seen<SilencesView> {
        let at = self.clock.now();
        match self.in_time(self.find()).await {
            Ok(found) => {
                let mut silences: Vec<Silenced> = found.ours.into_values().map(|ours| ours.shown).collect();
                silences.sort_by_key(|silence| (!silence.active, std::cmp::Reverse(silence.ends_at)));
                silences.truncate(OURS_MAX);
                Seen::known(SilencesView { silences, silent: found.silent }, at)
            }
            Err(trouble) => trouble.into(),
        }
    }

    async fn in_time<T>(&self, what: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
        let done = tokio::time::timeout(self.limit, what).await;
        done.unwrap_or_else(|_| Err(PollError::TooSlow(self.limit).into()))
    }

    pub(super) async fn set_silence(&self, silence: &Silence, until: Time) -> Result<(), Trouble> {
        let set = async {
            let wanted = silence.matchers();
            let Found { ours, heard, .. } = self.find().await?;
            let mine = ours.into_values().filter(|ours| {
                let same = wanted.iter().all(|matcher| ours.wire.matchers.contains(matcher));
                ours.is_ours_and_active() && ours.shown.mark == silence.mark && same
            });
            match mine.max_by_key(|ours| ours.wire.ends_at) {
                Some(ours) => self.extend(&ours, silence, until).await,
                None => self.create(&heard, silence, &wanted, until).await,
            }
        };
        self.in_time(set).await
    }

    pub(super) async fn end(&self, which: &EndSilence) -> Result<(), Trouble> {
        let end = async {
            let found = self.find().await?;
            let meant = |ours: &&Ours| match which {
                EndSilence::Of(mark) => ours.shown.mark == *mark,
                EndSilence::Id(id) => ours.shown.id == *id,
            };
            for ours in found.ours.values().filter(|ours| ours.is_ours_and_active()).filter(meant) {
                self.at_one(&ours.known_to, Asked::End(&ours.shown.id), None).await?;
            }
            Ok(())
        };
        self.in_time(end).await
    }

    /// The same id, the same matchers in the same order, the same start: anything else would be another silence.
    async fn extend(&self, ours: &Ours, silence: &Silence, until: Time) -> Result<(), Trouble> {
        let Wire { id, starts_at, matchers, .. } = &ours.wire;
        let body = json!({
            "id": id, "matchers": matchers, "startsAt": starts_at.to_string(), "endsAt": until.to_string(),
            "createdBy": CREATED_BY, "comment": silence.comment(),
        });
        self.at_one(&ours.known_to, Asked::Silence, Some(body)).await
    }

    async fn create(
        &self,
        heard: &[usize],
        silence: &Silence,
        matchers: &[SilenceMatcher],
        until: Time,
    ) -> Result<(), Trouble> {
        let now = self.clock.now();
        let body = json!({
            "matchers": matchers, "startsAt": now.to_string(), "endsAt": until.to_string(),
            "createdBy": CREATED_BY, "comment": silence.comment(),
        });
        self.at_one(heard, Asked::Silence, Some(body)).await
    }

    /// At the first of these that can be reached. One that was reached, and gave no good answer, may have done it.
    async fn at_one(&self, members: &[usize], asked: Asked<'_>, body: Option<Value>) -> Result<(), Trouble> {
        let mut silent = Vec::new();
        for member in members.iter().filter_map(|n| self.members.get(*n)) {
            let mut request = self.request(asked.method(), url(member, asked)?);
            if let Some(body) = &body {
                request = request.header("Content-Type", "application/json").body(body.to_string());
            }
            match self.send(request).await {
                Ok(_) => return Ok(()),
                Err(PollError::Http(error)) if error.is_connect() => {
                    silent.push(format!("{}: no connection", member.name));
                }
                Err(error) => {
                    let trouble = Trouble::from(error);
                    let text = format!("{}: {}", member.name, trouble.text());
                    return Err(named(trouble, text));
                }
            }
        }
        Err(Trouble::Unreachable(silent.join("; ")))
    }

    async fn find(&self) -> Result<Found, Trouble> {
        // One that hangs leaves time for what is to be told to the others.
        let limit = self.limit / 3;
        let asked = self.members.iter().map(|member| async move {
            let answer = tokio::time::timeout(limit, self.ask_silences(member)).await;
            answer.unwrap_or(Err(PollError::TooSlow(limit)))
        });
        let answers = join_all(asked).await;
        let mut found = Found { ours: BTreeMap::new(), heard: Vec::new(), silent: Vec::new() };
        let mut last = None;
        for (n, answer) in answers.into_iter().enumerate() {
            match answer {
                Ok(list) => {
                    found.heard.push(n);
                    list.into_iter().for_each(|(wire, shown)| join(&mut found.ours, n, wire, shown));
                }
                Err(error) => {
                    let trouble = Trouble::from(error);
                    found.silent.push(format!("{}: {}", self.members[n].name, trouble.text()));
                    last = Some(trouble);
                }
            }
        }
        match last {
            Some(trouble) if found.heard.is_empty() => Err(named(trouble, found.silent.join("; "))),
            _ => Ok(found),
        }
    }

    /// Those of one member that bear a mark of ours.
    async fn ask_silences(&self, member: &Member) -> Result<Vec<(Wire, Silenced)>, PollError> {
        let url = url(member, Asked::Silences).map_err(|_| PollError::Url(member.api.clone()))?;
        let mut response = self.send(self.request(Asked::Silences.method(), url)).await?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(PollError::Http)? {
            if body.len() + chunk.len() > LIST_MAX {
                return Err(PollError::Garbled(format!("it is larger than {} MiB", LIST_MAX >> 20)));
            }
            body.extend_from_slice(&chunk);
        }
        ours_in(&body).map_err(|why| PollError::Garbled(format!("no list of silences: {why}")))
    }
}

impl Ours {
    fn is_ours_and_active(&self) -> bool {
        self.shown.active && !self.shown.edited
    }
}

fn url(member: &Member, asked: Asked<'_>) -> Result<Url, Trouble> {
    asked.url(&member.api).ok_or_else(|| Trouble::NotConfigured(format!("{} cannot be asked", member.name)))
}

/// Somebody else's may look as they like; one of ours that cannot be read leaves the list with a hole.
fn ours_in(body: &[u8]) -> Result<Vec<(Wire, Silenced)>, serde_json::Error> {
    let list: Vec<Value> = serde_json::from_slice(body)?;
    let mut ours = Vec::new();
    for item in list {
        let text = |key: &str| item[key].as_str().unwrap_or_default().to_owned();
        let (created_by, comment) = (text("createdBy"), text("comment"));
        if SilenceMark::read(&created_by, &comment, &[]).is_none() {
            continue;
        }
        let wire: Wire = serde_json::from_value(item)?;
        // It becomes a part of an address.
        if !wire.id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(serde::de::Error::custom(format!("{:?} is no id of a silence", wire.id)));
        }
        if let Some((mark, edited)) = SilenceMark::read(&created_by, &comment, &wire.matchers) {
            let active = wire.status.state != State::Expired;
            let shown = Silenced { id: wire.id.clone(), mark, edited, active, ends_at: wire.ends_at };
            ours.push((wire, shown));
        }
    }
    Ok(ours)
}

fn join(all: &mut BTreeMap<String, Ours>, member: usize, wire: Wire, shown: Silenced) {
    match all.get_mut(&wire.id) {
        None => _ = all.insert(wire.id.clone(), Ours { wire, shown, known_to: vec![member] }),
        Some(known) => {
            known.known_to.push(member);
            if wire.updated_at > known.wire.updated_at {
                (known.wire, known.shown) = (wire, shown);
            }
        }
    }
}
