//! How much alerts cost: pitlane's webhook beside Alertmanager's own intake, the same label sets, in turns on the same
//! machine. Prints a table; docs/PERFORMANCE.md tells how to repeat it.
//!
//!   cargo bench --bench intake -- [--pitlane PROGRAM] [--alertmanager PROGRAM] [--runs 5] [WHAT ...]
//!
//! WHAT: `batches` (64 a request), `singles` (one a request), `body` (10,000 in one), `rest` (start, memory, idling),
//! and when asked for, `overload` (100 senders at once, 10,000 alerts each) and `kills` (200 kills under load; nothing that was
//! acknowledged may be lost).
//! It must never be run by a test: what it prints is about the machine as well.

mod alerts;
mod cases;
mod kills;
mod load;
#[path = "../rules.rs"]
mod rules;
mod server;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use load::{Seen, Target, send};
use server::Server;

/// Connections at once.
const LINES: usize = 16;
/// What is still to be done after the last answer is counted, too.
const SETTLES: Duration = Duration::from_secs(1);

struct Asked {
    pitlane: PathBuf,
    alertmanager: PathBuf,
    runs: usize,
    what: Vec<String>,
    dir: PathBuf,
}

fn asked() -> Asked {
    let mut asked = Asked {
        pitlane: option_env!("CARGO_BIN_EXE_pitlane").unwrap_or("target/release/pitlane").into(),
        alertmanager: "/usr/bin/prometheus-alertmanager".into(),
        runs: 5,
        what: Vec::new(),
        dir: std::env::temp_dir().join(format!("pitlane-bench-{}", std::process::id())),
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| panic!("{word} needs a value"));
        match word.as_str() {
            "--pitlane" => asked.pitlane = std::path::absolute(value()).expect("a path"),
            "--alertmanager" => asked.alertmanager = value().into(),
            "--runs" => asked.runs = value().parse().expect("a number"),
            // What cargo adds by itself.
            "--bench" => {}
            _ => asked.what.push(word),
        }
    }
    if asked.what.is_empty() {
        asked.what = ["batches", "singles", "body", "rest"].map(String::from).into();
    }
    asked
}

fn main() {
    let asked = asked();
    std::fs::create_dir_all(&asked.dir).expect("a directory");
    println!(
        "{:<26} {:>10} {:>10} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "", "alerts/s", "per CPU s", "CPU s", "p50 ms", "p99 ms", "RSS MiB", "peak MiB"
    );
    for what in &asked.what {
        match what.as_str() {
            "batches" => side_by_side(&asked, what, 64, 800),
            "singles" => side_by_side(&asked, what, 1, 20_000),
            "body" => side_by_side(&asked, what, 10_000, 1),
            "rest" => rest(&asked),
            "overload" => overload(&asked),
            "kills" => kills::kills(&asked.pitlane, &asked.dir, 200),
            other => panic!("{other} is not measured here"),
        }
    }
    let _ = std::fs::remove_dir_all(&asked.dir);
}

/// What one server did with one load.
#[derive(Clone)]
struct Did {
    rate: f64,
    per_cpu: f64,
    cpu: f64,
    p50: f64,
    p99: f64,
    resident: f64,
    peak: f64,
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

fn did(server: &Server, alerts: usize, load: impl FnOnce(&Target) -> Seen) -> Did {
    let before = server.cpu();
    let seen = load(&server.target);
    std::thread::sleep(SETTLES);
    let cpu = server.cpu() - before;
    Did {
        rate: alerts as f64 / seen.took.as_secs_f64(),
        per_cpu: alerts as f64 / cpu,
        cpu,
        p50: millis(seen.within(0.5)),
        p99: millis(seen.within(0.99)),
        resident: server.resident(),
        peak: server.peak(),
    }
}

/// Each figure's own median: runs on a busy machine are told apart by their figures, not by their order.
fn medians(all: &[Did]) -> Did {
    let of = |figure: fn(&Did) -> f64| median(all.iter().map(figure));
    Did {
        rate: of(|did| did.rate),
        per_cpu: of(|did| did.per_cpu),
        cpu: of(|did| did.cpu),
        p50: of(|did| did.p50),
        p99: of(|did| did.p99),
        resident: of(|did| did.resident),
        peak: of(|did| did.peak),
    }
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = figures.collect();
    all.sort_unstable_by(f64::total_cmp);
    all[all.len() / 2]
}

fn side_by_side(asked: &Asked, what: &str, each: usize, requests: usize) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let lines = LINES.min(requests);
    for _ in 0..asked.runs {
        let at = now();
        let server = server::pitlane(&asked.pitlane, &asked.dir, false);
        let body = move |n: usize| alerts::delivered(n * each, each, &at);
        ours.push(did(&server, each * requests, |target| send(target, lines, requests, body)));
        drop(server);
        let at = now();
        let server = server::alertmanager(&asked.alertmanager, &asked.dir);
        let body = move |n: usize| alerts::posted(n * each, each, &at);
        theirs.push(did(&server, each * requests, |target| send(target, lines, requests, body)));
    }
    let (ours, theirs) = (medians(&ours), medians(&theirs));
    line(&format!("{what}: pitlane"), &ours);
    line(&format!("{what}: alertmanager"), &theirs);
    println!(
        "{:<26} {:>10.2} {:>10.2} {:>9.2} {:>9.2} {:>9.2} {:>9.2} {:>9.2}",
        format!("{what}: ratio"),
        ours.rate / theirs.rate,
        ours.per_cpu / theirs.per_cpu,
        ours.cpu / theirs.cpu,
        ours.p50 / theirs.p50,
        ours.p99 / theirs.p99,
        ours.resident / theirs.resident,
        ours.peak / theirs.peak
    );
}

