//! Redfish: what DMTF's tree of resources says of one machine.
//!
//! Flow: service root → the one system and all chassis → what hangs on them, old and new shapes of it. A resource that
//! is not there is no error: no controller has all of them. Whatever else fails, fails the whole list. Basic
//! authentication and no sessions: a session of a process that died stays, and a controller has a handful of them.

mod http;
mod parts;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::Url;
use serde_json::{Value, json};

use super::error::BmcError;
use super::trust::Trust;
use crate::model::observed::{BmcView, Inventory, LocateTarget, Part, PartKey, PartKind};
use crate::model::reach::{Call, Effect, System};
use crate::model::step::Switch;
use http::{Http, Round};
use parts::Parts;

/// Everything that one look or list may take; below the loop's own deadline.
const LIMIT: Duration = Duration::from_secs(9);
/// Drives whose LEDs are read in one look.
const LAMPS_MAX: usize = 32;

/// How a controller is reached.
#[derive(Clone, Debug)]
pub struct RedfishConfig {
    /// `https://10.0.0.21`
    pub url: Url,
    pub user: String,
    pub password: String,
    pub trust: Trust,
    /// The system's id, where a controller shows several.
    pub system: Option<String>,
}

pub(super) struct Redfish {
    http: Http,
    system: Option<String>,
    /// Bays and their resources, as the last list of parts had them: where their LEDs are.
    bays: Mutex<BTreeMap<PartKey, String>>,
}

impl Redfish {
    pub fn new(config: RedfishConfig) -> Result<Self, BmcError> {
        let system = config.system.clone();
        Ok(Self { http: Http::new(config)?, system, bays: Mutex::default() })
    }

    /// # Errors
    /// See [`BmcError`]; nothing is known then.
    pub async fn look(&self) -> Result<BmcView, BmcError> {
        in_time(async {
            let round = self.http.round();
            let tree = self.tree(&round).await?;
            let power = match tree.system["PowerState"].as_str() {
                Some("On") => Some(Switch::On),
                Some("Off") => Some(Switch::Off),
                _ => None,
            };
            let mut lit = BTreeMap::new();
            if let Some((_, lamp)) = tree.lamp() {
                lit.insert(LocateTarget::Chassis, lamp.state);
            }
            let bays = self.bays.lock().unwrap_or_else(PoisonError::into_inner).clone();
            for (key, path) in bays.into_iter().take(LAMPS_MAX) {
                if let Some(lamp) = round.get(&path).await?.as_ref().and_then(Lamp::of) {
                    lit.insert(LocateTarget::Part(key), lamp.state);
                }
            }
            Ok(BmcView { power, lit })
        })
        .await
    }

    /// # Errors
    /// See [`BmcError`]; half a list is none.
    pub async fn inventory(&self) -> Result<Inventory, BmcError> {
        in_time(async {
            let round = self.http.round();
            let tree = self.tree(&round).await?;
            let mut parts = Parts::default();
            for chassis in &tree.chassis {
                board(chassis, &mut parts);
                parts::cooling(&round, chassis, &mut parts).await?;
                parts::power(&round, chassis, &mut parts).await?;
                parts::cards(&round, chassis, &mut parts).await?;
            }
            parts::inside(&round, &tree.system, &mut parts).await?;
            let (inventory, bays) = parts.whole();
            *self.bays.lock().unwrap_or_else(PoisonError::into_inner) = bays;
            Ok(inventory)
        })
        .await
    }

    /// # Errors
    /// See [`BmcError`]; after a deadline it may have happened.
    pub async fn locate(&self, target: &LocateTarget, to: Switch) -> Result<(), BmcError> {
        in_time(async {
            let round = self.http.round();
            let no_lamp = || BmcError::NoLamp(target.to_string());
            let (path, lamp) = match target {
                LocateTarget::Chassis => {
                    let tree = self.tree(&round).await?;
                    tree.lamp().ok_or_else(no_lamp)?
                }
                LocateTarget::Part(key) => {
                    let known = self.bays.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned();
                    let path = known.ok_or_else(no_lamp)?;
                    let drive = round.get(&path).await?;
                    let lamp = drive.as_ref().and_then(Lamp::of).ok_or_else(no_lamp)?;
                    (path, lamp)
                }
            };
            if lamp.state == to {
                return Ok(());
            }
            round.patch(&path, &lamp.words(to)).await
        })
        .await
    }

