//! A leased silence at a real pair of Alertmanagers that gossip: set once for a whole drain, whoever dies meanwhile;
//! ended before the soak; a colleague's own stays; what is silenced is heard by pitlane all the same.

use pitlane::sim::World;
use serde_json::{Value, json};

use super::Chain;
use crate::lab::Lab;
use crate::site::{SOON, Site};

fn world() -> World {
    let now = pitlane::model::time::Time::now();
    World::builder(3).at(now).vm(101, "pve1").vm(201, "pve2").vm(301, "pve3").build()
}

/// One name that our work raises here, and one that it does not.
fn silencing(_: &Site, lab: &Lab) -> String {
    format!(
        "ceph: {{setup: none}}\nname: lab\nalertmanager:\n  urls: {}\n  silences: {{for: 10m, alertnames: [{HELD}, TargetDown]}}\n",
        lab.fact("alertmanagers")
    )
}

/// What the chain raises of a fan, so that it is seen to be held back.
const HELD: &str = "IpmiFanSpeedBad";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_silence_is_set_once_and_ended_before_the_soak() {
    let mut chain = Chain::open(world(), &["--pair"], silencing).await;
    let both: Vec<String> = serde_json::from_str(&chain.fact("alertmanagers")).expect("a list of URLs");
    post(&both[0], colleagues()).await;
    chain.does("fan", &["pve1", "3", "0"]);
    let case = chain.case_of("pve1").await;
    chain.site.phase(case, "handed-over", SOON).await;

    // Killed and started again: it finds its own, at whichever member.
    let one = |seen: &Vec<Value>| seen.len() == 1;
    let first = chain.site.until("it is silenced", SOON, async || ours(&both[0]).await, one).await;
    chain.site.kill().await;
    chain.site.start().await;
    chain.site.phase(case, "handed-over", SOON).await;
    let gossiped = chain.site.until("both know it", SOON, async || ours(&both[1]).await, one).await;
    assert_eq!(gossiped[0]["id"], first[0]["id"]);
    let names = first[0]["matchers"].to_string();
    assert!(names.contains(HELD) && names.contains("pve1") && !names.contains(".+"), "{names}");
    // The alert is held back from everybody, and listed: pitlane hears it.
    let suppressed = async || suppressed(&both[0]).await;
    chain.site.until("the fan's alert is held back", SOON, suppressed, |held| *held).await;
    chain.done(case, "it still stands").await;
    chain.waits(case, "the alarm fires").await;
    let none = |seen: &Vec<Value>| seen.is_empty();
    chain.site.until("ended before the soak", SOON, async || ours(&both[1]).await, none).await;
    let view = chain.case(case).await.expect("an answer");
    assert_eq!((&view["phase"]["phase"], &view["phase"]["good_since"]), (&json!("proving"), &json!(null)));

    chain.does("fan", &["pve1", "3", "8000"]);
    chain.site.phase(case, "closed", SOON * 2).await;
    let story = chain.site.story(case).await;
    assert_eq!(story.matches("is to hold back").count(), 1, "{story}");
    let (over, proved) = (story.find("is over."), story.find("Proved:"));
    assert!(over.is_some() && over < proved, "{story}");
    for member in &both {
        assert_eq!(ours(member).await, Vec::<Value>::new());
        let left = silences(member).await;
        assert!(
            left.iter().any(|s| s["createdBy"] == "alice" && s["status"]["state"] == "active"),
            "{left:?}"
        );
        let of_ours = left.iter().filter(|s| s["createdBy"] == "pitlane").count();
        assert_eq!(of_ours, 1, "one was ever set: {left:?}");
    }
    chain.at_rest().await;
}

/// Of another node, and of everything there.
fn colleagues() -> Value {
    let now = pitlane::model::time::Time::now();
    let ends = pitlane::model::time::after(now, std::time::Duration::from_secs(3600));
    json!({
        "matchers": [{"name": "node", "value": "pve3", "isRegex": false, "isEqual": true}],
        "startsAt": now.to_string(), "endsAt": ends.to_string(), "createdBy": "alice", "comment": "my own",
    })
}

async fn post(member: &str, silence: Value) {
    let ask = reqwest::Client::new().post(format!("{member}/api/v2/silences"));
    let ask = ask.header("content-type", "application/json").body(silence.to_string()).timeout(SOON);
    let said = ask.send().await.expect("an answer");
    assert!(said.status().is_success(), "{}", said.status());
}

async fn list(url: String) -> Vec<Value> {
    let said = reqwest::Client::new().get(url).timeout(SOON).send().await.expect("an answer");
    serde_json::from_str(&said.text().await.expect("whole")).expect("a list")
}

async fn silences(member: &str) -> Vec<Value> {
    list(format!("{member}/api/v2/silences")).await
}

/// Active ones that bear our mark.
async fn ours(member: &str) -> Vec<Value> {
    let mut all = silences(member).await;
    all.retain(|s| {
        s["status"]["state"] == "active" && s["comment"].as_str().is_some_and(|c| c.contains("[pitlane lab/"))
    });
    all
}

async fn suppressed(member: &str) -> bool {
    let fan = format!("{member}/api/v2/alerts?filter=alertname%3D%22{HELD}%22");
    list(fan).await.iter().any(|alert| alert["status"]["state"] == "suppressed")
}
