//! Asking for something: the request is stored by the service, its loop answers, and the answer is told.

use std::time::Duration;

use serde_json::json;

use super::Say;
use super::args::{DrainArgs, WaitArgs};
use super::client::Client;
use super::exit::{Ended, Exit, Stop};
use super::follow::{Goal, Until, follow};
use super::text;
use crate::model::ids::{CaseId, NodeName, PlanHash};
use crate::model::request::{Ask, Reply};
use crate::model::rules::Mode;
use crate::model::shown::{Answered, CaseView, Judged, Receipt, Status};
use crate::model::time::Period;
use crate::model::verdict::{Answer, Verdict};
use crate::model::wait::Wait;

/// The next turn answers; a turn may wait for a slow look.
const REPLY_WITHIN: Duration = Duration::from_secs(60);
const REPLY_EVERY: Duration = Duration::from_millis(300);

/// Asks, and waits for the answer. The case that it is about, if any.
pub async fn ask(
    client: &Client,
    ask: &Ask,
    until: Option<&Until>,
    say: Say,
) -> Result<Option<CaseId>, Stop> {
    // One key per command: when the first try's answer is lost, the second is the same request.
    let key = format!("cli-{}", unique());
    let receipt: Receipt = match client.post("/api/v1/requests", ask, &key).await {
        Err(stop) if stop.exit == Exit::Unseen => client.post("/api/v1/requests", ask, &key).await?,
        other => other?,
    };
    let reply = Until::after(Period(until.map_or(REPLY_WITHIN, |until| until.left().min(REPLY_WITHIN))));
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
            None if reply.over() => {
                let text = "the request is stored, and no turn has answered it in time; see `pitlane status`";
                return Err(Stop::new(Exit::Waiting, text));
            }
            None => tokio::time::sleep(REPLY_EVERY.min(reply.left())).await,
        }
    }
}

/// Asks for something about a case; with `--wait` stays until the goal.
pub async fn about(client: &Client, what: Ask, wait: Option<(&WaitArgs, CaseId)>, say: Say) -> Ended {
    let until = wait.filter(|(wait, _)| wait.wait).map(|(wait, case)| (Until::after(wait.timeout), case));
    ask(client, &what, until.as_ref().map(|(until, _)| until), say).await?;
    match until {
        Some((until, case)) => follow(client, case, Goal::Closed, &until, say).await,
        None => Ok(Exit::Done),
    }
}

/// Agrees to a plan. A short hash is completed from the case, so that what is agreed to is always a whole one.
pub async fn approve(client: &Client, case: CaseId, plan: &str, say: Say) -> Ended {
    PlanHash::long_enough(plan).map_err(|why| Stop::new(Exit::Usage, why))?;
    let view: CaseView = client.get(&format!("/api/v1/cases/{case}?limit=1")).await?;
    let shown = match &view.case.phase {
        crate::model::case::Phase::Preparing { shown, .. } => shown.clone(),
        _ => None,
    };
    let hash = match shown {
        Some(shown) => match shown.meant_by(plan) {
            Ok(()) => shown,
            Err(why) => {
                let text = format!("case {case}: {why}; `pitlane plan {}` shows it", view.case.node);
                return Err(Stop::new(Exit::Refused, text));
            }
        },
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

/// Asks for a drain. Refuses with the verdict's reasons while it is no, unless the case may wait. `--timeout` counts
/// from here on.
pub async fn drain(client: &Client, args: &DrainArgs, say: Say) -> Ended {
    let node = super::node(&args.node)?;
    let until = args.wait.wait.then(|| Until::after(args.wait.timeout));
    let status: Status = during(until.as_ref(), client.get("/api/v1/status")).await?;
    let observes = status.mode == Mode::Observe;
    if observes {
        say.hint(
            "Mode observe: nothing will be touched, also with --yes; the case only shows what would be done.",
        );
    }
    let path = format!("/api/v1/nodes/{node}/verdict");
    let judged: Judged = during(until.as_ref(), client.get(&path)).await?;
    if !judged.verdict.clear() && !args.when_clear {
        say.print(&judged, || text::verdict(&judged.verdict));
        say.hint("Nothing was asked for. With --when-clear the case is opened and waits until it is yes.");
        return Ok(exit_of(&judged.verdict));
    }
    let request =
        Ask::Drain { node: NodeName::from(args.node.as_str()), reason: args.reason.clone(), yes: args.yes };
    let case = match ask(client, &request, until.as_ref(), say).await {
        // Whether it is a member at all cannot be seen; that is no "no".
        Err(stop) if stop.exit == Exit::Refused && exit_of(&judged.verdict) == Exit::Unseen => {
            return Err(Stop::new(Exit::Unseen, stop.text));
        }
        other => other?,
    };
    match (case, until) {
        (Some(case), Some(_)) if observes => {
            let text = format!("case {case} is open and waits: {}", Wait::ObserveOnly);
            Err(Stop::new(Exit::Waiting, format!("{text}; {}", Wait::ObserveOnly.remedy_for(case))))
        }
        (Some(case), Some(until)) => follow(client, case, Goal::Drained, &until, say).await,
        _ => Ok(Exit::Done),
    }
}

/// Within the command's own time, if it has one.
async fn during<T>(until: Option<&Until>, asking: impl Future<Output = Result<T, Stop>>) -> Result<T, Stop> {
    match until {
        Some(until) => until.during(asking).await,
        None => asking.await,
    }
}

/// Differs from every other command's: process, time and a counter of the machine's.
fn unique() -> String {
    let mut bytes = [0; 16];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random.fill(&mut bytes).expect("an operating system without randomness cannot do TLS either");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
