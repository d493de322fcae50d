//! The shipped templates, each against a server on loopback that answers in that system's documented shapes, errors included.
//! None of them was run against the product; this holds our requests and our reading against what its manual says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use pitlane::adapters::tickets::{HttpConfig, HttpDesk};
use pitlane::config::{TicketSystem, load};
use pitlane::model::observed::WorkOrderStatus;
use pitlane::model::seen::Trouble;
use pitlane::ports::Tickets;
use serde_json::Value;

use crate::tickets_server::{CASE, Heard, Said, held, key, open, order, serve, status, view};
use crate::tickets_shapes::{Shape, gitlab, glpi, jira, servicenow, zammad};

/// One ticket in the fake.
#[derive(Clone, Debug, Default)]
pub struct Row {
    pub number: u64,
    pub title: String,
    pub body: String,
    pub id: String,
    pub status: String,
    pub comments: Vec<String>,
}

/// What all fakes share.
#[derive(Default)]
pub struct Shelf {
    pub rows: Vec<Row>,
    /// So many creates happen, and the answer is lost.
    pub lose: u32,
    /// So many creates are refused, in the system's own words.
    pub refuse: u32,
    /// Sessions that were opened and not ended.
    pub sessions: i32,
}

impl Shelf {
    pub fn row(&mut self, number: &str) -> Option<&mut Row> {
        self.rows.iter_mut().find(|row| number.ends_with(&row.number.to_string()))
    }

    pub fn add(&mut self, row: Row) -> u64 {
        let number = self.rows.len() as u64 + 17;
        self.rows.push(Row { number, ..row });
        number
    }
}

struct Setup {
    name: &'static str,
    values: &'static str,
    secrets: &'static [&'static str],
    shape: Shape,
    /// How a technician's "done" and somebody's "cancelled" are spelt there.
    done: &'static str,
    cancelled: Option<&'static str>,
    /// What it says of a ticket that it refuses.
    why: &'static str,
    /// A request that only a known robot may make is answered so to a stranger.
    stranger: &'static str,
}

const ALL: [Setup; 5] = [
    Setup {
        name: "jira",
        values: "{user: robot@example.org, project: OPS, type: Task, open_status: To Do, done_status: Done, cancelled_status: Cancelled}",
        secrets: &["token"],
        shape: jira,
        done: "Done",
        cancelled: Some("Cancelled"),
        why: "Summary must be less than 255 characters",
        stranger: "Jira does not know our token (401 Unauthorized)",
    },
    Setup {
        name: "servicenow",
        values: "{user: robot, table: incident, group: Hands, close_code: Solution provided}",
        secrets: &["password"],
        shape: servicenow,
        done: "6",
        cancelled: Some("8"),
        why: "Operation against file 'incident' was aborted by Business Rule",
        stranger: "ServiceNow does not know our token (401 Unauthorized)",
    },
    Setup {
        name: "zammad",
        values: "{group: Hands, customer: robot@example.org}",
        secrets: &["token"],
        shape: zammad,
        done: "closed",
        cancelled: Some("merged"),
        why: "No lookup value found for 'group'",
        stranger: "Zammad does not know our token (401 Unauthorized)",
    },
    Setup {
        name: "glpi",
        values: "{entity: \"0\"}",
        secrets: &["app_token", "user_token"],
        shape: glpi,
        done: "5",
        cancelled: None,
        why: "You don't have permission to perform this action.",
        stranger: "GLPI does not know our token (401 Unauthorized)",
    },
    Setup {
        name: "gitlab",
        values: "{project: ops/hands}",
        secrets: &["token"],
        shape: gitlab,
        done: "closed",
        cancelled: None,
        why: "is too long (maximum is 255 characters)",
        stranger: "GitLab does not know our token (401 Unauthorized)",
    },
];

struct Stage {
    shelf: Arc<Mutex<Shelf>>,
    _dir: tempfile::TempDir,
    config: HttpConfig,
}

