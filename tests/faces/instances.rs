//! Two real services over one real PostgreSQL: one looks after the cluster and the other one waits beside it, takes in what is
//! asked of it, and goes on when the first one gives up, dies or is stopped. The cluster itself is silent: that is another matter.

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pitlane::adapters::store;
use pitlane::model::time::Time;
use pitlane::ports::{Clock, Store as _};
use serde_json::Value;

use super::postgres::{Database, database, new_cluster};
use super::running::{Service, configured};
use super::said;

/// The shortest that the configuration allows.
const LEASE: &str = "6s";

/// No command waits so long: what is asked of another instance has to ring.
const QUIET: &str = "10m";

/// A directory whose configuration names the database.
fn shared(database: &Database, name: &str) -> tempfile::TempDir {
    let dir = configured("");
    let path = dir.path().join("pitlane.yaml");
    let text = fs::read_to_string(&path).expect("just written");
    let url = database.url();
    let store = format!("store: {{postgres: {{url: '{url}', lease: {LEASE}}}}}");
    fs::write(&path, format!("name: {name}\n{text}{store}\nlimits: {{turn_quiet: {QUIET}}}\n"))
        .expect("writable");
    dir
}

fn instance(database: &Database, name: &str) -> Service {
    Service::started(shared(database, name), Command::new(assert_cmd::cargo::cargo_bin("pitlane")))
}

fn status(service: &Service) -> Value {
    let answer = service.get("/api/v1/status", "read");
    let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
    serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"))
}

/// It has turned, and says of nobody else that he does.
fn leads(service: &Service) -> bool {
    let status = status(service);
    status["led_by"].is_null() && !status["turn_at"].is_null()
}

fn waits(service: &Service) -> bool {
    status(service)["led_by"].is_string()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "not within 60 s: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn one_of_two_instances_looks_after_a_cluster_and_the_other_one_goes_on() {
    let (database, name) = (database(), new_cluster().0);
    let first = instance(&database, &name);
    until("the first one looks after it", || leads(&first));
    let mut second = instance(&database, &name);
    until("the second one waits", || waits(&second));
    assert!(leads(&first), "nothing was taken from it");
    assert!(second.probe("/readyz").contains("200 OK"), "it takes in what it is told");

    // Asked here, decided there, and known here.
    let (code, out, err) = second.ask("operate", &["pause", "--reason", "storm"]);
    assert_eq!(code, 0, "{out}{err}");
    until("both know of the pause", || {
        [&first, &second].iter().all(|service| status(service)["paused"]["reason"] == "storm")
    });
    let (code, out, err) = second.ask("read", &["status"]);
    assert!(code == 0 && out.contains("looks after this cluster"), "{code}: {out}{err}");

    // It dies without a word.
    first.signal("KILL");
    until("the second one goes on", || leads(&second));
    assert_eq!(status(&second)["paused"]["reason"], "storm", "it knows what the first one knew");
    let mut third = instance(&database, &name);
    until("the third one waits", || waits(&third));

    // It is stopped for longer than its lease, and goes on as though nothing had been.
    second.signal("STOP");
    until("the third one goes on", || leads(&third));
    second.signal("CONT");
    until("the second one has understood", || waits(&second));
    assert!(second.log().contains("is lost"), "{}", second.log());
    assert!(leads(&third), "nothing was taken from it");

    // It is asked to stop: the other one need not wait for the lease to run out.
    assert_eq!(third.terminate(), 0);
    assert!(third.log().contains("is given up"), "{}", third.log());
    until("the second one goes on again", || leads(&second));
    let (code, out, err) = second.ask("operate", &["resume"]);
    assert_eq!(code, 0, "{out}{err}");

    // What all of them wrote is one journal.
    let offline = |words: &[&str]| said(second.dir.path(), &[&["--config", "pitlane.yaml"], words].concat());
    for words in [&["audit", "verify"][..], &["store", "verify"], &["owed", "--offline"]] {
        let (code, out, err) = offline(words);
        assert_eq!(code, 0, "{words:?}: {out}{err}");
    }
    let (_, journal, _) = offline(&["audit", "export"]);
    let (paused, resumed) = (journal.find("storm"), journal.rfind("esumed"));
    assert!(paused.is_some() && resumed > paused, "{journal}");
    let (code, _, err) = offline(&["store", "backup", "copy.db"]);
    assert!(code == 2 && err.contains("pg_dump"), "{code}: {err}");
    assert_eq!(second.terminate(), 0);
}

struct Now;

impl Clock for Now {
    fn now(&self) -> Time {
        Time::now()
    }
}

#[test]
fn a_state_directory_moves_into_the_database_once() {
    let (database, name) = (database(), new_cluster().0);
    let dir = shared(&database, &name);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts");
    runtime.block_on(async {
        let store = store::open(&dir.path().join("state"), Arc::new(Now)).expect("opens");
        store.poison(b"?", "no JSON", Now.now()).await.expect("stores");
    });
    let ask = |words: &[&str]| said(dir.path(), &[&["--config", "pitlane.yaml"], words].concat());
    let (code, out, err) = ask(&["store", "migrate"]);
    assert!(code == 0 && out.contains("1 unreadable deliveries"), "{code}: {out}{err}");
    let (code, out, err) = ask(&["store", "verify"]);
    assert!(code == 0 && out.contains("1 unreadable deliveries"), "{code}: {out}{err}");
    let (code, _, err) = ask(&["store", "migrate"]);
    assert!(code == 3 && err.contains("moved"), "{code}: {err}");
    // Whoever starts on the directory again is told where its contents are.
    let text = fs::read_to_string(dir.path().join("pitlane.yaml")).expect("readable");
    let alone = text.split("store:").next().expect("a part");
    fs::write(dir.path().join("pitlane.yaml"), alone).expect("writable");
    let (code, _, err) = ask(&["run"]);
    assert!(code != 0 && err.contains(&name) && err.contains("store.postgres"), "{code}: {err}");
}

