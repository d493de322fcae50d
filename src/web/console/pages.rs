//! The console's pages. Each says how old what it shows is.

use axum::extract::{Path, Query, State};
use maud::{DOCTYPE, Markup, html};
use serde::Deserialize;

use super::login::Visitor;
use crate::model::access::Right;
use crate::model::case::{Case, Origin, Phase};
use crate::model::ids::{CaseId, RequestId};
use crate::model::plan::Plan;
use crate::model::recovery::Card;
use crate::model::request::Reply;
use crate::model::shown::{CaseLine, CaseView, Judged, OwedView};
use crate::model::time::{Period, Time, age, to_the_second};
use crate::model::wait_text::list;
use crate::web::Shared;
use crate::web::api::{Page, judge, status_of, view};
use crate::web::auth::Who;
use crate::web::error::Refusal;
use crate::web::requests::fresh_id;

/// A page about the present reloads itself.
const RELOAD_SECS: u32 = 10;
const CASES_MAX: usize = 200;

#[derive(Deserialize)]
pub struct Asked {
    request: Option<String>,
}

#[derive(Deserialize)]
pub struct Which {
    node: String,
}

/// Does the page load itself again?
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    Never,
    Often,
}

/// The page around the contents. `base`: what its links begin with. `who`: whoever is logged in.
pub fn frame(base: &str, title: &str, who: Option<&Who>, reload: Reload, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                @if reload == Reload::Often { meta http-equiv="refresh" content=(RELOAD_SECS); }
                title { (title) " · pitlane" }
                link rel="stylesheet" href={ (base) "/style.css" };
            }
            body {
                header {
                    a href={ (base) "/" } { b { "pitlane" } }
                    @if let Some(who) = who {
                        form method="post" action={ (base) "/logout" } {
                            (who.name) " (" (who.role.name()) ") " button { "Log out" }
                        }
                    }
                }
                main { h1 { (title) } (body) }
            }
        }
    }
}

fn ago(now: Time, then: Time) -> String {
    format!("{} ago", Period::secs(age(now, then).as_secs()))
}

/// What became of the request that brought the visitor here.
async fn answer(shared: &Shared, request: Option<String>) -> Result<Markup, Refusal> {
    let Some(id) = request else { return Ok(html! {}) };
    let reply = shared.store.reply(&RequestId(id)).await?;
    Ok(match reply {
        None => html! { p.wait { "Your request is stored; the next turn answers it. Reload to see." } },
        Some(Reply::Accepted { case: Some(case) }) => {
            html! { p.yes { "Accepted: " a href={ (shared.base()) "/cases/" (case) } { "case " (case) } "." } }
        }
        Some(Reply::Accepted { case: None }) => html! { p.yes { "Accepted." } },
        Some(Reply::Refused { why }) => html! { p.no { "Refused: " (why) } },
    })
}

