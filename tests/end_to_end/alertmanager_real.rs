//! A real pair of Alertmanagers, asked what fires: what is routed to us, what a silence hides from everybody else, a
//! member that is killed, and one that comes back and has forgotten everything. And our own silences: renewed under one
//! id, left alone once a person saved them otherwise.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use pitlane::adapters::alertmanager::{Alertmanagers, AlertmanagersConfig, Login};
use pitlane::model::ids::CaseId;
use pitlane::model::observed::AlarmsView;
use pitlane::model::seen::{Seen, Trouble};
use pitlane::model::silence::{Silence, SilenceMark, Silenced};
use pitlane::model::time::{Time, after};
use pitlane::ports::{Alarms, EndSilence};
use serde_json::{Value, json};

use crate::lab::{Now, until};

/// It starts in a second; a busy machine takes longer.
const SOON: Duration = Duration::from_secs(60);

/// Receivers that send nothing: it is asked, and tells nobody.
const CONFIG: &str = r#"
route:
  receiver: others
  routes:
    - {matchers: ['alarm_class="fan"'], receiver: pitlane}
receivers: [{name: others}, {name: pitlane}]
"#;

struct Member {
    child: Child,
    url: String,
}

impl Member {
    /// Alone: alerts are not gossiped in any case.
    fn start(dir: &Path) -> Self {
        std::fs::create_dir_all(dir).expect("writable");
        let config = dir.join("alertmanager.yml");
        std::fs::write(&config, CONFIG).expect("writable");
        let mut child = Command::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", dir.join("data").display()))
            .args(["--web.listen-address=127.0.0.1:0", "--cluster.listen-address="])
            .stderr(Stdio::piped())
            .spawn()
            .expect("apt-get install prometheus-alertmanager");
        let mut said = BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok);
        let address = said
            .find_map(|line| {
                let (_, rest) = line.split_once("msg=\"Listening on\" address=")?;
                rest.split_whitespace().next().map(str::to_owned)
            })
            .expect("it says where it listens");
        // What it says later is nobody's; unread, it would block it.
        std::thread::spawn(move || said.for_each(drop));
        Self { child, url: format!("http://{address}") }
    }

    fn kill(&mut self) {
        self.child.kill().expect("kills");
        self.child.wait().expect("ends");
    }

    async fn post(&self, path: &str, body: Value) {
        let http = reqwest::Client::new();
        let request = http.post(format!("{}{path}", self.url)).header("Content-Type", "application/json");
        let answer = request.body(body.to_string()).timeout(SOON).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn adapter(members: &[&Member], receiver: &str) -> Alertmanagers {
    // Another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = AlertmanagersConfig {
        urls: members.iter().map(|member| member.url.parse().expect("a URL")).collect(),
        receiver: Some(receiver.to_owned()),
        login: Login::None,
        ca_pem: None,
        wanted: Arc::new(|_| true),
    };
    Alertmanagers::new(config, Arc::new(Now)).expect("a good configuration")
}

async fn poll(members: &[&Member], receiver: &str) -> Seen<AlarmsView> {
    adapter(members, receiver).poll().await
}

/// Whole, and how many alerts, and how many of them suppressed.
fn counts(seen: &Seen<AlarmsView>) -> Option<(bool, usize, usize)> {
    let view = seen.any_age()?;
    Some((view.whole, view.listed.len(), view.listed.iter().filter(|listed| listed.suppressed).count()))
}

