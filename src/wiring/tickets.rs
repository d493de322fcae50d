//! Which ticket system stands behind the tickets port: the built-in board always, the team's beside it where there is one.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use pitlane::adapters::tickets::hook::{self, Hook};
use pitlane::adapters::tickets::{
    Both, Desk, Held, HttpConfig, HttpDesk, Mailed, Polled, RequestTracker, RtConfig,
};
use pitlane::cli::Stop;
use pitlane::config::{TicketSettings, TicketSystem};
use pitlane::ports::{Clock, Tickets};
use tokio::sync::Notify;

use super::notify::post;
use super::{failed, usage};

/// The port, and the hook that makes it look again.
pub struct Wired {
    pub tickets: Arc<dyn Tickets>,
    /// Empty where no hook is configured.
    pub hook: Router,
}

/// # Errors
/// A matter of configuration. Whether the system answers is no matter here: the service starts without it.
pub fn tickets(
    settings: Option<&TicketSettings>,
    board: Arc<dyn Tickets>,
    clock: Arc<dyn Clock>,
    bell: Arc<Notify>,
) -> Result<Wired, Stop> {
    let Some(settings) = settings else { return Ok(Wired { tickets: board, hook: Router::new() }) };
    if let TicketSystem::Mail(mail) = &settings.system {
        let mailed =
            Mailed::new(board, post(mail), &settings.cluster, clock).map_err(|e| failed("tickets", e))?;
        return Ok(Wired { tickets: Arc::new(mailed), hook: Router::new() });
    }
    let held = Arc::new(held(settings, clock.clone())?);
    let asked = held.clone();
    // What is missing there is told at once, and not when a node is out.
    tokio::spawn(async move {
        let missing = asked.preflight().await;
        for line in &missing {
            tracing::error!("tickets: {line}");
        }
        if missing.is_empty() {
            tracing::info!("tickets: the system answers, and what can be asked beforehand is good");
        }
    });
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
    Ok(Wired { tickets: Arc::new(Both { board, team }), hook })
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