impl Stage {
    async fn of(setup: &Setup) -> Self {
        let shelf: Arc<Mutex<Shelf>> = Arc::default();
        let (state, shape) = (shelf.clone(), setup.shape);
        let answer = move |heard: &Heard| -> Said { shape(&mut state.lock().expect("unhurt"), heard) };
        let server = serve(answer).await;
        let dir = tempfile::tempdir().expect("a directory");
        let secrets: String = setup.secrets.iter().map(|name| format!("{name}: {name}, ")).collect();
        for name in setup.secrets {
            std::fs::write(dir.path().join(name), format!("the-{name}\n")).expect("writable");
        }
        let text = format!(
            "name: lab\ntickets:\n  kind: http\n  url: {}\n  template: {}\n  values: {}\n  secret_files: {{{secrets}}}\n",
            server.url,
            template(setup.name).display(),
            setup.values,
        );
        std::fs::write(dir.path().join("pitlane.yaml"), text).expect("writable");
        let config = load(&dir.path().join("pitlane.yaml")).unwrap_or_else(|m| panic!("{m}"));
        let Some(TicketSystem::Http { mut template, values, secrets }) = config.tickets.map(|t| t.system)
        else {
            panic!("{}: no ticket system", setup.name)
        };
        // Stories do not wait for a search index; that it is waited for is tested where the contract is.
        template.index_lag = None;
        let secrets: BTreeMap<_, _> = secrets.into_iter().map(|(name, secret)| (name, secret.0)).collect();
        let config =
            HttpConfig { url: server.url.clone(), ca_pem: None, template: *template, values, secrets };
        Self { shelf, _dir: dir, config }
    }

    /// A new process.
    fn desk(&self) -> HttpDesk {
        HttpDesk::new(self.config.clone()).expect("a good configuration")
    }

    fn rows(&self) -> Vec<Row> {
        self.shelf.lock().expect("unhurt").rows.clone()
    }

    fn person_sets(&self, status: &str) {
        self.shelf.lock().expect("unhurt").rows[0].status = status.to_owned();
    }
}

fn template(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/tickets/{name}.yaml"))
}

#[tokio::test]
async fn a_work_orders_whole_life() {
    for setup in ALL {
        let (stage, name) = (Stage::of(&setup).await, setup.name);
        let tickets = held(stage.desk());
        let first = open(&tickets).await.unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_eq!(
            open(&held(stage.desk())).await,
            Ok(first.clone()),
            "{name}: found again by a new process"
        );
        let rows = stage.rows();
        assert_eq!(rows.len(), 1, "{name}");
        assert!(rows[0].title.starts_with(&order().title), "{name}: {}", rows[0].title);
        for part in ["ask.", "- note the part's number", "pitlane:lab:case-1"] {
            assert!(rows[0].body.contains(part), "{name}: {part} is not in {}", rows[0].body);
        }
        assert_eq!(view(&tickets).await.map(|v| v.ticket.0), Ok(first), "{name}");
        assert_eq!(status(&tickets).await, Ok(WorkOrderStatus::Open), "{name}");

        for _ in 0..2 {
            let said = held(stage.desk()).comment(&key("work-order/also"), CASE, "Also: \"FAN4\".").await;
            said.unwrap_or_else(|why| panic!("{name}: {why}"));
        }
        let comments = stage.rows()[0].comments.clone();
        assert_eq!(comments.len(), 1, "{name}: {comments:?}");
        assert!(comments[0].contains("Also: \"FAN4\"."), "{name}: {comments:?}");

        stage.person_sets(setup.done);
        assert_eq!(status(&held(stage.desk())).await, Ok(WorkOrderStatus::Done), "{name}");
        let again = held(stage.desk()).reopen(&key("work-order/reopen-2"), CASE, "Not done yet.").await;
        assert_eq!(again, Ok(()), "{name}");
        assert_eq!(status(&tickets).await, Ok(WorkOrderStatus::Open), "{name}");
        if let Some(word) = setup.cancelled {
            stage.person_sets(word);
            assert_eq!(status(&tickets).await, Ok(WorkOrderStatus::Cancelled), "{name}");
            let again = held(stage.desk()).reopen(&key("work-order/reopen-3"), CASE, "Not done yet.").await;
            assert_eq!(again, Ok(()), "{name}");
        }
        for _ in 0..2 {
            let closed =
                held(stage.desk()).close(&key("work-order/close-2"), CASE, "Closed: returned.").await;
            assert_eq!(closed, Ok(()), "{name}");
        }
        assert_eq!(status(&tickets).await, Ok(WorkOrderStatus::Done), "{name}");
        let last = stage.rows()[0].comments.last().cloned().unwrap_or_default();
        assert!(last.contains("Closed: returned."), "{name}: {last}");
        assert_eq!(stage.shelf.lock().expect("unhurt").sessions, 0, "{name}: sessions stay open");
        assert!(tickets.preflight().await.is_empty(), "{name}");
    }
}

