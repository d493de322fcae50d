//! Asking for something: the request is stored by the service, its loop answers, and the answer is told.

use std::time::{Duration, Instant};

use serde_json::json;

use super::Say;
use super::args::{DrainArgs, WaitArgs};
use super::client::Client;
use super::exit::{Ended, Exit, Stop};
use super::follow::{Goal, follow};
use super::text;
use crate::model::ids::{CaseId, NodeName, PlanHash};
use crate::model::request::{Ask, Reply};
use crate::model::shown::{Answered, CaseView, Judged, Receipt};
use crate::model::verdict::{Answer, Verdict};

/// The next turn answers; a turn may wait for a slow look.
const REPLY_WITHIN: Duration = Duration::from_secs(60);
const REPLY_EVERY: Duration = Duration::from_millis(300);

/// The fewest characters of a plan's hash that say which plan is meant.
const HASH_MIN: usize = 12;

/// Asks, and waits for the answer. The case that it is about, if any.
pub async fn ask(client: &Client, ask: &Ask, say: Say) -> Result<Option<CaseId>, Stop> {
    // One key per command: when the first try's answer is lost, the second is the same request.
    let key = format!("cli-{}", unique());
    let receipt: Receipt = match client.post("/api/v1/requests", ask, &key).await {
        Err(stop) if stop.exit == Exit::Unseen => client.post("/api/v1/requests", ask, &key).await?,
        other => other?,
    };
    let deadline = Instant::now() + REPLY_WITHIN;
    loop {
        let answered: Answered = client.get(&format!("/api/v1/requests/{}", receipt.request)).await?;
        match answered.reply {
            Some(Reply::Accepted { case }) => {
                let text =
                    case.map_or_else(|| "Accepted.".to_owned(), |case| format!("Accepted: case {case}."));
                say.event(&text, || json!({"event": "accepted", "case": case}));
                return Ok(case);
            }
            Some(Reply::Refused { why }) => return Err(Stop::new(Exit::Refused, format!("refused: {why}"))),
            None if Instant::now() > deadline => {
                let text = "the request is stored, and no turn has answered it within a minute; see `pitlane status`";
                return Err(Stop::new(Exit::Waiting, text));
            }
            None => tokio::time::sleep(REPLY_EVERY).await,
        }
    }
}

/// Asks for something about a case; with `--wait` stays until the goal.
pub async fn about(client: &Client, what: Ask, wait: Option<(&WaitArgs, CaseId)>, say: Say) -> Ended {
    ask(client, &what, say).await?;
    match wait {
        Some((wait, case)) if wait.wait => follow(client, case, Goal::Closed, wait.timeout, say).await,
        _ => Ok(Exit::Done),
    }
}

/// Agrees to a plan. A short hash is completed from the case, so that what is agreed to is always a whole one.
pub async fn approve(client: &Client, case: CaseId, plan: &str, say: Say) -> Ended {
    let view: CaseView = client.get(&format!("/api/v1/cases/{case}?limit=1")).await?;
    let shown = match &view.case.phase {
        crate::model::case::Phase::Preparing { shown, .. } => shown.clone(),
        _ => None,
    };
    let hash = match shown {
        Some(shown) if plan.len() >= HASH_MIN && shown.0.starts_with(plan) => shown,
        Some(shown) => {
            let text = format!(
                "case {case} now has plan {}; look at it with `pitlane plan {}`",
                shown.short(),
                view.case.node
            );
            return Err(Stop::new(Exit::Refused, text));
        }
        None if plan.len() == 64 => PlanHash(plan.to_owned()),
        None => {
            let text = format!("case {case} waits for no plan to be approved; see `pitlane show {case}`");
            return Err(Stop::new(Exit::Refused, text));
        }
    };
    about(client, Ask::Approve { case, hash }, None, say).await
}

/// What a verdict means for a script: yes, no, or blind.
pub fn exit_of(verdict: &Verdict) -> Exit {
    if verdict.clear() {
        Exit::Done
    } else if verdict.checks.iter().any(|check| check.answer == Answer::Block) {
        Exit::Refused
    } else {
        Exit::Unseen
    }
}

/// Asks for a drain. Refuses with the verdict's reasons while it is no, unless the case may wait.
pub async fn drain(client: &Client, args: &DrainArgs, say: Say) -> Ended {
    let node = super::node(&args.node)?;
    let judged: Judged = client.get(&format!("/api/v1/nodes/{node}/verdict")).await?;
    if !judged.verdict.clear() && !args.when_clear {
        say.print(&judged, || text::verdict(&judged.verdict));
        say.hint("Nothing was asked for. With --when-clear the case is opened and waits until it is yes.");
        return Ok(exit_of(&judged.verdict));
    }
    let request =
        Ask::Drain { node: NodeName::from(args.node.as_str()), reason: args.reason.clone(), yes: args.yes };
    let case = ask(client, &request, say).await?;
    match case {
        Some(case) if args.wait.wait => follow(client, case, Goal::Drained, args.wait.timeout, say).await,
        _ => Ok(Exit::Done),
    }
}

/// Differs from every other command's: process, time and a counter of the machine's.
fn unique() -> String {
    let mut bytes = [0; 16];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random.fill(&mut bytes).expect("an operating system without randomness cannot do TLS either");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
