//! The command line: a face. It asks the service and shows answers; what it decides itself (`explain`, `policy test`)
//! touches nothing.
//!
//! Answers go to standard output, everything else to standard error. With `--json` every answer is JSON.

mod args;
mod ask;
mod calendar_test;
mod calls;
mod client;
mod discover;
mod exit;
mod explain;
mod follow;
mod hours;
mod input;
mod journal_lines;
mod local;
mod planner;
mod policy_test;
mod resolve;
mod text;
mod tryout;

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;
use serde_json::json;

pub use args::{
    AuditCommand, Cli, Command, ConfigCommand, DemoArgs, DiscoverArgs, DrainArgs, Global, PolicyCommand,
    StoreCommand, normal,
};
pub use discover::{Ceph, Discovered};
pub use exit::{Ended, Exit, Stop};

use crate::config::{self, Config, Whereabouts};
use crate::model::ids::{CaseId, NodeName};
use crate::model::notice::ChannelName;
use crate::model::plain::{deceives, printable};
use crate::model::report::{Report, Reports};
use crate::model::request::Ask;
use crate::model::rights::TokenRights;
use crate::model::seen::Trouble;
use crate::model::shown::{
    CaseLine, CaseView, ClusterLine, InForce, Judged, OwedView, Recorded, Status, Unreadable,
};
use crate::model::time::Time;
use crate::ports::Archive;

use client::Client;

/// Cases that `cases` lists and `owed --offline` looks through.
const CASES_MAX: usize = 1_000;
/// Unreadable deliveries that `alerts --unreadable` shows.
const UNREADABLE_MAX: usize = 20;

/// What the command line needs of the state on this machine; `main` knows the store.
#[async_trait]
pub trait Local: Send + Sync {
    /// For reading, beside a running service or without one.
    async fn archive(&self, state: &Whereabouts) -> Result<Arc<dyn Archive>, Trouble>;

    /// Walks the journal's chain; the words say how far it is whole.
    async fn verify(&self, state: &Whereabouts) -> Result<String, Trouble>;

    /// Entries of the journal after a number, as lines of JSON with their hashes.
    async fn journal_lines(
        &self,
        state: &Whereabouts,
        case: Option<CaseId>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, String)>, Trouble>;

    /// Copies the store, looks at it, or puts a copy back; in words, and as data.
    async fn store(&self, state: &Whereabouts, command: &StoreCommand) -> Result<Told, Stop>;

    /// Looks at a cluster that no configuration names yet, through one member.
    async fn discover(&self, at: &DiscoverArgs) -> Result<Discovered, Stop>;

    /// Sends a test notice to every channel, and says what became of each.
    async fn test_channels(&self, config: &Config) -> Vec<(ChannelName, Result<(), Trouble>)>;

    /// What the token may do at the configured cluster. `None`: there is no cluster in the configuration.
    async fn test_rights(&self, config: &Config) -> Option<Result<TokenRights, Trouble>>;

    /// Everything that this program can say to other systems.
    fn calls(&self) -> Vec<crate::model::reach::Call>;

    /// Looks around in the team's ticket system, and creates nothing. `None`: the built-in board alone.
    async fn test_tickets(&self, config: &Config) -> Option<TicketsTold>;
}

/// What a command brought, for people and for programs.
#[derive(Clone, Debug)]
pub struct Told {
    pub words: String,
    pub json: serde_json::Value,
}

/// What a look around in a ticket system brought.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TicketsTold {
    pub saw: Vec<String>,
    /// What is missing or wrong, and what to do.
    pub lacks: Vec<String>,
}

/// How answers are given.
#[derive(Clone, Copy, Debug)]
pub struct Say {
    json: bool,
}

impl Say {
    /// The answer, once. A closed pipe is the reader's choice.
    fn print(self, value: &impl Serialize, text: impl FnOnce() -> String) {
        let out = if self.json {
            serde_json::to_string_pretty(value).map(|json| json + "\n").unwrap_or_default()
        } else {
            text()
        };
        let _ = std::io::stdout().write_all(self.printable(&out).as_bytes());
    }

