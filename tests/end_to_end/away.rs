//! The database is away for longer than anybody's patience, in the middle of a drain: nothing is begun, everybody is told once, and
//! when it is back one of the instances goes on where they were. And what two clusters share counts although different instances
//! look after them.

use std::time::Duration;

use pitlane::model::ids::NodeName;
use pitlane::sim::World;
use serde_json::Value;
use tokio_postgres::NoTls;

use crate::hardship::{begins_nothing, pager};
use crate::postgres::{Database, database, new_cluster};
use crate::proxy::{Manner, Proxy};
use crate::site::{MANUAL, QUICK, Site, small};

/// A drain, or a return, of a small cluster on two busy cores, with one change of leaders.
const LONG: Duration = Duration::from_secs(240);
/// Each page is written after a minute of standing still, and tried every ten seconds.
const AWAY: Duration = Duration::from_secs(45);

fn served(site: &Site) {
    let mut world = site.world.lock().expect("unhurt");
    let node = NodeName::from("pve1");
    world.technician_opens(&node);
    world.advance_secs(30);
    world.technician_closes(&node);
}

/// The URL of the database by another way.
fn through(database: &Database, proxy: &Proxy) -> String {
    let (before, name) = database.url().rsplit_once('/').expect("a name");
    let user = before.split('@').next().expect("a user");
    format!("{user}@{}/{name}", proxy.address)
}

async fn way_to(database: &Database) -> Proxy {
    let address = database.url().split('@').nth(1).and_then(|rest| rest.split('/').next());
    Proxy::before(address.expect("an address").parse().expect("of the lab")).await
}

