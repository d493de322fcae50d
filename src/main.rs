//! The program: reads the command line, and either is the service or asks one.

mod discover;
mod reload;
mod systemd;
mod wiring;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use pitlane::cli::{self, Cli, Command, Exit, Stop};
use pitlane::demo::{self, DemoOptions};
use pitlane::telemetry::{self, Lines};
use tracing::level_filters::LevelFilter;

/// What still runs when a command is done (a look at a silent member) is not waited for.
const LEAVE_WITHIN: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    // Before anything that speaks TLS. It fails only when it was done already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = Cli::parse_from(cli::normal(std::env::args_os()));
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let stop = Stop::new(Exit::Failed, format!("the runtime does not start: {error}"));
            return cli::told(&cli.global, &stop).into();
        }
    };
    let exit = runtime.block_on(run(&cli));
    runtime.shutdown_timeout(LEAVE_WITHIN);
    exit.into()
}

async fn run(cli: &Cli) -> Exit {
    let global = &cli.global;
    let ended = match &cli.command {
        None => Err(Stop::new(Exit::Usage, "what shall be done? See `pitlane --help`")),
        Some(Command::Run) => wiring::service(global).await,
        Some(Command::Demo(args)) => {
            let options = DemoOptions {
                speed: args.speed,
                serve: args.serve,
                dir: args.dir.clone(),
                json: global.json,
            };
            telemetry::start(Lines::Text, LevelFilter::ERROR);
            demo::run(options)
                .await
                .map(|()| Exit::Done)
                .map_err(|e| Stop::new(Exit::Failed, format!("{e:#}")))
        }
        Some(Command::Drain(args)) if args.standalone => wiring::drain_here(global, args).await,
        Some(command) => return cli::run(global, command, &wiring::LocalState).await,
    };
    ended.unwrap_or_else(|stop| cli::told(global, &stop))
}