    /// What alerts and people wrote does not write to the terminal. JSON escapes the rest of it: such characters stand
    /// in its texts alone.
    fn printable(self, out: &str) -> String {
        if !self.json {
            return printable(out);
        }
        let mut safe = String::with_capacity(out.len());
        for c in out.chars() {
            match c {
                '\n' => safe.push(c),
                c if deceives(c) => {
                    safe.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")))
                }
                c => safe.push(c),
            }
        }
        safe
    }

    fn schema(self, schema: &serde_json::Value) {
        Say { json: true }.print(schema, String::new);
    }

    /// Something that happened on the way: a line, or one line of JSON.
    fn event(self, text: &str, value: impl FnOnce() -> serde_json::Value) {
        let line = if self.json { value().to_string() } else { text.to_owned() };
        let _ = writeln!(std::io::stdout(), "{}", self.printable(&line));
    }

    /// For people only.
    fn hint(self, text: &str) {
        let _ = writeln!(std::io::stderr(), "{}", printable(text));
    }
}

/// Runs every command but those that `main` runs itself (`run`, `demo`, `drain --standalone`), and says how it ended.
pub async fn run(global: &Global, command: &Command, local: &dyn Local) -> Exit {
    let say = Say { json: global.json };
    match dispatch(global, command, local, say).await {
        Ok(exit) => exit,
        Err(stop) => told(global, &stop),
    }
}

/// Tells why a command ended unhappily.
pub fn told(global: &Global, stop: &Stop) -> Exit {
    if global.json {
        Say { json: true }.print(&json!({"error": stop.text, "exit": stop.exit.code()}), String::new);
    }
    let _ = writeln!(std::io::stderr(), "{}", printable(&format!("pitlane: {stop}")));
    stop.exit
}