/// A fleet's directory: two silent clusters, everything that they share in the database.
fn fleet(database: &Database, names: [&str; 2]) -> tempfile::TempDir {
    let dir = configured("");
    let path = dir.path().join("pitlane.yaml");
    let alone = fs::read_to_string(&path).expect("just written");
    let of = |key: &str| alone.lines().skip_while(|line| !line.starts_with(key)).collect::<Vec<_>>();
    let proxmox: Vec<&str> = of("proxmox").into_iter().take_while(|line| !line.starts_with("ceph")).collect();
    let proxmox = proxmox.join("\n").replace("token_file: pve", "token_file: ../pve");
    fs::create_dir(dir.path().join("clusters")).expect("a directory");
    for (n, name) in names.into_iter().enumerate() {
        // Each has its own members, and nobody listens there.
        let proxmox = proxmox.replace("127.0.0.1", &format!("127.0.0.{}", n + 1));
        let text = format!("mode: approve\n{proxmox}\nceph: {{setup: none}}\n");
        fs::write(dir.path().join(format!("clusters/{name}.yaml")), text).expect("writable");
    }
    let (http, url, [a, b]) = (of("http")[0], database.url(), names);
    let text = format!(
        "kill_file: stop\n{http}\nclusters: clusters\nshared_budgets:\n  - {{name: one, nodes_out_max: 1, clusters: [{a}, {b}]}}\n\
         store: {{postgres: {{url: '{url}', lease: {LEASE}}}}}\n"
    );
    fs::write(&path, text).expect("writable");
    dir
}

fn lines(service: &Service) -> Vec<Value> {
    let answer = service.get("/api/v1/clusters", "read");
    let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
    serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"))
}

#[test]
fn every_cluster_of_a_fleet_has_one_instance_and_all_of_them_go_on() {
    let (database, names) = (database(), [new_cluster().0, new_cluster().0]);
    let dir = || fleet(&database, [&names[0], &names[1]]);
    let program = || Command::new(assert_cmd::cargo::cargo_bin("pitlane"));
    let text = |line: &Value| line["text"].as_str().unwrap_or_default().to_owned();
    let turns = |service: &Service| lines(service).iter().all(|line| text(line).contains("cannot be seen"));
    let waits = |service: &Service| lines(service).iter().all(|line| text(line).contains("looks after it"));
    let first = Service::started(dir(), program());
    until("the first one turns for both", || turns(&first));
    let second = Service::started(dir(), program());
    until("the second one waits for both", || waits(&second));
    assert!(turns(&first), "nothing was taken from it");
    let mut second = second;
    let (code, out, err) = second.ask("operate", &["--cluster", &names[1], "pause", "--reason", "storm"]);
    assert_eq!(code, 0, "{out}{err}");
    first.signal("KILL");
    until("the second one goes on with both", || {
        lines(&second).iter().all(|line| !text(line).contains("looks after it") && !line["turn_at"].is_null())
    });
    let paused = |name: &str| {
        let answer = second.get(&format!("/clusters/{name}/api/v1/status"), "read");
        answer.contains("storm")
    };
    assert!(paused(&names[1]) && !paused(&names[0]), "each has its own pause");
    let offline = |words: &[&str]| said(second.dir.path(), &[&["--config", "pitlane.yaml"], words].concat());
    let (code, out, err) = offline(&["--cluster", &names[1], "store", "verify"]);
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(second.terminate(), 0);
}

#[test]
fn a_reload_takes_no_lease_and_counts_for_whoever_leads_later() {
    let (database, name) = (database(), new_cluster().0);
    let first = instance(&database, &name);
    until("the first one looks after it", || leads(&first));
    let second = instance(&database, &name);
    until("the second one waits", || waits(&second));
    let holder = status(&second)["led_by"].clone();
    let mode = |service: &Service, wanted: &str| service.ask("read", &["status"]).1.contains(wanted);
    let observes = |service: &Service| {
        service
            .write("pitlane.yaml", &service.read("pitlane.yaml").replace("mode: approve", "mode: observe"));
        service.signal("HUP");
        until("it was read again", || service.log().contains("was read again"));
    };

    // Whoever leads goes on leading, by the new words.
    assert!(mode(&first, "mode approve"));
    observes(&first);
    until("the leader observes", || mode(&first, "mode observe"));
    // Longer than a lease: it was renewed all the while.
    let since = Instant::now();
    until("a lease and more", || since.elapsed() > Duration::from_secs(8));
    assert_eq!(status(&second)["led_by"], holder);
    assert_eq!(first.log().matches("looks after cluster").count(), 1, "{}", first.log());

    // Whoever waits reads them for later.
    observes(&second);
    first.signal("KILL");
    until("the second one goes on", || leads(&second));
    until("the new leader observes", || mode(&second, "mode observe"));
}