#[tokio::test]
async fn an_answer_that_was_lost_leaves_one_ticket() {
    for setup in ALL {
        let stage = Stage::of(&setup).await;
        stage.shelf.lock().expect("unhurt").lose = 1;
        assert!(matches!(open(&held(stage.desk())).await, Err(Trouble::TooSlow(_))), "{}", setup.name);
        assert!(open(&held(stage.desk())).await.is_ok(), "{}", setup.name);
        assert_eq!(stage.rows().len(), 1, "{}", setup.name);
    }
}

#[tokio::test]
async fn a_no_is_told_in_the_systems_own_words() {
    for setup in ALL {
        let (mut stage, name) = (Stage::of(&setup).await, setup.name);
        stage.shelf.lock().expect("unhurt").refuse = 1;
        let said = open(&held(stage.desk())).await.expect_err(name);
        assert!(matches!(said, Trouble::Refused(_)) && said.text().contains(setup.why), "{name}: {said}");
        assert!(stage.rows().is_empty(), "{name}");
        for secret in stage.config.secrets.values_mut() {
            *secret = "stolen".to_owned();
        }
        let said = open(&held(stage.desk())).await.expect_err(name);
        assert_eq!(said, Trouble::Refused(setup.stranger.to_owned()), "{name}");
        assert_eq!(held(stage.desk()).preflight().await.first().map(String::as_str), Some(setup.stranger));
        assert!(stage.rows().is_empty(), "{name}");
    }
}

#[tokio::test]
async fn a_word_that_the_template_does_not_name_is_unknown() {
    for setup in ALL {
        let (stage, name) = (Stage::of(&setup).await, setup.name);
        open(&held(stage.desk())).await.unwrap_or_else(|why| panic!("{name}: {why}"));
        stage.person_sets("77");
        let said = status(&held(stage.desk())).await.expect_err(name);
        assert!(matches!(&said, Trouble::Nonsense(why) if why.contains("\"77\"")), "{name}: {said}");
    }
}

#[tokio::test]
async fn an_answer_of_another_shape_is_no_empty_list() {
    for setup in ALL {
        let (mut stage, name) = (Stage::of(&setup).await, setup.name);
        let other = serve(|heard: &Heard| {
            let session = heard.path.ends_with("initSession");
            Some((
                200,
                if session { serde_json::json!({"session_token": "s"}) } else { Value::from("<html>") },
            ))
        })
        .await;
        stage.config.url = other.url.clone();
        let said = open(&held(stage.desk())).await.expect_err(name);
        assert!(matches!(said, Trouble::Nonsense(_)), "{name}: {said}");
        let creates =
            other.heard.lock().expect("unhurt").iter().filter(|h| h.body.get("title").is_some()).count();
        assert_eq!(creates, 0, "{name}: a ticket was made blindly");
    }
}
