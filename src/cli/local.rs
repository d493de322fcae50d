//! What needs no service: files are checked, schemas printed, pages written.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use serde_json::json;

use super::Say;
use super::args::{Cli, ConfigCommand, Global, PolicyCommand};
use super::exit::{Ended, Exit, Stop};
use super::{hours, policy_test};
use crate::config::calendar_test::CalendarTests;
use crate::config::calendars::CalendarFile;
use crate::config::file::{ConfigFile, MappingFile, TokensFile};
use crate::config::mistakes::Mistakes;
use crate::config::policy::{self, PolicyFile};
use crate::config::policy_test::PolicyTests;
use crate::config::{self, Config, Service, schema_of};
use crate::model::rules::{Budgets, CephSetup, HandSetup, Limits, Mapping, Mode, Packing, Policy, Rules};
use crate::model::time::Time;

/// All mistakes, as lines that editors can jump to, or as JSON.
fn wrong(mistakes: &Mistakes, say: Say) -> Ended {
    say.print(&json!({"mistakes": mistakes.list()}), || format!("{mistakes}\n"));
    Ok(Exit::Usage)
}

pub fn policies(command: &PolicyCommand, config: &Path, say: Say) -> Ended {
    match command {
        PolicyCommand::Schema { tests, calendar } => {
            let schema = match (calendar, tests) {
                (false, false) => schema_of::<PolicyFile>(),
                (false, true) => schema_of::<PolicyTests>(),
                (true, false) => schema_of::<CalendarFile>(),
                (true, true) => schema_of::<CalendarTests>(),
            };
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
                    let when =
                        p.respond.when.as_ref().map_or_else(String::new, |c| format!("  when {}", c.name));
                    format!("{:12} mode {:8} {matchers}{when}\n", p.name, p.respond.mode)
                };
                policies.iter().map(line).collect()
            });
            Ok(Exit::Done)
        }
        PolicyCommand::Test { paths, .. } => {
            let paths: Vec<PathBuf> =
                if paths.is_empty() { policies_dir(config).into_iter().collect() } else { paths.clone() };
            match policy_test::run(&paths) {
                Err(mistakes) => wrong(&mistakes, say),
                Ok(outcomes) => Ok(tested(&outcomes, say)),
            }
        }
    }
}

/// The configured policies and mapping without anything else of the configuration; the shipped ones without one.
///
/// # Errors
/// The files are wrong.
pub fn rules(config: &Path) -> Result<Rules, Stop> {
    let mut mistakes = Mistakes::default();
    let policies = policy::load(policies_dir(config).as_deref(), &mut mistakes);
    let mut rules = rules_of(mistakes.or(Some(policies)).map_err(|m| Stop::new(Exit::Usage, m.to_string()))?);
    if let Ok(text) = std::fs::read_to_string(config) {
        let mut mistakes = Mistakes::of(config.display().to_string());
        let read = config::read::<ConfigFile>(&text, &mut mistakes);
        let json = read.map(|read| read.json["mapping"].clone()).unwrap_or_default();
        if let Ok(mapping) = serde_json::from_value::<MappingFile>(json) {
            rules.mapping = mapping.into();
        }
    }
    Ok(rules)
}

/// Policies with everything else at its default.
pub fn rules_of(policies: Vec<Policy>) -> Rules {
    Rules {
        mode: Mode::Observe,
        policies,
        mapping: Mapping::default(),
        ceph: CephSetup::None,
        hand: HandSetup::Absent,
        alarms: Default::default(),
        budgets: Budgets::default(),
        limits: Limits::default(),
        packing: Packing::default(),
        notify: Default::default(),
        own: crate::model::rules::OwnHome::outside(),
        silences: None,
        shared: None,
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

pub fn configuration(command: &ConfigCommand, global: &Global, say: Say) -> Ended {
    match command {
        ConfigCommand::Schema { tokens } => {
            let schema = if *tokens { schema_of::<TokensFile>() } else { schema_of::<ConfigFile>() };
            say.schema(&schema);
            Ok(Exit::Done)
        }
        ConfigCommand::Discover(_) => Err(Stop::new(Exit::Usage, "this command is asked of a cluster")),
        ConfigCommand::Check { .. } => match config::serve(&global.config) {
            Err(mistakes) => wrong(&mistakes, say),
            Ok(service) => {
                good(&service, &global.config, say);
                Ok(Exit::Done)
            }
        },
    }
}

/// Nothing is wrong; what is still worth knowing.
fn good(service: &Service, path: &Path, say: Say) {
    let hints = config::hints_of(service);
    let all = service.clusters().iter();
    let clusters: Vec<_> =
        all.map(|one| (one, hours::of(&one.calendars, &one.rules.policies, Time::now()))).collect();
    let json = match (service, &clusters[..]) {
        (Service::One(_), [(_, hours)]) => json!({"mistakes": [], "hints": hints, "calendars": hours}),
        _ => {
            let line = |(one, hours): &(&Config, _)| json!({"name": one.cluster, "mode": one.rules.mode, "policies": one.rules.policies.len(), "calendars": hours});
            json!({"mistakes": [], "hints": hints, "clusters": clusters.iter().map(line).collect::<Vec<_>>()})
        }
    };
    say.print(&json, || {
        let mut out = match service {
            Service::One(_) => format!("{} is good: ", path.display()),
            Service::Fleet { .. } => format!("{} is good: {} clusters.\n", path.display(), clusters.len()),
        };
        for (one, hours) in &clusters {
            if let Service::Fleet { .. } = service {
                out.push_str(&format!("{}: ", one.cluster.as_deref().unwrap_or_default()));
            }
            out.push_str(&format!("mode {}, {} policies.\n", one.rules.mode, one.rules.policies.len()));
            hours.iter().for_each(|calendar| out.push_str(&format!("{calendar}\n")));
        }
        hints.iter().for_each(|hint| out.push_str(&format!("Note: {hint}.\n")));
        out
    });
}

pub fn completions(shell: clap_complete::Shell) -> Ended {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "pitlane", &mut script);
    // A reader that has read enough closes the pipe; that is its choice.
    let _ = std::io::stdout().write_all(&script);
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