    async fn tree(&self, round: &Round<'_>) -> Result<Tree, BmcError> {
        let missing = |what: &str| BmcError::Garbled(format!("it has no {what}"));
        let root = round.get(ROOT).await?.ok_or_else(|| missing("service root"))?;
        let systems = round.members(&root["Systems"]).await?;
        let chassis = round.members(&root["Chassis"]).await?;
        let named =
            |system: &Value| self.system.as_deref().is_none_or(|id| system["Id"].as_str() == Some(id));
        let mut mine: Vec<Value> = systems.into_iter().filter(named).collect();
        match (mine.pop(), mine.len()) {
            (Some(system), 0) => Ok(Tree { system, chassis }),
            (None, _) => Err(missing("such system")),
            (Some(_), others) => Err(BmcError::Systems(others + 1)),
        }
    }
}

/// Where a controller's tree begins; everything else is reached by its links.
const ROOT: &str = "/redfish/v1/";
/// The two words for a lamp, and all that is ever changed.
const NEW_WORD: &str = "LocationIndicatorActive";
const OLD_WORD: &str = "IndicatorLED";

/// What pitlane can say to a controller that speaks Redfish.
pub fn statement() -> Vec<Call> {
    let said = |method, path: String, effect, needs| Call::new(System::Bmc, method, path, effect, needs);
    let change = said(
        http::CHANGE,
        format!("{ROOT}LINK"),
        Effect::Change,
        "an operator's role; only with respond.locate",
    );
    vec![
        said(http::READ, format!("{ROOT}LINK"), Effect::Read, "a reader's role"),
        Call { parameters: vec![NEW_WORD.to_owned(), OLD_WORD.to_owned()], ..change },
    ]
}

/// Where everything hangs.
struct Tree {
    system: Value,
    chassis: Vec<Value>,
}

impl Tree {
    /// The first that has a lamp: a chassis, else the system. With its path.
    fn lamp(&self) -> Option<(String, Lamp)> {
        let all = self.chassis.iter().chain([&self.system]);
        all.filter_map(|it| Some((it["@odata.id"].as_str()?.to_owned(), Lamp::of(it)?))).next()
    }
}

fn board(chassis: &Value, parts: &mut Parts) {
    let id = chassis["Id"].as_str().unwrap_or("chassis");
    let mut part = parts::part(chassis);
    // The worst health of anything inside; what is inside tells its own.
    part.good = None;
    parts.add(PartKind::Board, id, Part { ..part });
}

/// A locate LED, in the new or the old words.
struct Lamp {
    state: Switch,
    /// `None`: the new, boolean property.
    old_word: Option<&'static str>,
}

impl Lamp {
    fn of(resource: &Value) -> Option<Self> {
        if let Some(active) = resource[NEW_WORD].as_bool() {
            return Some(Self { state: if active { Switch::On } else { Switch::Off }, old_word: None });
        }
        let state = match resource[OLD_WORD].as_str()? {
            "Lit" | "Blinking" => Switch::On,
            "Off" => Switch::Off,
            // `Unknown`: cannot be read back, so it is not ours to light.
            _ => return None,
        };
        let allowed = resource["IndicatorLED@Redfish.AllowableValues"].as_array();
        let lit = allowed.is_none_or(|words| words.iter().any(|word| word == "Lit"));
        Some(Self { state, old_word: Some(if lit { "Lit" } else { "Blinking" }) })
    }

    fn words(&self, to: Switch) -> Value {
        match (self.old_word, to) {
            (None, to) => json!({ NEW_WORD: to == Switch::On }),
            (Some(word), Switch::On) => json!({ OLD_WORD: word }),
            (Some(_), Switch::Off) => json!({ OLD_WORD: "Off" }),
        }
    }
}

async fn in_time<T>(answer: impl Future<Output = Result<T, BmcError>>) -> Result<T, BmcError> {
    tokio::time::timeout(LIMIT, answer).await.map_err(|_| BmcError::TooSlow(LIMIT))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lamp_is_spoken_to_in_the_words_that_it_knows() {
        let new =
            Lamp::of(&json!({"LocationIndicatorActive": false, "IndicatorLED": "Lit"})).expect("a lamp");
        assert_eq!(
            (new.state, new.words(Switch::On)),
            (Switch::Off, json!({"LocationIndicatorActive": true}))
        );
        let old = Lamp::of(&json!({"IndicatorLED": "Blinking"})).expect("a lamp");
        assert_eq!((old.state, old.words(Switch::Off)), (Switch::On, json!({"IndicatorLED": "Off"})));
        let blinks =
            json!({"IndicatorLED": "Off", "IndicatorLED@Redfish.AllowableValues": ["Blinking", "Off"]});
        assert_eq!(Lamp::of(&blinks).expect("a lamp").words(Switch::On), json!({"IndicatorLED": "Blinking"}));
        assert!(Lamp::of(&json!({"IndicatorLED": "Unknown"})).is_none());
        assert!(Lamp::of(&json!({"LocationIndicatorActive": null})).is_none());
    }
}