async fn leads(site: &Site, prefix: &str) -> bool {
    let status = site.get(&format!("{prefix}/api/v1/status")).await.unwrap_or_default();
    status["ready"] == true && status["led_by"].is_null()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_database_that_is_away_for_a_while_loses_nothing_and_is_told_once() {
    let (database, name) = (database(), new_cluster());
    let way = way_to(&database).await;
    let (pages, heard) = pager().await;
    let mut both = [Site::open(small(21), 8.0).await, Site::open(World::builder(1).build(), 1.0).await];
    for site in &both {
        site.put("policies/manual.yaml", MANUAL);
        let (listen, reached, url) = (site.listen(), both[0].reached(), through(&database, &way));
        site.put(
            "pitlane.yaml",
            &format!(
                "name: {name}\nmode: approve\nkill_file: stop\nself: {{outside: true}}\nceph: {{setup: none}}\nhttp: {{listen: \
                 \"{listen}\", tokens_file: tokens.yaml}}\n{reached}{QUICK}notify: {{channels: {{oncall: {{webhook: \
                 \"{pages}\"}}}}, page: [oncall]}}\nstore: {{postgres: {{url: \"{url}\", lease: 6s}}}}\n"
            ),
        );
    }
    for site in &mut both {
        site.start().await;
    }
    let one_leads = async || leads(&both[0], "").await || leads(&both[1], "").await;
    both[0].until("one of them leads", LONG, one_leads, |so| *so).await;
    let said = both[1].said("alice", &["drain", "pve1", "--when-clear", "--yes", "--reason", "dust"]).await;
    assert!([0, 5].contains(&said.code), "{said:?}");
    let left = async || both[0].strays().len();
    both[0].until("a guest has left", LONG, left, |left| *left > 0).await;

    way.now(Manner::Swallows);
    let nobody = async || leads(&both[0], "").await || leads(&both[1], "").await;
    both[0].until("nobody says that he leads", LONG, nobody, |so| !*so).await;
    begins_nothing(&both[0], "begun without a lease").await;
    let told = |words: &'static str| {
        let heard = heard.clone();
        move || heard.lock().expect("unhurt").iter().filter(|page| page.to_string().contains(words)).count()
    };
    let stands = told("stands still");
    both[0].until("both tell that they stand still", LONG, async || stands(), |told| *told == 2).await;
    tokio::time::sleep(AWAY).await;
    begins_nothing(&both[0], "begun without a lease").await;
    way.now(Manner::Refuses);
    tokio::time::sleep(Duration::from_secs(5)).await;
    way.now(Manner::Passes);

    let over = told("can be written again");
    both[0].until("both tell that they go on", LONG, async || over(), |told| *told == 2).await;
    let safe = async || {
        let mut safe = false;
        for site in &both {
            let view = site.get("/api/v1/cases/1").await.unwrap_or_default();
            safe |= !view["safe_to_power_off"]["Ok"].is_null();
        }
        safe
    };
    both[0].until("safe to power off", LONG, safe, |safe| *safe).await;
    served(&both[0]);
    let said = both[0].said("tom", &["done", "1", "--note", "cleaned"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    both[1].phase(1, "closed", LONG).await;
    assert!(both[0].strays().is_empty(), "{:?}", both[0].strays());
    assert_eq!(
        (stands(), over()),
        (2, 2),
        "each instance says each once: {:?}",
        heard.lock().expect("unhurt")
    );
    let whole = both[1].said("bob", &["store", "verify"]).await;
    assert!(
        whole.code == 0 && whole.out.contains(" 1 cases") && whole.out.contains(" 1 work orders"),
        "{whole:?}"
    );
    let owed = both[1].said("bob", &["--json", "owed"]).await;
    assert_eq!((owed.code, owed.out.trim()), (0, "[]"), "{owed:?}");
}

/// Berlin and paris, each behind a door of its own; two instances that serve both.
struct Fleet {
    database: std::sync::Arc<Database>,
    both: [Site; 2],
    names: [String; 2],
}

impl Fleet {
    async fn open() -> Self {
        let (database, names) = (database(), [new_cluster().0, new_cluster().0]);
        let both = [Site::open(small(31), 8.0).await, Site::open(small(32), 8.0).await];
        for site in &both {
            site.put("policies/manual.yaml", MANUAL);
            let (listen, url, [berlin, paris]) = (site.listen(), database.url(), &names);
            site.put(
                "pitlane.yaml",
                &format!(
                    "kill_file: stop\nhttp: {{listen: \"{listen}\", tokens_file: tokens.yaml}}\nclusters: clusters\nshared_budgets:\n  - \
                     {{name: one-technician, nodes_out_max: 1, clusters: [{berlin}, {paris}]}}\nstore: {{postgres: {{url: \"{url}\", \
                     lease: 6s}}}}\n"
                ),
            );
            let quick = QUICK.replace("policies: policies", "policies: ../policies");
            for (name, door) in names.iter().zip(&both) {
                let own = format!(
                    "mode: approve\nself: {{outside: true}}\nceph: {{setup: none}}\n{quick}{}",
                    door.reached()
                );
                site.put(&format!("clusters/{name}.yaml"), &own);
            }
        }
        Self { database, both, names }
    }

    fn of(&self, cluster: usize) -> String {
        format!("/clusters/{}", self.names[cluster])
    }

    /// The instance that looks after a cluster.
    async fn leader(&self, cluster: usize) -> usize {
        let look = async || {
            let mut leader = None;
            for (n, site) in self.both.iter().enumerate() {
                leader = if leads(site, &self.of(cluster)).await { Some(n) } else { leader };
            }
            leader
        };
        self.both[0].until("somebody looks after it", LONG, look, Option::is_some).await.expect("just seen")
    }

    /// Until each instance looks after one cluster: the database takes one of them back, and whoever asks first has it.
    async fn apart(&self) {
        let (client, talk) =
            tokio_postgres::connect(self.database.url(), NoTls).await.expect("the lab answers");
        let talk = tokio::spawn(talk);
        let end = tokio::time::Instant::now() + LONG;
        while self.leader(0).await == self.leader(1).await {
            assert!(tokio::time::Instant::now() < end, "one of them is always the first");
            let back = "UPDATE leases SET until = now() - INTERVAL '1 second' WHERE cluster = $1";
            client.execute(back, &[&self.names[1]]).await.expect("the lab answers");
            // Longer than it takes to notice.
            tokio::time::sleep(Duration::from_secs(8)).await;
        }
        talk.abort();
    }

    async fn drain(&self, cluster: usize) {
        let words =
            ["--cluster", &self.names[cluster], "drain", "pve1", "--when-clear", "--yes", "--reason", "dust"];
        let said = self.both[0].said("alice", &words).await;
        assert!([0, 5].contains(&said.code), "{said:?}");
    }

    async fn view(&self, cluster: usize) -> Value {
        let mut any = Value::Null;
        for site in &self.both {
            let view = site.get(&format!("{}/api/v1/cases/1", self.of(cluster))).await.unwrap_or_default();
            // Only who looks after it says so.
            if any.is_null() || !view["safe_to_power_off"]["Ok"].is_null() {
                any = view;
            }
        }
        any
    }

    async fn cases(&self) -> [Value; 2] {
        [self.view(0).await, self.view(1).await].map(|view| view["case"].clone())
    }

    async fn phase(&self, cluster: usize, phase: &str) {
        let so = |view: &Value| view["case"]["phase"]["phase"] == phase;
        let what = format!("cluster {cluster} is {phase}");
        self.both[0].until(&what, LONG, async || self.view(cluster).await, so).await;
    }

    async fn serviced(&self, cluster: usize) {
        let safe = |view: &Value| !view["safe_to_power_off"]["Ok"].is_null();
        self.both[0].until("safe to power off", LONG, async || self.view(cluster).await, safe).await;
        served(&self.both[cluster]);
        let words = ["--cluster", &self.names[cluster], "done", "1", "--note", "cleaned"];
        let said = self.both[1].said("tom", &words).await;
        assert_eq!(said.code, 0, "{said:?}");
        self.phase(cluster, "closed").await;
        assert!(self.both[cluster].strays().is_empty(), "{:?}", self.both[cluster].strays());
        assert_eq!(self.both[cluster].door.violation(), None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_place_for_two_clusters_of_two_instances_is_taken_once() {
    let mut fleet = Fleet::open().await;
    for site in &mut fleet.both {
        site.start().await;
    }
    fleet.apart().await;
    // Both at once: one gets it, and the other one waits for it.
    tokio::join!(fleet.drain(0), fleet.drain(1));
    let out = |cases: &[Value; 2]| {
        let phases =
            cases.each_ref().map(|case| case["phase"]["phase"].as_str().unwrap_or_default().to_owned());
        (0..2).filter(|n| ["draining", "handed-over"].contains(&phases[*n].as_str())).collect::<Vec<usize>>()
    };
    let cases = fleet.both[0]
        .until(
            "one goes, the other one waits for it",
            LONG,
            async || fleet.cases().await,
            |cases| {
                let out = out(cases);
                out.len() == 1 && cases[1 - out[0]].to_string().contains("one-technician")
            },
        )
        .await;
    let first = out(&cases)[0];
    let second = 1 - first;

    // Whoever waits loses his instance: the other one looks after both, and the budget is what it was.
    let waits = fleet.leader(second).await;
    fleet.both[waits].kill().await;
    fleet.both[waits].start().await;
    fleet.phase(first, "handed-over").await;
    assert_eq!(out(&fleet.cases().await), [first]);
    assert!(fleet.both[second].strays().is_empty(), "nobody moved: {:?}", fleet.both[second].strays());
    fleet.serviced(first).await;
    fleet.serviced(second).await;
}