async fn dispatch(global: &Global, command: &Command, local: &dyn Local, say: Say) -> Ended {
    let case = |id: &u64| CaseId(*id);
    let client = || Client::new(global);
    match command {
        Command::Check { node } => {
            let judged: Judged =
                client()?.get(&format!("/api/v1/nodes/{}/verdict", self::node(node)?)).await?;
            say.print(&judged, || text::verdict(&judged.verdict));
            Ok(ask::exit_of(&judged.verdict))
        }
        Command::Plan { node } => {
            let judged: Judged =
                client()?.get(&format!("/api/v1/nodes/{}/verdict", self::node(node)?)).await?;
            say.print(&judged, || text::plan(&judged));
            Ok(if judged.plan.is_some() { Exit::Done } else { ask::exit_of(&judged.verdict) })
        }
        Command::Drain(args) => ask::drain(&client()?, args, say).await,
        Command::Status => {
            let status: Status = client()?.get("/api/v1/status").await?;
            say.print(&status, || text::status(&status));
            Ok(if status.ready { Exit::Done } else { Exit::Unseen })
        }
        Command::Clusters => {
            let all: Vec<ClusterLine> = Client::of_the_fleet(global)?.get("/api/v1/clusters").await?;
            say.print(&all, || text::clusters(&all));
            Ok(if all.iter().all(|line| line.well) { Exit::Done } else { Exit::Unseen })
        }
        Command::Alerts { unreadable: true } => {
            let all: Unreadable =
                client()?.get(&format!("/api/v1/alerts/unreadable?limit={UNREADABLE_MAX}")).await?;
            say.print(&all, || text::unreadable(&all));
            Ok(Exit::Done)
        }
        Command::Alerts { unreadable: false } => {
            let status: Status = client()?.get("/api/v1/status").await?;
            let alerts = json!({
                "faults": status.faults, "unplaced": status.unplaced, "unreadable": status.unreadable,
            });
            say.print(&alerts, || text::all_alerts(&status));
            Ok(Exit::Done)
        }
        Command::Reload => {
            let config: InForce =
                Client::of_the_fleet(global)?.post("/api/v1/reload", &json!({}), "reload").await?;
            say.print(&config, || text::reloaded(&config, Time::now()));
            Ok(if config.refused.is_none() { Exit::Done } else { Exit::Usage })
        }
        Command::Cases => {
            let cases: Vec<CaseLine> = client()?.get(&format!("/api/v1/cases?limit={CASES_MAX}")).await?;
            say.print(&cases, || text::cases(&cases));
            Ok(Exit::Done)
        }
        Command::Show { case } => {
            let view: CaseView = client()?.get(&format!("/api/v1/cases/{case}")).await?;
            say.print(&view, || text::case(&view));
            Ok(Exit::Done)
        }
        Command::Report { since: Some(since), .. } => {
            let reports: Reports = client()?.get(&format!("/api/v1/reports?since={since}")).await?;
            say.print(&reports, || reports.to_string());
            Ok(Exit::Done)
        }
        Command::Report { case, .. } => {
            // Required where no span is named.
            let case = case.unwrap_or_default();
            let report: Report = client()?.get(&format!("/api/v1/cases/{case}/report")).await?;
            say.print(&report, || report.to_string());
            Ok(Exit::Done)
        }
        Command::Approve { case: id, plan } => ask::approve(&client()?, case(id), plan, say).await,
        Command::Abort { case: id, reason, wait } => {
            let what = Ask::Abort { case: case(id), reason: reason.clone() };
            ask::about(&client()?, what, Some((wait, case(id))), say).await
        }
        Command::Done { case: id, note, hands_off, wait } => {
            let what = Ask::Done { case: case(id), note: note.clone(), hands_off: *hands_off };
            ask::about(&client()?, what, Some((wait, case(id))), say).await
        }
        Command::Note { case: id, text } => {
            ask::about(&client()?, Ask::Note { case: case(id), text: text.clone() }, None, say).await
        }
        Command::Retire { case: id, reason } => {
            ask::about(&client()?, Ask::Retire { case: case(id), reason: reason.clone() }, None, say).await
        }
        Command::Accept { case: id, part, reason } => {
            let what = Ask::Accept { case: case(id), part: part.clone(), reason: reason.clone() };
            ask::about(&client()?, what, None, say).await
        }
        Command::Heal { case: id } => ask::about(&client()?, Ask::Heal { case: case(id) }, None, say).await,
        Command::Pause { reason } => {
            ask::about(&client()?, Ask::Pause { reason: reason.clone() }, None, say).await
        }
        Command::Resume => ask::about(&client()?, Ask::Resume, None, say).await,
        Command::Owed { offline } => owed(global, *offline, local, say).await,
        Command::Policy(PolicyCommand::Test { alert: Some(file), members, .. }) => {
            resolve::run(file, &against(global, members.as_deref()).await?, say)
        }
        Command::Resolve { file, members } => {
            resolve::run(file, &against(global, members.as_deref()).await?, say)
        }
        Command::Policy(command) => local::policies(command, &cluster_file(global)?, say),
        Command::Config(ConfigCommand::Discover(args)) => {
            let found = local.discover(args).await?;
            discover::print(&found, args, say);
            Ok(Exit::Done)
        }
        Command::Config(ConfigCommand::Check { send: true }) => tryout::send(global, local, say).await,
        Command::Config(command) => local::configuration(command, global, say),
        Command::Explain { observed, node } => explain::run(observed, node.as_deref(), say),
        Command::Planner { instance, output, canary } => {
            planner::run(instance, output.as_deref(), *canary, say)
        }
        Command::Audit(AuditCommand::Verify) => {
            let words =
                local.verify(&state_dir(global)?).await.map_err(|t| Stop::new(Exit::Failed, t.text()))?;
            say.print(&json!({"verified": words}), || format!("{words}\n"));
            Ok(Exit::Done)
        }
        Command::Audit(AuditCommand::Export { case }) => {
            journal_lines::print(local, &state_dir(global)?, case.map(CaseId)).await
        }
        Command::Calls => {
            calls::run(&local.calls(), say);
            Ok(Exit::Done)
        }
        Command::Store(command) => {
            let state = match command {
                // A file by itself needs no configuration.
                StoreCommand::Verify { file: Some(_) } => Whereabouts::Dir(PathBuf::new()),
                _ => state_dir(global)?,
            };
            let told = local.store(&state, command).await?;
            say.print(&told.json, || told.words.clone());
            Ok(Exit::Done)
        }
        Command::Completions { shell } => local::completions(*shell),
        Command::Man { dir } => local::man(dir),
        Command::Run | Command::Demo(_) => {
            Err(Stop::new(Exit::Usage, "this command is not asked of a service"))
        }
    }
}

