//! `pitlane calls`: what this program can say to other systems, for whoever audits it or writes its roles.

use super::Say;
use super::text::table;
use crate::model::reach::Call;

pub fn run(calls: &[Call], say: Say) {
    say.print(&calls, || text(calls));
}

fn text(calls: &[Call]) -> String {
    let mut rows = table(["system", "effect", "call", "needs"]);
    for call in calls {
        let what = format!("{} {}", call.method, call.path);
        rows.add_row([call.system.to_string(), call.effect.to_string(), what, call.needs.clone()]);
    }
    format!("{rows}\n")
}
