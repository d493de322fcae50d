//! The people of the story: an alarm that comes and goes, an operator who approves, a technician who cleans a fan.
//!
//! They know only what a person would: the pages, the machine in front of them. What they do next follows from how
//! things stand, so a demo that was killed goes on where it was.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use serde_json::json;

use crate::model::case::{Case, Phase};
use crate::model::ids::NodeName;
use crate::model::shown::Shown;
use crate::model::time::{Time, age};
use crate::sim::world::Sensor;
use crate::sim::world::sensor::fan;
use crate::sim::{Doors, World};

use super::scene::NODE;
use super::telling::Teller;

/// So long the technician takes to walk to the machine, and to clean two fans.
const WALK_SECS: u64 = 600;
const CLEAN_SECS: u64 = 1200;
/// A second, when nothing is to be seen.
const LEAP_SECS: u64 = 10;
/// Booting takes a minute; then the technician looks at the display for another one.
const BOOT_SECS: u64 = 150;

pub struct People {
    http: reqwest::Client,
    url: String,
    alerts: String,
    operator: String,
    technician: String,
}

impl People {
    pub fn new(url: String, alerts: &str, operator: &str, technician: &str) -> Self {
        let (alerts, operator, technician) = (alerts.to_owned(), operator.to_owned(), technician.to_owned());
        Self { http: reqwest::Client::new(), url, alerts, operator, technician }
    }

    /// Does what has to be done now. `Some(secs)`: nothing will happen for so long; time may leap.
    pub async fn act(
        &mut self,
        case: Option<&Case>,
        doors: &Doors,
        shown: &Shown,
        teller: &mut Teller,
    ) -> anyhow::Result<Option<u64>> {
        let Some(case) = case else {
            self.fan_flaps(doors, teller).await?;
            return Ok(None);
        };
        let now = doors.world().now;
        match &case.phase {
            Phase::Preparing { shown: Some(hash), approval: None, .. } => {
                teller.person("The operator reads the plan and approves it.");
                self.ask(&self.operator, json!({"ask": "approve", "case": case.id, "hash": hash})).await?;
                Ok(None)
            }
            Phase::Draining { .. } if case.faults.len() < 2 && left(case) > 3 => {
                teller.person("A second fan of the same node alarms.");
                self.alarm(doors, "FAN4", now, None).await?;
                Ok(None)
            }
            Phase::HandedOver { claim: None, since, .. } => {
                self.technician(case, *since, doors, shown, teller).await
            }
            Phase::Proving { good_since: Some(_), .. } => Ok(Some(LEAP_SECS)),
            _ => Ok(None),
        }
    }

    /// Three failures within five minutes, each told by Alertmanager when it was over already.
    async fn fan_flaps(&self, doors: &Doors, teller: &mut Teller) -> anyhow::Result<()> {
        teller.person("A fan of pve2 comes and goes.");
        let now = doors.world().now;
        for minutes in [5_u64, 3, 1] {
            let starts = before(now, minutes * 60);
            self.alarm(doors, "FAN3", starts, Some(before(now, minutes * 60 - 20))).await?;
        }
        Ok(())
    }

    /// Walks there, looks at the page before pulling the plug, cleans, closes, switches on, says done.
    async fn technician(
        &self,
        case: &Case,
        since: Time,
        doors: &Doors,
        shown: &Shown,
        teller: &mut Teller,
    ) -> anyhow::Result<Option<u64>> {
        let node = NodeName::from(NODE);
        let now = doors.world().now;
        let stand = Stand::of(&doors.world(), &node);
        match stand {
            Stand::Sick if age(now, since).as_secs() < WALK_SECS => Ok(Some(60)),
            Stand::Sick => {
                match shown.safe_to_power_off(case.id, now) {
                    Ok(_) => {
                        teller.person("The technician sees on the page that the machine may be switched off, and opens it.");
                        doors.world().technician_opens(&node);
                        Ok(Some(CLEAN_SECS))
                    }
                    Err(_) => Ok(None),
                }
            }
            Stand::Open => {
                teller.person("Both fans are cleaned. The technician closes the machine and switches it on.");
                for part in ["FAN3", "FAN4"] {
                    doors.world().set_sensor(&fan(NODE, part), Sensor::Good);
                }
                doors.world().technician_closes(&node);
                Ok(Some(BOOT_SECS))
            }
            Stand::Mended => {
                for (part, starts) in firing(shown) {
                    self.alarm(doors, &part, starts, Some(now)).await?;
                }
                teller.person("The technician says that it is done.");
                let note = "cleaned FAN3 and FAN4, connector of FAN4 reseated";
                self.ask(
                    &self.technician,
                    json!({"ask": "done", "case": case.id, "note": note, "hands_off": false}),
                )
                .await?;
                Ok(None)
            }
        }
    }

