//! The real chain of alarms in its variants: what goes wrong between a broken part and us, and what it must not lead
//! to. A site with the shipped policies, told by the alarm lab; each file is one group of incidents.

mod alertmanagers;
mod disks;
mod every_class;
mod memory;
mod pager;
mod prometheus;
mod room;
mod silences;
mod supplies;
mod two_nodes;

use std::fs;
use std::path::Path;
use std::time::Duration;

use pitlane::model::ids::NodeName;
use pitlane::sim::World;
use serde_json::Value;
use tokio::task::spawn_blocking;

use crate::lab::Lab;
use crate::site::{QUICK, SOON, Site};

/// Quiet for so long and read to be good is a false alarm.
pub const CLEARS_AFTER: Duration = Duration::from_secs(5);
/// What a shipped policy says, by the beginning of its words, and what a test says instead: nobody is there to approve.
const INSTEAD: [(&str, &str); 4] = [
    ("steady_for: ", "steady_for: 3s"),
    ("within: ", "within: 5s"),
    ("clears_after: ", "clears_after: 5s"),
    ("mode: ", "mode: act"),
];

/// A site and the chain that tells it.
pub struct Chain {
    pub site: Site,
    lab: Lab,
}

impl Chain {
    /// The shipped policies in mode act, with spans for a test. `more`: of the configuration, given the lab's facts.
    pub async fn open(
        world: World,
        lab: &'static [&'static str],
        more: impl Fn(&Site, &Lab) -> String,
    ) -> Self {
        Self::open_in("act", world, lab, more).await
    }

    /// In another mode.
    pub async fn open_in(
        mode: &str,
        world: World,
        lab: &'static [&'static str],
        more: impl Fn(&Site, &Lab) -> String,
    ) -> Self {
        let mut site = Site::open(world, 5.0).await;
        let lab = alarms(&site, lab).await;
        for (name, text) in shipped() {
            let mut text = quick(&text);
            // Parts are listed once a minute: that is proved where it is what the test is about.
            if name != "psu.yaml" {
                text = text.replace(", inventory]", "]");
            }
            site.put(&format!("policies/{name}"), &text);
        }
        let prometheus = lab.fact("prometheus");
        let more = more(&site, &lab);
        site.configure(&format!("mode: {mode}\n{QUICK}prometheus: {{url: \"{prometheus}\"}}\n{more}"));
        site.start().await;
        Self { site, lab }
    }

    /// Something breaks, or is mended.
    pub fn does(&self, command: &str, args: &[&str]) {
        must(&self.lab, command, args);
    }

    pub fn fact(&self, name: &str) -> String {
        self.lab.fact(name)
    }

    /// The node's open case, once there is one.
    pub async fn case_of(&self, node: &str) -> u64 {
        let open = async || {
            let cases = self.site.get("/api/v1/cases").await?;
            let of = |case: &&Value| case["node"] == node && case["phase"] != "closed";
            cases.as_array()?.iter().find(of)?["id"].as_u64()
        };
        let case = self.site.until(&format!("{node} has a case"), SOON, open, Option::is_some).await;
        case.expect("just seen")
    }

    pub async fn case(&self, case: u64) -> Option<Value> {
        self.site.get(&format!("/api/v1/cases/{case}")).await.map(|view| view["case"].clone())
    }

    /// Waits until the case waits for something of this kind, or with this word in it.
    pub async fn waits(&self, case: u64, word: &str) -> Value {
        self.waits_long(case, word, SOON).await
    }

    pub async fn waits_long(&self, case: u64, word: &str, limit: Duration) -> Value {
        let so =
            |case: &Option<Value>| case.as_ref().is_some_and(|case| case["wait"].to_string().contains(word));
        let what = format!("case {case} waits: {word}");
        self.site.until(&what, limit, async || self.case(case).await, so).await.expect("just seen")
    }

    /// The technician says done.
    pub async fn done(&self, case: u64, note: &str) {
        let said = self.site.said("tom", &["done", &case.to_string(), "--note", note]).await;
        assert_eq!(said.code, 0, "{said:?}\n{}", self.site.log_tail());
    }

    /// Phases of all cases, in the order of their numbers.
    pub async fn phases(&self) -> Vec<String> {
        let cases = self.site.get("/api/v1/cases").await.expect("an answer");
        let mut phases: Vec<(u64, String)> = cases.as_array().expect("a list").iter().map(line).collect();
        phases.sort();
        phases.into_iter().map(|(_, phase)| phase).collect()
    }

    /// How many of these there are that fire, as Alertmanager lists them; `None` while it does not answer.
    pub async fn firing(&self, class: &str) -> Option<usize> {
        let url = format!("{}/api/v2/alerts?filter=alarm_class%3D%22{class}%22", self.fact("alertmanager"));
        let said = reqwest::Client::new().get(url).timeout(SOON).send().await.ok()?.text().await.ok()?;
        serde_json::from_str::<Value>(&said).ok()?.as_array().map(Vec::len)
    }

    /// The service asks again and again; this many seconds of it. For what must *not* happen.
    pub async fn for_a_while(&self, span: Duration, check: impl AsyncFn()) {
        let end = std::time::Instant::now() + span;
        let look = async || check().await;
        self.site.until("it stays so", span * 2, look, |()| std::time::Instant::now() >= end).await;
    }

    /// Nothing is held and nothing was hurt.
    pub async fn at_rest(&self) {
        assert_eq!(self.site.door.violation(), None);
        assert!(self.site.strays().is_empty(), "{:?}", self.site.strays());
        let said = self.site.said("bob", &["--json", "owed"]).await;
        assert_eq!((said.code, said.out.trim()), (0, "[]"), "{said:?}");
        let said = self.site.said("bob", &["audit", "verify"]).await;
        assert!(said.code == 0 && said.out.contains("whole"), "{said:?}");
    }
}