/// As Prometheus tells it: always with its start.
fn alert(class: &str, starts: Time) -> Value {
    let labels = json!({"alertname": "FanBad", "alarm_class": class, "node": "pve1", "name": "FAN3"});
    json!({"labels": labels, "startsAt": starts.to_string()})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_is_asked_and_forgets() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut one = Member::start(&dir.path().join("one"));
    let mut two = Member::start(&dir.path().join("two"));
    let listed = async |members: &[&Member], what: &str, expected: (bool, usize, usize)| {
        until(what, SOON, async || poll(members, "pitlane").await, |seen| counts(seen) == Some(expected))
            .await
    };
    listed(&[&one, &two], "nothing fires", (true, 0, 0)).await;

    let now = Time::now();
    one.post("/api/v2/alerts", json!([alert("fan", now), alert("cable", now)])).await;
    let seen = listed(&[&one, &two], "one lists it, and only what is routed to us", (true, 1, 0)).await;
    let view = seen.any_age().expect("known");
    let fan = &view.listed[0];
    assert_eq!(&fan.episode.labels["alarm_class"], "fan");
    assert!(fan.updated_at >= fan.episode.starts_at, "{fan:?}");
    assert_eq!(
        counts(&poll(&[&one, &two], "pitlan").await),
        Some((true, 0, 0)),
        "a receiver is a whole name"
    );
    assert_eq!(counts(&poll(&[&one, &two], "pit.*").await), Some((true, 0, 0)), "and no pattern");

    let ends = after(now, Duration::from_secs(3600));
    let silence = json!({
        "matchers": [{"name": "node", "value": "pve1", "isRegex": false, "isEqual": true}],
        "startsAt": now.to_string(), "endsAt": ends.to_string(), "createdBy": "a colleague", "comment": "quiet",
    });
    one.post("/api/v2/silences", silence).await;
    listed(&[&one, &two], "silenced, and listed all the same", (true, 1, 1)).await;
    two.post("/api/v2/alerts", json!([alert("fan", now)])).await;
    listed(&[&one, &two], "what one of them shows is not suppressed", (true, 1, 0)).await;

    two.kill();
    listed(&[&one, &two], "a dead member leaves a hole", (false, 1, 1)).await;
    one.kill();
    match poll(&[&one, &two], "pitlane").await {
        Seen::Unknown { why: Trouble::Unreachable(_) } => {}
        other => panic!("nobody answers: {other:?}"),
    }
    let one = Member::start(&dir.path().join("one"));
    let two = Member::start(&dir.path().join("two"));
    listed(&[&one, &two], "restarted, they have forgotten it", (true, 0, 0)).await;
    one.post("/api/v2/alerts", json!([alert("fan", now)])).await;
    listed(&[&one, &two], "told again; the silence is forgotten, too", (true, 1, 0)).await;
    let mut over = alert("fan", now);
    over["endsAt"] = json!(Time::now().to_string());
    one.post("/api/v2/alerts", json!([over])).await;
    listed(&[&one, &two], "over is no longer listed", (true, 0, 0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_silence_keeps_its_id_until_a_person_changes_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let member = Member::start(dir.path());
    let pitlane = adapter(&[&member], "pitlane");
    let listed = async || -> Vec<Silenced> {
        pitlane.silences().await.any_age().expect("it answers").silences.clone()
    };
    let mark = SilenceMark { cluster: "lab".into(), case: CaseId(7), node: "pve1".into() };
    let alertnames = vec!["NodeDown".to_owned(), "Ceph.OSD-Host+Down (x)".to_owned(), "FanBad".to_owned()];
    let ours = Silence { mark: mark.clone(), cluster_label: None, label: "node".into(), alertnames };
    let hours = |n: u64| after(Time::now(), Duration::from_secs(n * 3600));

    pitlane.silence(&ours, hours(1)).await.expect("it is set");
    let first = listed().await;
    pitlane.silence(&ours, hours(2)).await.expect("it is renewed");
    let second = listed().await;
    assert_eq!((first.len(), second.len(), &first[0].id), (1, 1, &second[0].id));
    assert!(second[0].active && !second[0].edited && second[0].ends_at > first[0].ends_at, "{second:?}");

    // It holds back what it names, of this node alone.
    let now = Time::now();
    let other = json!({"labels": {"alertname": "FanBad", "alarm_class": "fan", "node": "pve2"}, "startsAt": now.to_string()});
    member.post("/api/v2/alerts", json!([alert("fan", now), other])).await;
    let counted = async || counts(&poll(&[&member], "pitlane").await);
    until("one of two is held back", SOON, counted, |seen| *seen == Some((true, 2, 1))).await;

    // Saved by a person with another matcher: ours ends, and theirs has our comment.
    let changed = json!({
        "id": second[0].id, "createdBy": "pitlane", "comment": ours.comment(),
        "matchers": [{"name": "node", "value": "pve1", "isRegex": false, "isEqual": true}],
        "startsAt": now.to_string(), "endsAt": hours(1).to_string(),
    });
    member.post("/api/v2/silences", changed).await;
    let mut seen = listed().await;
    seen.sort_by_key(|silence| silence.edited);
    let [old, theirs] = &seen[..] else { panic!("{seen:?}") };
    assert!(!old.active && old.id == first[0].id, "{old:?}");
    assert!(theirs.active && theirs.edited && theirs.mark == mark, "{theirs:?}");
    for which in [EndSilence::Of(mark.clone()), EndSilence::Id(theirs.id.clone())] {
        pitlane.end_silence(&which).await.expect("none of ours is there");
    }
    assert!(listed().await.iter().any(|silence| silence.active && silence.id == theirs.id), "it was touched");

    pitlane.silence(&ours, hours(1)).await.expect("it is set anew");
    pitlane.end_silence(&EndSilence::Of(mark.clone())).await.expect("it ends");
    pitlane.end_silence(&EndSilence::Of(mark)).await.expect("ended twice is ended");
    let active: Vec<String> = listed().await.into_iter().filter(|s| s.active).map(|s| s.id).collect();
    assert_eq!((active.len(), &active[0]), (1, &theirs.id));
}