/// Whom alerts may mean: by hand, or as the running service sees the cluster.
async fn against(global: &Global, members: Option<&str>) -> Result<resolve::Against, Stop> {
    if let Some(members) = members {
        let rules = local::rules(&cluster_file(global)?)?;
        return Ok(resolve::Against { members: resolve::members(members)?, ceph: None, rules });
    }
    let recorded: Recorded = Client::new(global)?.get("/api/v1/observed").await?;
    let Some(members) = recorded.observed.pve.first.any_age() else {
        return Err(Stop::new(Exit::Unseen, "the service cannot see the cluster; write --members pve1,pve2"));
    };
    Ok(resolve::Against {
        members: members.clone(),
        ceph: recorded.observed.ceph.any_age().cloned(),
        rules: recorded.rules,
    })
}

/// From the service; from its database when the service is dead, which is when this is needed most.
async fn owed(global: &Global, offline: bool, local: &dyn Local, say: Say) -> Ended {
    let asked = if offline {
        None
    } else {
        let asked = match Client::new(global) {
            Ok(client) => client.get::<Vec<OwedView>>("/api/v1/owed").await,
            // No token at hand at three in the morning must not hide what the database knows.
            Err(stop) => Err(stop),
        };
        match asked {
            Ok(all) => Some(all),
            Err(stop) if matches!(stop.exit, Exit::Unseen | Exit::Usage) && state_dir(global).is_ok() => {
                say.hint(&format!("{stop}. Reading its database instead."));
                None
            }
            Err(stop) => return Err(stop),
        }
    };
    let all = match asked {
        Some(all) => all,
        None => {
            let unseen = |trouble: Trouble| Stop::new(Exit::Unseen, trouble.to_string());
            let archive = local.archive(&state_dir(global)?).await.map_err(unseen)?;
            let cases = archive.cases(CASES_MAX).await.map_err(unseen)?;
            cases.iter().filter_map(OwedView::of).collect()
        }
    };
    say.print(&all, || text::owed(&all));
    Ok(Exit::Done)
}

/// Where the configuration keeps the state, without reading anything that it names but what a database needs.
fn state_dir(global: &Global) -> Result<Whereabouts, Stop> {
    config::whereabouts(&global.config, global.cluster.as_deref())
        .map_err(|text| Stop::new(Exit::Usage, text))
}

/// Where the policies of the cluster that is meant are named.
fn cluster_file(global: &Global) -> Result<PathBuf, Stop> {
    config::cluster_file(&global.config, global.cluster.as_deref())
        .map_err(|text| Stop::new(Exit::Usage, text))
}

/// A node's name, as Proxmox spells it.
fn node(text: &str) -> Result<NodeName, Stop> {
    let fine = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if (1..=63).contains(&text.len()) && text.chars().all(fine) {
        return Ok(NodeName::from(text));
    }
    Err(Stop::new(
        Exit::Usage,
        format!("{text:?} is no node's name; write it as Proxmox shows it, such as pve1"),
    ))
}