fn line(name: &str, did: &Did) {
    println!(
        "{name:<26} {:>10.0} {:>10.0} {:>9.2} {:>9.2} {:>9.2} {:>9.1} {:>9.1}",
        did.rate, did.per_cpu, did.cpu, did.p50, did.p99, did.resident, did.peak
    );
}

/// More than it takes in at once: how it answers, and what that costs in memory.
fn overload(asked: &Asked) {
    const SENDERS: usize = 100;
    let server = server::pitlane(&asked.pitlane, &asked.dir, false);
    let body = Arc::new(alerts::delivered(0, 10_000, &now()));
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            let (target, body) = (server.target.clone(), body.clone());
            // A sender that is turned away at the door comes to no answer.
            std::thread::spawn(move || load::Line::to(&target)?.ask(&body).map(|(status, _)| status))
        })
        .collect();
    let mut answers: BTreeMap<String, usize> = BTreeMap::new();
    for sender in senders {
        let answer = sender
            .join()
            .expect("a sender")
            .map_or_else(|e| e.kind().to_string(), |status| status.to_string());
        *answers.entry(answer).or_default() += 1;
    }
    println!(
        "overload: {SENDERS} bodies of {:.1} MiB at once: {answers:?}, peak {:.0} MiB",
        body.len() as f64 / f64::from(1 << 20),
        server.peak()
    );
}

/// Starting, memory and CPU of a service whose cluster does not answer: empty, with 100,000 alerts, and with 1,000 open cases
/// beside them.
fn rest(asked: &Asked) {
    const ALERTS: usize = 100_000;
    const CASES: usize = 1_000;
    const WATCHED: Duration = Duration::from_secs(20);
    let kinds = [
        ("rest: empty", 0, 0),
        ("rest: 100,000 alerts", ALERTS, 0),
        ("rest: 1,000 cases as well", ALERTS, CASES),
    ];
    let mut told = [const { Vec::new() }; 3];
    for _ in 0..asked.runs {
        for ((_, alerts, cases), told) in kinds.iter().zip(&mut told) {
            if *alerts > 0 {
                if *cases > 0 {
                    let dir = server::fresh(&asked.dir, "pitlane");
                    cases::open(&dir.join("state"), *cases);
                }
                let server = server::pitlane(&asked.pitlane, &asked.dir, *cases > 0);
                let at = now();
                // Behind those that the cases are about.
                let first = CASES * 8 + 8;
                send(&server.target, 1, alerts / 500, move |n| alerts::delivered(first + n * 500, 500, &at));
            }
            let server = server::pitlane(&asked.pitlane, &asked.dir, *alerts > 0);
            let ready = millis(server.ready_after);
            // The first turns are the start's.
            std::thread::sleep(Duration::from_secs(5));
            let (before, began) = (server.cpu(), std::time::Instant::now());
            std::thread::sleep(WATCHED);
            let idle = (server.cpu() - before) / began.elapsed().as_secs_f64() * 100.0;
            told.push([ready, server.resident(), server.own(), server.peak(), idle]);
        }
    }
    for ((name, ..), told) in kinds.iter().zip(&told) {
        let of = |n: usize| median(told.iter().map(|figures: &[f64; 5]| figures[n]));
        println!(
            "{name:<26} ready {:.0} ms, RSS {:.1} MiB (its own {:.1}), peak {:.1} MiB, idle CPU {:.2} % of a core",
            of(0),
            of(1),
            of(2),
            of(3),
            of(4)
        );
    }
}

/// The present, as Prometheus writes it.
fn now() -> String {
    let secs = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() as i64;
    // Civil from days, after Hinnant: the bench uses the standard library alone.
    let (days, rest) = (secs.div_euclid(86_400) + 719_468, secs.rem_euclid(86_400));
    let era = days.div_euclid(146_097);
    let doe = days.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.123Z", rest / 3600, rest / 60 % 60, rest % 60)
}