pub async fn cases(
    State(shared): State<Shared>,
    Visitor(who): Visitor,
    Query(asked): Query<Asked>,
) -> Result<Markup, Refusal> {
    let all = shared.archive.cases(CASES_MAX).await?;
    let status = status_of(&shared).await;
    let shown = shared.shown.borrow().clone();
    let now = shared.clock.now();
    let body = html! {
        (answer(&shared, asked.request).await?)
        p.wait[!status.ready] {
            "Mode " b { (status.mode) } ". "
            @match status.turn_at {
                _ if status.led_by.is_some() && status.failing.is_some() => {
                    "Who looks after this cluster is not known; shown is what was stored."
                }
                _ if status.led_by.is_some() => {
                    "Instance " (status.led_by.as_deref().unwrap_or_default()) " looks after this cluster. What you ask here "
                    "reaches it; shown is what is stored."
                }
                Some(at) => { "Last turn " (ago(now, at)) "." }
                None => { "No turn has ended yet." }
            }
            @if !status.turns { " The loop does not turn: nothing below is fresh." }
            @if let Some(why) = &status.failing {
                @if status.led_by.is_none() { " The last turn failed: " (why) "." } @else { " " (why) "." }
            }
            @if let Some(why) = &status.blind { " The cluster cannot be seen: " (why) "." }
            @if status.config.as_ref().is_some_and(|config| config.refused.is_some()) {
                " The configuration on disk is wrong; the one from before counts. See " code { "pitlane status" } "."
            }
            @if status.config.as_ref().is_some_and(|config| !config.tickets_lack.is_empty()) {
                " The ticket system lacks something; work orders stand on the board. See " code { "pitlane status" } "."
            }
            @if status.token.as_ref().is_some_and(|found| !found.good()) {
                " The token's rights at Proxmox are not as they should be. See " code { "pitlane status" } "."
            }
            @if let Some(pause) = &status.paused { " Paused by " (pause.by) ": " (pause.reason) "." }
            @if status.kill_file { " The kill file is there: nothing new is begun." }
        }
        @if !status.unplaced.is_empty() {
            p.wait { (status.unplaced.len() + status.unplaced_more) " alerts lead nowhere; see " code { "pitlane status" } "." }
        }
        @if let Some(count @ 1..) = status.unreadable {
            p.wait { "Deliveries of alerts that could not be read: " (count) "; see " code { "pitlane alerts --unreadable" } "." }
        }
        table {
            thead { tr { th { "Case" } th { "Node" } th { "Phase" } th { "Since" } th { "What" } } }
            tbody {
                @for line in all.iter().map(|case| CaseLine::of(case, now).boxed(&shown.show)) {
                    tr {
                        td { a href={ (shared.base()) "/cases/" (line.id) } { (line.id) } }
                        td { (line.node) } td { (line.phase) } td { (line.age) " ago" }
                        td { (line.text) @if let Some(took) = &line.took { br; "drain " (took) }
                            @if let Some(time_box) = &line.time_box { br; "time box " (time_box) } }
                    }
                }
            }
        }
        @if all.is_empty() { p { "No case yet." } }
        h2 { "May a node leave?" }
        form method="get" action={ (shared.base()) "/verdict" } {
            label { "Node " input name="node" required pattern="[A-Za-z0-9-]{1,63}"; } button { "Judge now" }
        }
    };
    Ok(frame(&shared.base(), "Cases", Some(&who), Reload::Often, body))
}

pub async fn verdict(
    State(shared): State<Shared>,
    Visitor(who): Visitor,
    Query(which): Query<Which>,
) -> Result<Markup, Refusal> {
    let judged = judge(&shared, &which.node).await?;
    let key = fresh_id();
    let body = html! {
        (judgement(&judged))
        @if who.role.may(Right::Operate) {
            form method="post" action={ (shared.base()) "/drain" } {
                input type="hidden" name="key" value=(key);
                input type="hidden" name="node" value=(judged.verdict.node);
                label { "Reason " input name="text" required; }
                button { "Open a case for " (judged.verdict.node) }
            }
        }
    };
    Ok(frame(&shared.base(), &format!("May {} leave?", judged.verdict.node), Some(&who), Reload::Never, body))
}

fn judgement(judged: &Judged) -> Markup {
    let verdict = &judged.verdict;
    html! {
        @if verdict.clear() { p.yes { "Yes, at " (to_the_second(verdict.at)) "." } }
        @else { p.no { "No, at " (to_the_second(verdict.at)) "." } }
        table {
            thead { tr { th { "Check" } th { "Answer" } th { "Reading" } th { "Age" } th { "What to do" } } }
            tbody {
                @for check in &verdict.checks {
                    tr {
                        td { (check.name) }
                        td.no[check.answer.stops()] { (check.answer) }
                        td {
                            (check.reading)
                            @for why in check.reasons.iter().map(ToString::to_string) {
                                @if why != check.reading { br; (why) }
                            }
                        }
                        td { @if let Some(age) = check.age { (age) } }
                        td { @for remedy in check.remedies() { (remedy) br; } }
                    }
                }
            }
        }
        @if !verdict.cards.is_empty() { (cards(&verdict.cards)) }
        @if let Some(plan) = &judged.plan { (plan_table(plan)) }
        @if let Some(disks) = &judged.in_place {
            h2 { "Its case serves disks in place" }
            (judgement(disks))
        }
    }
}

