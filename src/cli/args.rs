//! The command line: what may be written, and its help.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use super::exit::HELP;
use crate::config::file::LogFormat;
use crate::model::time::Period;

#[derive(Debug, Parser)]
#[command(
    name = "pitlane",
    version,
    about = "Takes a sick Proxmox VE node off the track, gets it serviced, and puts it back",
    after_help = HELP,
    arg_required_else_help = true
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    /// The same as `drain NODE --wait`; takes the options of `drain`.
    #[arg(long = "drain", value_name = "NODE")]
    pub flag_drain: Option<String>,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Where pitlane is, and how it answers.
#[derive(Clone, Debug, Default, Args)]
pub struct Global {
    /// Answer in JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// The service's address; read from the configuration if not given.
    #[arg(long, global = true, env = "PITLANE_URL", value_name = "URL")]
    pub url: Option<String>,
    /// Which cluster of a fleet.
    #[arg(long, global = true, env = "PITLANE_CLUSTER", value_name = "NAME")]
    pub cluster: Option<String>,
    /// A file that holds your token and nothing else.
    #[arg(long, global = true, env = "PITLANE_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// The token itself: only from within, for a service of our own.
    #[arg(skip)]
    pub token: Option<String>,
    /// A certificate (PEM) to trust beside the system's.
    #[arg(long, global = true, env = "PITLANE_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// The configuration file.
    #[arg(long, global = true, env = "PITLANE_CONFIG", value_name = "FILE", default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,
    /// How the log of `run` looks; over what the configuration says.
    #[arg(long, global = true, env = "PITLANE_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

pub const DEFAULT_CONFIG: &str = "/etc/pitlane/pitlane.yaml";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the service: look, decide, write down, act.
    Run,
    /// Watch a whole maintenance of a simulated cluster. Needs nothing, touches nothing.
    Demo(DemoArgs),
    /// May this node leave now, yes or no, and why?
    Check { node: String },
    /// What would be done to drain this node?
    Plan { node: String },
    /// Take a node out of service.
    Drain(DrainArgs),
    /// What pitlane is doing.
    Status,
    /// The clusters of a fleet, and how each of them stands.
    Clusters,
    /// What fails now, and alerts that lead nowhere.
    Alerts {
        /// Deliveries that nobody could read: when, why, and how they begin.
        #[arg(long)]
        unreadable: bool,
    },
    /// Let the service read its configuration and policies again; wrong ones change nothing.
    Reload,
    /// All cases, open ones first.
    Cases,
    /// One case and its story.
    Show { case: u64 },
    /// What happened in a case, what was promised and kept, and what stood in the way: in Markdown.
    Report {
        #[arg(required_unless_present = "since")]
        case: Option<u64>,
        /// Instead of one case: all of so long until now, a line each with the promises that were kept.
        #[arg(long, value_name = "SPAN", conflicts_with = "case")]
        since: Option<Period>,
    },
    /// Agree to a plan, named by its hash or the hash's beginning (12 characters or more).
    Approve {
        case: u64,
        #[arg(long, value_name = "HASH")]
        plan: String,
    },
    /// Call a case off; everything goes back.
    Abort {
        case: u64,
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// The work is done. That is a claim: the checks have to stay good for the soak time.
    Done {
        case: u64,
        #[arg(long, default_value = "")]
        note: String,
        /// Nobody works on the machine any more (after a case was called off).
        #[arg(long)]
        hands_off: bool,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Add a remark to the story.
    Note { case: u64, text: String },
    /// Close a case whose node does not come back.
    Retire {
        case: u64,
        #[arg(long)]
        reason: String,
    },
    /// Explain a difference in the machine's parts: a part by its name, `bmc` for a controller that cannot be read any
    /// more, `led` for a lamp that cannot be put out.
    Accept {
        case: u64,
        part: String,
        #[arg(long)]
        reason: String,
    },
    /// Give noout back although OSDs are down, so that Ceph heals.
    Heal { case: u64 },
    /// Pull the kill switch: nothing new is begun.
    Pause {
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Release the kill switch.
    Resume,
    /// What is taken from the cluster, and the plain shell that gives it back without pitlane.
    Owed {
        /// Read the database of the configuration instead of asking the service.
        #[arg(long)]
        offline: bool,
    },
    /// Policies: test them, list them, their schema.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Which node each alert of a file means, and why.
    Resolve {
        /// A webhook's body, a listing of Alertmanager's API, or a recording. `-` reads from standard input.
        file: PathBuf,
        /// The members: `pve1,pve2=10.0.0.2` (with or without an address) or a file of them; if not given, the
        /// service is asked.
        #[arg(long, value_name = "LIST")]
        members: Option<String>,
    },
    /// The configuration: check it, its schema.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Decide a recorded turn again: the file of a bug report.
    Explain {
        /// {"state": …, "observed": …, "rules": …}, as `GET /api/v1/observed` gives it. `-` reads from standard input.
        #[arg(long, value_name = "FILE")]
        observed: PathBuf,
        /// Judge this node, too.
        #[arg(long, value_name = "NODE")]
        node: Option<String>,
    },
    /// Plan a drain or a return offline: a cluster as a file in, a plan out. Touches nothing.
    Planner {
        /// A `pitlane-plan-instance/1`. `-` reads from standard input.
        #[arg(value_name = "INSTANCE.json", default_value = "-")]
        instance: PathBuf,
        /// Where the plan (`pitlane-plan/1`) goes; standard output if not given.
        #[arg(long, short, value_name = "PLAN.json")]
        output: Option<PathBuf>,
        /// The smallest live guest that HA does not manage goes first and alone.
        #[arg(long)]
        canary: bool,
    },
    /// The journal.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Every call that pitlane can make to other systems: method, path, effect, and the right that it needs.
    Calls,
    /// Where pitlane remembers: copy it, look whether it is whole, put a copy back, move it into a database.
    #[command(subcommand)]
    Store(StoreCommand),
    /// Completions for a shell, to standard output.
    Completions { shell: Shell },
    /// Manual pages, into a directory.
    Man { dir: PathBuf },
}

#[derive(Clone, Debug, Args)]
pub struct DrainArgs {
    pub node: String,
    /// Why; it stands in the journal and on the work order.
    #[arg(long, default_value = "")]
    pub reason: String,
    /// Agree to the plan beforehand, whatever it turns out to be.
    #[arg(long)]
    pub yes: bool,
    /// Open the case even while the verdict is no; it waits until it is yes.
    #[arg(long)]
    pub when_clear: bool,
    /// Run the loop here instead of asking a service. Refuses while another instance holds the state.
    #[arg(long)]
    pub standalone: bool,
    #[command(flatten)]
    pub wait: WaitArgs,
}

#[derive(Clone, Debug, Args)]
pub struct WaitArgs {
    /// Stay and show how it goes, to the end.
    #[arg(long)]
    pub wait: bool,
    /// Wait no longer than this.
    #[arg(long, value_name = "TIME", default_value = "4h")]
    pub timeout: Period,
}

#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// How many times faster than real time, from 0.1 to 60; 20 if not given.
    #[arg(long)]
    pub speed: Option<f64>,
    /// Keep running afterwards, with the console on a loopback port.
    #[arg(long)]
    pub serve: bool,
    /// Keep the state here, to go on after being killed.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Feed recorded alerts to the policies and compare the decisions.
    Test {
        /// Test files or directories; if none is given, those beside the configured policies, or the shipped ones.
        paths: Vec<PathBuf>,
        /// Instead: what each alert of this file means (as `pitlane resolve`).
        #[arg(long, value_name = "FILE", conflicts_with = "paths")]
        alert: Option<PathBuf>,
        /// The members that the alerts may mean; if not given, the service is asked.
        #[arg(long, value_name = "LIST", requires = "alert")]
        members: Option<String>,
    },
    /// The policies in the order in which they are asked.
    List {
        /// A directory of policies; if not given, the configured or the shipped ones.
        dir: Option<PathBuf>,
    },
    /// The JSON Schema of a policy file.
    Schema {
        /// That of a policy's test file instead; with --calendar of a calendar's.
        #[arg(long)]
        tests: bool,
        /// That of a calendar's file instead.
        #[arg(long)]
        calendar: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Read the configuration and everything it names; all mistakes at once.
    Check {
        /// Also send a test notice to each channel, and say what became of it.
        #[arg(long)]
        send: bool,
    },
    /// Ask a cluster through one member what there is, and print a whole configuration for it. Changes nothing.
    Discover(DiscoverArgs),
    /// The JSON Schema of the configuration file.
    Schema {
        /// That of the tokens file instead.
        #[arg(long)]
        tokens: bool,
    },
}

#[derive(Clone, Debug, Args)]
pub struct DiscoverArgs {
    /// Any member's API, such as https://192.0.2.11:8006.
    #[arg(long, value_name = "URL")]
    pub endpoint: String,
    /// A file with the API token: USER@REALM!NAME=UUID.
    #[arg(long, value_name = "FILE")]
    pub api_token_file: PathBuf,
    /// The cluster's own authority (a copy of /etc/pve/pve-root-ca.pem). Else --fingerprint, else the system's.
    #[arg(long, value_name = "FILE", conflicts_with = "fingerprint")]
    pub api_ca_file: Option<PathBuf>,
    /// SHA-256 of the certificate that the member shows.
    #[arg(long, value_name = "SHA256")]
    pub fingerprint: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Walk the journal's chain and say whether anything was changed.
    Verify,
    /// Write the journal to standard output, a line of JSON for each entry, with the hashes of its chain.
    Export {
        /// Of this case alone.
        #[arg(long, value_name = "CASE")]
        case: Option<u64>,
    },
}

#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Copy the store to a new file, beside a running service or without one. The copy is verified; nothing is overwritten.
    Backup {
        /// Must not be there yet.
        file: PathBuf,
    },
    /// Read everything that is stored and say whether it is whole: pages, indexes, seals, the journal's chain, every row.
    Verify {
        /// A backup; the store of the configuration if not given.
        file: Option<PathBuf>,
    },
    /// Put a backup in the store's place. The service must be stopped, and begins paused; what was there is kept.
    Restore { file: PathBuf },
    /// Move the state from its directory into the database that the configuration names as store.postgres. The service must be
    /// stopped. Everything is read back before it stays, and the directory is marked, so that nobody believes it any more.
    Migrate,
}

/// The command line with the flag form `--drain NODE` rewritten to what it stands for.
pub fn normal(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let Some(i) = args.iter().position(|a| a == "--drain" || a.to_string_lossy().starts_with("--drain="))
    else {
        return args;
    };
    let node = args[i].to_string_lossy().strip_prefix("--drain=").map(OsString::from);
    args[i] = "drain".into();
    if let Some(node) = node {
        args.insert(i + 1, node);
    }
    if !args.iter().any(|a| a == "--wait") {
        args.push("--wait".into());
    }
    args
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(normal(line.split(' ').map(OsString::from)))
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_flag_form_is_a_drain_that_waits() {
        for line in [
            "pitlane --drain pve2 --reason fan --yes",
            "pitlane --json --drain=pve2 --reason fan --yes --wait",
            "pitlane drain pve2 --reason fan --yes --wait",
        ] {
            match parse(line).expect(line).command {
                Some(Command::Drain(drain)) => {
                    assert_eq!((drain.node.as_str(), drain.reason.as_str()), ("pve2", "fan"), "{line}");
                    assert!(drain.yes && drain.wait.wait, "{line}");
                }
                other => panic!("{line} became {other:?}"),
            }
        }
    }

    #[test]
    fn a_wrong_duration_says_what_to_write() {
        let said = parse("pitlane drain pve2 --timeout 90").expect_err("no unit").to_string();
        assert!(said.contains("such as 10m"), "{said}");
    }
}