fn line(case: &Value) -> (u64, String) {
    (case["id"].as_u64().expect("a number"), case["phase"].as_str().expect("a word").to_owned())
}

/// Running guests on a node.
pub fn aboard(site: &Site, node: &str) -> usize {
    let world = site.world.lock().expect("unhurt");
    let here = |guest: &&pitlane::sim::world::Guest| guest.node == NodeName::from(node);
    world.guests.values().filter(here).count()
}

/// The chain, told to the site. Slow to come up, so not in the way of others.
pub async fn alarms(site: &Site, more: &[&str]) -> Lab {
    let token = site.path("alertmanager").display().to_string();
    let webhook = format!("{}/alerts/alertmanager", site.url);
    let args = ["--webhook", &webhook, "--token-file", &token];
    let args: Vec<String> = args.iter().chain(more).map(|&arg| arg.to_owned()).collect();
    let up = move || Lab::up("alarm-lab", &args.iter().map(String::as_str).collect::<Vec<_>>());
    spawn_blocking(up).await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

/// A command of a lab that must work.
pub fn must(lab: &Lab, command: &str, args: &[&str]) {
    let out = lab.run(command, args);
    assert!(out.status.success(), "{command} {args:?}: {}", String::from_utf8_lossy(&out.stderr));
}

/// Name and text of the policies that pitlane comes with.
fn shipped() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let files = fs::read_dir(folder).expect("ours").map(|entry| entry.expect("readable").path());
    let policies = files.filter(|path| {
        // Not its test, and no calendar.
        path.extension().is_some_and(|ext| ext == "yaml")
            && path.file_stem().is_some_and(|stem| !stem.to_string_lossy().contains('.'))
    });
    let read = |path: &std::path::PathBuf| {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        (name, fs::read_to_string(path).expect("ours"))
    };
    policies.map(|path| read(&path)).collect()
}

/// A shipped policy with spans for a test. The simulated clocks run fast, so they are no part of the proof.
///
/// # Panics
/// When the policy does not say something that is to be said otherwise.
fn quick(shipped: &str) -> String {
    let mut text = shipped.replace("time_sync, ", "").replace("containers: ask", "containers: restart");
    for (key, instead) in INSTEAD {
        say(&mut text, key, instead);
    }
    // What is only recorded or paged proves nothing.
    if text.contains("\nprove: ") {
        say(&mut text, "soak: ", "soak: 6s");
    }
    text
}

/// Puts `instead` in the place of the first value of this key.
fn say(text: &mut String, key: &str, instead: &str) {
    let at = text.find(key).unwrap_or_else(|| panic!("no {key}in\n{text}"));
    let end = text[at..].find([',', '}', '\n']).map_or(text.len(), |end| at + end);
    text.replace_range(at..end, instead);
}