/// What could be brought back of each guest, if it were lost now.
fn cards(all: &[Card]) -> Markup {
    html! {
        h2 { "If the node or its storage were lost now" }
        table {
            thead { tr { th { "Guest" } th { "Name" } th { "Last good backup" } th { "Replication" } th { "Restore" } } }
            tbody {
                @for card in all {
                    tr {
                        td { (card.guest) } td { (card.name) } td { (card.backup) } td { (card.replication()) }
                        td { (card.restore) }
                    }
                }
            }
        }
    }
}

/// Everything that would be done, guest by guest: what is approved must be readable.
fn plan_table(plan: &Plan) -> Markup {
    html! {
        h2 { "Plan " code { (plan.hash().short()) } }
        p { (plan.moves.len()) " guests to move, " (plan.ha.len()) " that HA moves, " (plan.stops.len())
            " to shut down, " (plan.stays.len()) " stay."
            @if !plan.in_place.is_empty() {
                " The node works on; taken out while it runs: OSD " (list(&plan.in_place)) "."
            }
            @if plan.maintenance { " HA maintenance is asked for." }
            @if let Some(host) = &plan.noout { " noout is held on " (host) "." } }
        table {
            thead { tr { th { "Guest" } th { "Name" } th { "Goes to" } th { "How" } } }
            tbody {
                @for step in &plan.moves {
                    tr { td { (step.guest) } td { (step.name) } td { (step.to) } td { (plan.words(step)) } }
                }
                @for (guest, nodes) in &plan.ha {
                    tr { td { (guest) } td {} td { (list(nodes)) } td { "HA chooses and moves it" } }
                }
                @for (guest, why) in &plan.stops {
                    tr { td { (guest) } td {} td { "nowhere" } td.no { "is shut down: " (why) } }
                }
                @for (guest, why) in &plan.stays {
                    tr { td { (guest) } td {} td { "nowhere" } td { "stays: " (why) } }
                }
            }
        }
        @if let Some(forecast) = &plan.forecast { p { "Expected: " (forecast) "." } }
        @for warning in &plan.warnings { p.wait { "Warning: " (warning) "." } }
    }
}

/// What an approval would be given to. Only the very plan that the case waits with: another one is not shown beside
/// its button.
fn asked_for(shared: &Shared, case: &Case) -> Markup {
    let Some(hash) = case.awaits_approval() else { return html! {} };
    let shown = shared.shown.borrow().clone();
    match shown.show.plans.get(&case.node).filter(|plan| plan.hash() == *hash) {
        Some(plan) => plan_table(plan),
        None => html! { p.wait { "The plan is being made anew; "
        a href={ (shared.base()) "/verdict?node=" (case.node) } { "judge now" } " shows it." } },
    }
}

pub async fn case(
    State(shared): State<Shared>,
    Visitor(who): Visitor,
    Path(id): Path<u64>,
    Query(asked): Query<Asked>,
) -> Result<Markup, Refusal> {
    let seen = view(&shared, CaseId(id), &Page::all()).await?;
    let case = &seen.case;
    let now = shared.clock.now();
    let body = html! {
        (answer(&shared, asked.request).await?)
        p { b { (case.phase.name()) } ", " (ago(now, case.phase.since())) "." }
        @if let Some(wait) = &case.wait { p.wait { "Waits: " (wait) ". " (wait.remedy_for(case.id)) } }
        @if let Some(took) = &case.took { p { "Drain: " (took) "." } }
        @if let Some(time_box) = &seen.time_box {
            p.wait[time_box.late(now)] { "Time box: " (time_box) "." @if time_box.over(now) { " Overrun." } }
        }
        @if let Some(progress) = seen.progress {
            p { progress value=(progress.done) max=(progress.all.max(1)) {} " " (progress.done) " of " (progress.all)
                " guests" }
        }
        (power(&seen, now))
        (checklist(&shared, case))
        (asked_for(&shared, case))
        (forms(&shared.base(), &seen, &who))
        @if let Some(owed) = OwedView::of(case) {
            h2 { "Owed" }
            p { "Without pitlane this gives everything back:" }
            pre { @for line in &owed.shell { (line) "\n" } }
        }
        h2 { "Story" }
        table { tbody {
            @for line in &seen.story { tr { td { time datetime=(line.at) { (to_the_second(line.at)) } } td { (line.text) } } }
        } }
    };
    let reload = if case.open() { Reload::Often } else { Reload::Never };
    Ok(frame(&shared.base(), &format!("Case {id}: {}", case.node), Some(&who), reload, body))
}

