//! `planner`: an instance in, a plan out, offline. The same pure code that plans a real drain; nothing is touched.

use std::io::Write as _;
use std::path::Path;

use super::Say;
use super::exit::{Ended, Exit, Stop};
use super::input;
use crate::config::planning::{instance, plan_file};
use crate::decide::planner::{Planned, Wishes, plan};

pub fn run(file: &Path, output: Option<&Path>, canary: bool, say: Say) -> Ended {
    let name = input::name(file);
    let usage = |text: String| Stop::new(Exit::Usage, text);
    let text = input::text(file)?;
    let inst = instance(&text, &name).map_err(|mistakes| usage(mistakes.to_string()))?;
    drop(text);
    let planned = plan(&inst, &Wishes { canary, ..Wishes::default() }).map_err(|refused| {
        let text = format!("{name}: {refused}. This is a mistake of the planner; please report the file");
        Stop::new(Exit::Failed, text)
    })?;
    let mut json = serde_json::to_string(&plan_file(&inst, &planned))
        .map_err(|e| Stop::new(Exit::Failed, format!("the plan cannot be written: {e}")))?;
    json.push('\n');
    write(output, &json).map_err(|e| Stop::new(Exit::Failed, format!("the plan cannot be written: {e}")))?;
    if canary && planned.canary.is_none() {
        say.hint("There is no canary: no guest that moves live is outside of HA.");
    }
    say.hint(&summary(&planned));
    Ok(Exit::Done)
}

fn write(output: Option<&Path>, json: &str) -> std::io::Result<()> {
    match output {
        Some(path) if path != Path::new("-") => std::fs::write(path, json),
        // A closed pipe is the reader's choice.
        _ => match std::io::stdout().write_all(json.as_bytes()) {
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        },
    }
}

fn summary(planned: &Planned) -> String {
    let f = &planned.forecast;
    let behind = match planned.left.len() {
        0 => "nobody left behind".to_owned(),
        n => format!("{n} left behind"),
    };
    let fast = if f.bound > 0.0 {
        format!(", {:.0} s by the model, {:.3} of the bound", f.makespan, f.makespan / f.bound)
    } else {
        String::new()
    };
    format!("{} moves, {} shutdowns, {behind}{fast}.", planned.moves.len(), planned.stops.len())
}
