//! Many clusters, and large ones: how much a quiet look asks, and that nobody waits for another's answer.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use pitlane::adapters::pve::{
    ApiToken, Endpoint, HttpTransport, Member, Proxmox, Settings, TransportError, Trust,
};
use pitlane::model::observed::PveView;
use pitlane::model::time::Time;
use pitlane::ports::{Clock, Pve};
use tokio::sync::Barrier;

use crate::bodies::Cluster;

const NOON: i64 = 1_795_302_400;

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Time {
        Time::from_second(NOON).expect("an instant")
    }
}

/// Answers as the cluster does; the first question only when as many others wait for theirs as the barrier says.
struct Answers {
    cluster: Cluster,
    asked: Arc<Mutex<Vec<String>>>,
    together: Arc<Barrier>,
}

#[async_trait]
impl HttpTransport for Answers {
    async fn call(&self, at: &Endpoint, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let path = request.uri().path().trim_start_matches("/api2/json").to_owned();
        let body = match path.as_str() {
            "/cluster/status" => self.cluster.status(&at.node),
            "/cluster/resources" => self.cluster.resources(7),
            "/cluster/ha/status/manager_status" => self.cluster.manager(NOON),
            "/access/permissions" => Cluster::permissions(),
            other => panic!("a quiet look does not ask {other}"),
        };
        let first = path == "/cluster/status";
        self.asked.lock().expect("nobody panics while holding it").push(path);
        if first {
            self.together.wait().await;
        }
        Ok(Response::new(Bytes::from(body)))
    }
}

async fn look(cluster: Cluster, together: &Arc<Barrier>) -> (PveView, Vec<String>) {
    let members = (0..3).map(|at| Member {
        node: cluster.node(at).as_str().into(),
        url: format!("https://{}:8006", cluster.node(at)),
        trust: Trust::SystemRoots,
    });
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let answers = Answers { cluster, asked: asked.clone(), together: together.clone() };
    let settings = Settings {
        look_within: Duration::from_secs(60),
        ..Settings::new(members.collect(), ApiToken::new("pitlane@pve!ctl", "secret"))
    };
    let pve = Proxmox::through(Arc::new(answers), settings, Arc::new(Noon));
    let nobody = BTreeSet::new();
    let view = pve.look(&BTreeSet::new(), &BTreeSet::new(), &nobody).await;
    let asked = asked.lock().expect("nobody panics while holding it").clone();
    (view, asked)
}

#[tokio::test]
async fn a_quiet_look_asks_the_same_of_ten_guests_and_of_five_thousand() {
    let alone = Arc::new(Barrier::new(1));
    for guests in [10, 5000] {
        let (view, mut asked) = look(Cluster { number: 1, nodes: 20, guests }, &alone).await;
        let seen = view.first.any_age().expect("the cluster is seen");
        assert_eq!((seen.nodes.len(), seen.guests.len()), (20, guests as usize));
        assert!(seen.nodes.values().all(|node| node.capacity.is_some() && node.storages.len() == 4));
        assert!(view.ha.any_age().is_some_and(|ha| ha.nodes.len() == 20));
        asked.sort();
        let four = [
            "/access/permissions",
            "/cluster/ha/status/manager_status",
            "/cluster/resources",
            "/cluster/status",
        ];
        assert_eq!(asked, four, "with {guests} guests");
    }
}

/// The first answer of each comes only when all 128 wait for theirs: who waited for another's look would wait for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_and_twenty_eight_clusters_wait_beside_one_another() {
    let together = Arc::new(Barrier::new(128));
    let looks = (0..128).map(|number| {
        let together = together.clone();
        tokio::spawn(async move { look(Cluster { number, nodes: 3, guests: 20 }, &together).await })
    });
    let all = tokio::time::timeout(Duration::from_secs(60), futures::future::join_all(looks));
    for looked in all.await.expect("somebody waits for another's answer") {
        let (view, asked) = looked.expect("no panic");
        assert_eq!(view.first.any_age().map(|seen| seen.guests.len()), Some(20), "{:?}", view.first);
        assert_eq!(asked.len(), 4);
    }
}
