//! Which ticket system stands behind the tickets port: the built-in board always, the team's beside it where there is one.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use pitlane::adapters::tickets::hook::{self, Hook};
use pitlane::adapters::tickets::{
    Both, Desk, Held, HttpConfig, HttpDesk, Mailed, Polled, RequestTracker, RtConfig, Survey,
};
use pitlane::cli::Stop;
use pitlane::config::{TicketSettings, TicketSystem};
use pitlane::ports::{Clock, Tickets};
use tokio::sync::Notify;

use super::notify::post;
use super::{failed, usage};

/// Whether what the configuration names is there: below the deadline of whoever waits for a reload's answer.
const ASKING_MAX: Duration = Duration::from_secs(10);
/// A look around: some ten questions.
const SURVEY_MAX: Duration = Duration::from_secs(60);

/// The team's system, and the hook that makes it look again.
pub struct Wired {
    team: Team,
    /// Empty where no hook is configured.
    pub hook: Router,
    /// A system that can be asked what it lacks; `None`: the board, or mail.
    pub asked: Option<Arc<Held>>,
}

enum Team {
    Nobody,
    Desk(Arc<Polled>),
    Mail(Mailed),
}

impl Wired {
    /// The port, with this board beside the team's system.
    pub fn over(&self, board: Arc<dyn Tickets>) -> Arc<dyn Tickets> {
        match &self.team {
            Team::Nobody => board,
            Team::Desk(team) => Arc::new(Both { board, team: team.clone() }),
            Team::Mail(mailed) => Arc::new(mailed.over(board)),
        }
    }
}

/// # Errors
/// A matter of configuration. Whether the system answers is no matter here: the service starts without it.
pub fn tickets(
    settings: Option<&TicketSettings>,
    board: Arc<dyn Tickets>,
    clock: Arc<dyn Clock>,
    bell: Arc<Notify>,
) -> Result<Wired, Stop> {
    let Some(settings) = settings else {
        return Ok(Wired { team: Team::Nobody, hook: Router::new(), asked: None });
    };
    if let TicketSystem::Mail(mail) = &settings.system {
        let mailed =
            Mailed::new(board, post(mail), &settings.cluster, clock).map_err(|e| failed("tickets", e))?;
        return Ok(Wired { team: Team::Mail(mailed), hook: Router::new(), asked: None });
    }
    let held = Arc::new(held(settings, clock.clone())?);
    let asked = Some(held.clone());
    let team = Arc::new(Polled::new(held, settings.poll.0, clock));
    let hook = match &settings.hook_secret {
        None => Router::new(),
        Some(secret) => {
            let team = team.clone();
            let ring = Arc::new(move || {
                team.rung();
                bell.notify_one();
            });
            hook::router(Hook::new(&secret.0, ring))
        }
    };
    Ok(Wired { team: Team::Desk(team), hook, asked })
}

/// What the system lacks of what the configuration names; in the log as well. What is missing is told at once, and not when
/// a node is out.
pub async fn lacks(asked: &Held) -> Vec<String> {
    let lacks = match tokio::time::timeout(ASKING_MAX, asked.preflight()).await {
        Ok(lacks) => lacks,
        Err(_) => vec![format!("the system did not answer within {} s", ASKING_MAX.as_secs())],
    };
    let lines: Vec<String> = lacks.iter().map(|line| format!("tickets: {line}")).collect();
    for line in &lines {
        tracing::error!("{line}");
    }
    if lines.is_empty() {
        tracing::info!("tickets: the system answers, and what can be asked beforehand is good");
    }
    lines
}

/// A look around for a person who tests. Nothing is created.
pub async fn survey(settings: &TicketSettings, clock: Arc<dyn Clock>) -> Survey {
    if let TicketSystem::Mail(mail) = &settings.system {
        let saw = format!(
            "mail to {}: nothing can be asked beforehand, and no letter was sent",
            mail.to.join(", ")
        );
        return Survey { saw: vec![saw], lacks: Vec::new() };
    }
    let lacks = |text: String| Survey { saw: Vec::new(), lacks: vec![text] };
    let held = match held(settings, clock) {
        Ok(held) => held,
        Err(stop) => return lacks(stop.text),
    };
    let within = SURVEY_MAX;
    let late = || lacks(format!("the system did not answer within {} s", within.as_secs()));
    tokio::time::timeout(within, held.survey()).await.unwrap_or_else(|_| late())
}

fn held(settings: &TicketSettings, clock: Arc<dyn Clock>) -> Result<Held, Stop> {
    let url = settings.url.parse().map_err(|e| usage(format!("tickets.url: {e}")))?;
    let ca_pem = settings.ca_file.as_deref().map(pem).transpose()?;
    let wrong = |e| failed("tickets", e);
    let (desk, system): (Box<dyn Desk>, String) = match settings.system.clone() {
        TicketSystem::Rt { token, queue, field, requestor, statuses } => {
            let config = RtConfig { url, token: token.0, ca_pem, queue, field, requestor, statuses };
            (Box::new(RequestTracker::new(config).map_err(wrong)?), "Request Tracker".to_owned())
        }
        TicketSystem::Http { template, values, secrets } => {
            let system = template.system.clone();
            let secrets = secrets.into_iter().map(|(name, secret)| (name, secret.0)).collect();
            let config = HttpConfig { url, ca_pem, template: *template, values, secrets };
            (Box::new(HttpDesk::new(config).map_err(wrong)?), system)
        }
        TicketSystem::Mail(_) => return Err(usage("tickets: mail has no desk that could be asked")),
    };
    Ok(Held::new(desk, &system, &settings.cluster, clock))
}

fn pem(file: &Path) -> Result<Vec<u8>, Stop> {
    std::fs::read(file).map_err(|e| usage(format!("tickets.ca_file: cannot read {}: {e}", file.display())))
}
