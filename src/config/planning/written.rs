//! A plan in the words of its file: names for places in lists, figures rounded to what they are good for.

use super::wire::{BlockerFile, ForecastFile, MoveFile, PlanFile, ScheduleFile, UnplacedFile};
use crate::decide::planner::Planned;
use crate::decide::planner::instance::Instance;

/// The plan as it is written.
pub fn plan<'a>(inst: &'a Instance, planned: &Planned) -> PlanFile<'a> {
    let guest = |at: usize| inst.guests[at].id.as_str();
    let node = |at: usize| inst.nodes[at].id.as_str();
    let stops = planned.stops.iter().map(|at| MoveFile {
        guest: guest(*at),
        to: None,
        action: Some("stop"),
        wave: 0,
        after: Vec::new(),
    });
    let moves = planned.moves.iter().map(|m| MoveFile {
        guest: guest(m.guest),
        to: Some(node(m.to)),
        action: None,
        wave: m.wave,
        after: m.after.iter().map(|at| guest(*at)).collect(),
    });
    let f = &planned.forecast;
    let round = |x: f64, to: f64| (x * to).round() / to;
    PlanFile {
        format: "pitlane-plan/1",
        instance: &inst.id,
        // A guest that is shut down frees no room that anybody waits for; it goes last, when all others are safe.
        moves: moves.chain(stops).collect(),
        unplaced: planned
            .left
            .iter()
            .map(|left| UnplacedFile {
                guest: guest(left.guest),
                why: left.why.name(),
                blockers: left
                    .blockers
                    .iter()
                    .map(|(at, why)| BlockerFile { node: node(*at), reason: why.name() })
                    .collect(),
            })
            .collect(),
        schedule: ScheduleFile {
            admission: "guarded",
            max_parallel: inst.params.max_parallel,
            per_source: inst.params.slots_out,
            per_target: inst.params.slots_in,
            guard_dirty: planned.guard_dirty,
            head_of_line: false,
        },
        forecast: ForecastFile {
            makespan_s: round(f.makespan, 100.0),
            bound_s: round(f.bound, 100.0),
            throttled_s: round(f.throttled, 10.0),
            imbalance_std: round(f.imbalance, 1e5),
            n1_fail: f.n_plus_one_fails,
            made_room: f.made_room,
        },
        canary: planned.canary.map(guest),
    }
}