/// What the technician is asked to do, as the policy says it, while the machine is his.
fn checklist(shared: &Shared, case: &Case) -> Markup {
    let order = shared.rules.policy(&case.policy).map(|policy| &policy.work_order);
    let Some(order) = order.filter(|_| case.owed.work_order.is_some()) else { return html! {} };
    let parts: Vec<&str> = case.faults.iter().map(|fault| fault.component.as_str()).collect();
    let fill = |text: &str| {
        text.replace("{{ node }}", case.node.as_str()).replace("{{ component }}", &parts.join(", "))
    };
    html! {
        h2 { (fill(&order.title)) }
        @if let Origin::Person { by, reason, .. } = &case.origin { p { "Asked for by " (by) ": " (reason) } }
        ul { @for line in &order.checklist { li { (fill(line)) } } }
    }
}

/// Said only of a judgement that is fresh as the page is made; the page says when, for it stays on a screen.
fn power(seen: &CaseView, now: Time) -> Markup {
    if !matches!(seen.case.phase, Phase::HandedOver { .. }) {
        return html! {};
    }
    let pull = match &seen.safe_to_pull {
        None => html! {},
        Some(Ok(at)) => {
            html! { p.yes { "The disk may be taken out, judged " (ago(now, *at)) " at " (to_the_second(*at))
            ". Reload just before you pull it." } }
        }
        Some(Err(why)) => html! { p.no { "Do not take the disk out: " (why) "." } },
    };
    let power = match &seen.safe_to_power_off {
        Ok(at) => html! { p.yes { "Safe to power off, judged " (ago(now, *at)) " at " (to_the_second(*at))
        ". Reload just before you press the button." } },
        Err(why) => html! { p.no { "Do not power it off: " (why) "." } },
    };
    html! { (pull) (power) }
}

fn forms(base: &str, seen: &CaseView, who: &Who) -> Markup {
    let case = &seen.case;
    let action = |ask: &str| format!("{base}/cases/{}/{ask}", case.id);
    let key = fresh_id();
    let may = |right| case.open() && who.role.may(right);
    html! {
        @if may(Right::Approve) && let Some(plan) = case.awaits_approval() {
                form method="post" action=(action("approve")) {
                    input type="hidden" name="key" value=(key);
                    input type="hidden" name="plan" value=(plan);
                    button { "Approve plan " (plan.short()) }
                }
        }
        @if may(Right::Report) {
            @if matches!(case.phase, Phase::HandedOver { .. } | Phase::Proving { .. } | Phase::Stranded { .. }) {
                form method="post" action=(action("done")) {
                    input type="hidden" name="key" value=(key);
                    label { "What was done " input name="text"; }
                    label { input type="checkbox" name="hands_off" value="yes"; " nobody works on the machine" }
                    button { "Done" }
                }
            }
            form method="post" action=(action("note")) {
                input type="hidden" name="key" value=(key);
                label { "Note " input name="text" required; } button { "Add" }
            }
        }
        @if may(Right::Operate) {
                form method="post" action=(action("abort")) {
                    input type="hidden" name="key" value=(key);
                    label { "Reason " input name="text" required; } button { "Call it off" }
                }
        }
    }
}