    /// What Alertmanager sends.
    async fn alarm(&self, doors: &Doors, part: &str, starts: Time, ends: Option<Time>) -> anyhow::Result<()> {
        // The first fan is bad although its alarms are over: that is how a fan comes and goes.
        if ends.is_none() || !self.mended(doors) {
            doors.world().set_sensor(&fan(NODE, part), Sensor::Bad);
        }
        let labels: BTreeMap<&str, &str> = [
            ("alertname", "IpmiFanState"),
            ("alarm_class", "fan"),
            ("component", part),
            ("node", NODE),
            ("severity", "warning"),
        ]
        .into();
        let status = if ends.is_some() { "resolved" } else { "firing" };
        let ends = ends.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |at| at.to_string());
        let body = json!({
            "version": "4", "status": status, "receiver": "pitlane",
            "alerts": [{"status": status, "labels": labels, "annotations": {}, "startsAt": starts.to_string(), "endsAt": ends}],
        });
        self.post("/alerts/alertmanager", &self.alerts, &body).await
    }

    fn mended(&self, doors: &Doors) -> bool {
        let world = doors.world();
        !world.sensors.is_empty() && !world.sensors.values().any(|sensor| *sensor == Sensor::Bad)
    }

    async fn ask(&self, token: &str, ask: serde_json::Value) -> anyhow::Result<()> {
        self.post("/api/v1/requests", token, &ask).await
    }

    async fn post(&self, path: &str, token: &str, body: &serde_json::Value) -> anyhow::Result<()> {
        let url = format!("{}{path}", self.url);
        let answer =
            self.http.post(&url).bearer_auth(token).json(body).send().await.context("asking pitlane")?;
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        ensure!(status.is_success(), "pitlane answers {status} to {path}: {text}");
        Ok(())
    }
}

/// How the machine stands.
enum Stand {
    Sick,
    Open,
    Mended,
}

impl Stand {
    fn of(world: &World, node: &NodeName) -> Self {
        let open = world.nodes.get(node).is_some_and(|n| n.technician);
        let bad = world.sensors.iter().any(|(key, sensor)| &key.node == node && *sensor == Sensor::Bad);
        match (open, bad) {
            (true, _) => Self::Open,
            (false, true) => Self::Sick,
            (false, false) => Self::Mended,
        }
    }
}

/// Guests that have left so far.
fn left(case: &Case) -> usize {
    use crate::model::owed::Whereabouts;
    case.owed.guests.values().filter(|debt| matches!(debt.at, Whereabouts::Away { .. })).count()
}

fn before(now: Time, secs: u64) -> Time {
    let span = jiff::SignedDuration::from_secs(i64::try_from(secs).unwrap_or(i64::MAX));
    now.saturating_sub(span).unwrap_or(Time::MIN)
}

/// Alarms of the node that still fire, with the start that Alertmanager told: an episode is known by it.
fn firing(shown: &Shown) -> Vec<(String, Time)> {
    let of_node = shown.show.faults.iter().filter(|fault| fault.key.node.as_str() == NODE);
    of_node
        .flat_map(|fault| {
            fault.episodes.iter().filter(|e| e.fires()).map(|e| (fault.key.component.clone(), e.starts_at))
        })
        .collect()
}
