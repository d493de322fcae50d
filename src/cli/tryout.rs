//! `config check --send`: the configuration is good; are those whom it names there? A test notice to each channel, and a
//! look around in the ticket system, which creates nothing.

use serde_json::json;

use super::{Ended, Exit, Global, Local, Say, Stop, TicketsTold, local};
use crate::cli::ConfigCommand;
use crate::config;
use crate::model::notice::ChannelName;
use crate::model::rights::TokenRights;
use crate::model::seen::Trouble;

type Sent = (ChannelName, Result<(), Trouble>);

/// Checks the configuration, then tries each channel of it and the ticket system.
pub async fn send(global: &Global, here: &dyn Local, say: Say) -> Ended {
    let Ok(service) = config::serve(&global.config) else {
        return local::configuration(&ConfigCommand::Check { send: false }, global, say);
    };
    let good = service.cluster(global.cluster.as_deref()).map_err(|text| Stop::new(Exit::Usage, text))?;
    let (told, tickets, rights) =
        tokio::join!(here.test_channels(good), here.test_tickets(good), here.test_rights(good));
    let all: Vec<_> = told
        .iter()
        .map(|(name, sent)| json!({"channel": name, "error": sent.as_ref().err().map(ToString::to_string)}))
        .collect();
    let failed = told.iter().any(|(_, sent)| sent.is_err())
        || tickets.as_ref().is_some_and(|tickets| !tickets.lacks.is_empty())
        || matches!(&rights, Some(Ok(found)) if !found.lacks.is_empty());
    let seen = rights.as_ref().map(|asked| match asked {
        Ok(found) => json!(found),
        Err(why) => json!({"error": why.to_string()}),
    });
    say.print(&json!({"mistakes": [], "channels": all, "tickets": tickets, "token": seen}), || {
        channels(&told) + &of_tickets(tickets.as_ref()) + &of_rights(rights.as_ref())
    });
    Ok(if failed || told.is_empty() { Exit::Failed } else { Exit::Done })
}

fn channels(told: &[Sent]) -> String {
    let line = |(name, sent): &Sent| match sent {
        Ok(()) => format!("{name}: a test notice was taken.\n"),
        Err(why) => format!("{name}: {why}.\n"),
    };
    match told.is_empty() {
        true => "There is no channel; add notify.channels to be told of anything.\n".to_owned(),
        false => told.iter().map(line).collect(),
    }
}

fn of_rights(asked: Option<&Result<TokenRights, Trouble>>) -> String {
    match asked {
        None => String::new(),
        Some(Err(why)) => format!("token: what it may do at Proxmox cannot be seen: {why}.\n"),
        Some(Ok(found)) if found.good() => {
            "token: it may do at Proxmox what pitlane needs, and could destroy nothing.\n".to_owned()
        }
        Some(Ok(found)) => found.told().iter().map(|line| format!("token: NOT GOOD: {line}.\n")).collect(),
    }
}

fn of_tickets(told: Option<&TicketsTold>) -> String {
    let Some(TicketsTold { saw, lacks }) = told else {
        return "tickets: the built-in board alone, which needs nobody.\n".to_owned();
    };
    let lines = saw.iter().map(|line| format!("tickets: {line}.\n"));
    lines.chain(lacks.iter().map(|line| format!("tickets: NOT GOOD: {line}.\n"))).collect()
}
