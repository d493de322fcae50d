//! What needs no service: files are checked, schemas printed, pages written.

use std::path::{Path, PathBuf};

use clap::CommandFactory;
use serde_json::json;

use super::Say;
use super::args::{Cli, ConfigCommand, PolicyCommand};
use super::exit::{Ended, Exit, Stop};
use super::policy_test;
use crate::config::file::{ConfigFile, TokensFile};
use crate::config::mistakes::Mistakes;
use crate::config::policy::{self, PolicyFile};
use crate::config::policy_test::PolicyTests;
use crate::config::{self, schema_of};
use crate::model::rules::CephSetup;

/// All mistakes, as lines that editors can jump to, or as JSON.
fn wrong(mistakes: &Mistakes, say: Say) -> Ended {
    say.print(&json!({"mistakes": mistakes.list()}), || format!("{mistakes}\n"));
    Ok(Exit::Usage)
}

pub fn policies(command: &PolicyCommand, config: &Path, say: Say) -> Ended {
    match command {
        PolicyCommand::Schema { tests } => {
            let schema = if *tests { schema_of::<PolicyTests>() } else { schema_of::<PolicyFile>() };
            say.schema(&schema);
            Ok(Exit::Done)
        }
        PolicyCommand::List { dir } => {
            let mut mistakes = Mistakes::default();
            let dir = dir.clone().or_else(|| policies_dir(config));
            let policies = policy::load(dir.as_deref(), &mut mistakes);
            if !mistakes.is_empty() {
                return wrong(&mistakes, say);
            }
            say.print(&policies, || {
                let line = |p: &crate::model::rules::Policy| {
                    let matchers: Vec<String> = p.matchers.iter().map(ToString::to_string).collect();
                    let matchers =
                        if matchers.is_empty() { "no alert".to_owned() } else { matchers.join(", ") };
                    format!("{:12} mode {:8} {matchers}\n", p.name, p.respond.mode)
                };
                policies.iter().map(line).collect()
            });
            Ok(Exit::Done)
        }
        PolicyCommand::Test { paths } => {
            let paths: Vec<PathBuf> =
                if paths.is_empty() { policies_dir(config).into_iter().collect() } else { paths.clone() };
            match policy_test::run(&paths) {
                Err(mistakes) => wrong(&mistakes, say),
                Ok(outcomes) => Ok(tested(&outcomes, say)),
            }
        }
    }
}

fn tested(outcomes: &[policy_test::Outcome], say: Say) -> Exit {
    let bad = outcomes.iter().filter(|o| !o.wrong.is_empty()).count();
    say.print(&json!({"tests": outcomes, "failed": bad}), || {
        let mut out = String::new();
        for outcome in outcomes {
            let mark = if outcome.wrong.is_empty() { "ok  " } else { "FAIL" };
            out.push_str(&format!("{mark} {}: {}\n", outcome.file, outcome.test));
            for line in &outcome.wrong {
                out.push_str(&format!("     {line}\n"));
            }
        }
        out.push_str(&match outcomes.len() {
            0 => "There are no tests here; write NAME.test.yaml beside NAME.yaml.\n".to_owned(),
            n => format!("{} of {n} tests passed.\n", n - bad),
        });
        out
    });
    if bad > 0 || outcomes.is_empty() { Exit::Failed } else { Exit::Done }
}

/// The directory that the configuration names, if there is a configuration.
fn policies_dir(config: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(config).ok()?;
    let read = config::read::<ConfigFile>(&text, &mut Mistakes::default())?;
    let dir = read.json["policies"].as_str()?;
    Some(config.parent().unwrap_or(Path::new(".")).join(dir))
}

pub fn configuration(command: &ConfigCommand, config: &Path, say: Say) -> Ended {
    match command {
        ConfigCommand::Schema { tokens } => {
            let schema = if *tokens { schema_of::<TokensFile>() } else { schema_of::<ConfigFile>() };
            say.schema(&schema);
            Ok(Exit::Done)
        }
        ConfigCommand::Check { .. } => match config::load(config) {
            Err(mistakes) => wrong(&mistakes, say),
            Ok(good) => {
                let hints = hints(&good);
                say.print(&json!({"mistakes": [], "hints": hints}), || {
                    let mut out = format!(
                        "{} is good: mode {}, {} policies.\n",
                        config.display(),
                        good.rules.mode,
                        good.rules.policies.len()
                    );
                    for hint in &hints {
                        out.push_str(&format!("Note: {hint}.\n"));
                    }
                    out
                });
                Ok(Exit::Done)
            }
        },
    }
}

/// What is right and still worth knowing.
fn hints(config: &config::Config) -> Vec<String> {
    let mut hints = Vec::new();
    match &config.proxmox {
        None => hints.push(
            "no proxmox section: there is no cluster to look at, so `pitlane run` will refuse".to_owned(),
        ),
        Some(proxmox) if proxmox.endpoints.len() < 3 => {
            let text = "fewer than three endpoints: before a node may leave, two members beside it must be asked; name them all";
            hints.push(text.to_owned());
        }
        Some(_) => {}
    }
    if config.ceph.setup != CephSetup::None && config.ceph.client.is_none() {
        hints.push(
            "no ceph.client: Ceph cannot be seen, and unknown is no; add it, or declare ceph.setup: none"
                .into(),
        );
    }
    if config.hand.is_none() {
        hints.push(
            "no hand: HA maintenance cannot be asked for, so nodes with HA guests cannot be drained"
                .to_owned(),
        );
    }
    if config.prometheus.is_none() {
        hints.push("no prometheus: sensors cannot be read, so checks with sensors_ok never pass".to_owned());
    }
    if config.http.tokens.is_empty() {
        hints.push("no tokens: nobody may ask, and no alert can be delivered".to_owned());
    }
    if config.rules.notify.page.is_empty() {
        hints.push("no notify.page: nobody is called when something goes wrong".to_owned());
    }
    hints
}

pub fn completions(shell: clap_complete::Shell) -> Ended {
    clap_complete::generate(shell, &mut Cli::command(), "pitlane", &mut std::io::stdout());
    Ok(Exit::Done)
}

pub fn man(dir: &Path) -> Ended {
    std::fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), dir))
        .map(|()| Exit::Done)
        .map_err(|e| {
            Stop::new(Exit::Failed, format!("manual pages cannot be written to {}: {e}", dir.display()))
        })
}
