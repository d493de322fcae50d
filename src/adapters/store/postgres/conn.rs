//! One connection: statements are sent one after the other without waiting between them, so that a transaction costs as many
//! round trips as it has questions that depend on answers.

use std::time::Instant;

use futures::future::{BoxFuture, FutureExt as _, join_all};
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, NoTls, Row};

use super::super::error::StoreError;
use super::ask::Ask;
use super::settings::Dial;
use super::tls::Rustls;

/// What is answered is on the database's disk. A process that was stopped in the middle must not hold others up: its
/// transaction is ended by the database.
pub(super) const WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = '8s'; \
    SET LOCAL idle_in_transaction_session_timeout = '5s'; SET LOCAL synchronous_commit = 'on'";
/// One snapshot: what is read was true together.
pub(super) const READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = '10s'; \
    SET LOCAL idle_in_transaction_session_timeout = '5s'";
/// For a person who waits: reading everything.
pub(super) const READ_ALL: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
    SET LOCAL statement_timeout = '300s'; SET LOCAL idle_in_transaction_session_timeout = '60s'";
/// For a person who waits: writing everything, and changing the schema.
pub(super) const WRITE_ALL: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = '300s'; \
    SET LOCAL idle_in_transaction_session_timeout = '60s'; SET LOCAL synchronous_commit = 'on'";

/// Who is cut off, or loses its power, tells the database nothing. Left to itself that one would keep each such session for two hours,
/// as it is set up by most systems, and has room for a hundred or so. So it asks a silent one after ten seconds, and ends one that
/// does not answer for fifteen, or does not take what it is sent.
const ASK_US: &str = "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; \
    SET tcp_user_timeout = 25000";

pub(super) type Answers = Vec<Vec<Row>>;

/// Why a transaction did not come to its end.
#[derive(Debug)]
pub(super) enum Failure {
    /// A rule of ours: the same the next time.
    Own(StoreError),
    /// Somebody else was there first, or the database could not put two transactions into an order: again.
    Raced(String),
    /// The connection was gone before anything was asked to stay: again, on another one.
    Stale(String),
    /// It went while we waited for the answer to COMMIT.
    Unknown(String),
    No(String),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Own(error)
    }
}

pub(super) struct Conn {
    client: Client,
    task: JoinHandle<()>,
    pub(super) since: Instant,
}

impl Drop for Conn {
    fn drop(&mut self) {
        // A server that hangs must not keep the task, and with it the socket.
        self.task.abort();
    }
}

impl Conn {
    pub(super) async fn open(dial: &Dial) -> Result<Self, StoreError> {
        let away = |error: Error| StoreError::Away { why: in_words(&error) };
        let (client, task) = match &dial.tls {
            Some(tls) => {
                let (client, talk) = dial.config.connect(Rustls(tls.clone())).await.map_err(away)?;
                (client, tokio::spawn(talk.map(drop)))
            }
            None => {
                let (client, talk) = dial.config.connect(NoTls).await.map_err(away)?;
                (client, tokio::spawn(talk.map(drop)))
            }
        };
        let conn = Self { client, task, since: Instant::now() };
        // One that has no such words has ways of its own.
        let _ = conn.client.batch_execute(ASK_US).await;
        Ok(conn)
    }

    pub(super) fn closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Begins a transaction with its first questions.
    pub(super) async fn begin(&self, mode: &'static str, asks: Vec<Ask>) -> Result<Answers, Failure> {
        self.talk(Some(mode), asks, false).await
    }

    /// Goes on in one.
    pub(super) async fn more(&self, asks: Vec<Ask>) -> Result<Answers, Failure> {
        self.talk(None, asks, false).await
    }

    /// Ends one: the last statements, and COMMIT.
    pub(super) async fn end(&self, asks: Vec<Ask>) -> Result<Answers, Failure> {
        self.talk(None, asks, true).await
    }

    /// Ends one that only read.
    pub(super) async fn done(&self) -> Result<(), Failure> {
        self.batch("COMMIT").await
    }

    /// A whole one in one round trip. One that writes has one statement: nobody knows whether BEGIN came through.
    pub(super) async fn whole(&self, mode: &'static str, asks: Vec<Ask>) -> Result<Answers, Failure> {
        self.talk(Some(mode), asks, true).await
    }

    /// Takes everything back. False: the connection is of no more use.
    pub(super) async fn abandon(&self) -> bool {
        !self.closed() && self.client.batch_execute("ROLLBACK").await.is_ok()
    }

    /// Statements without answers, such as a schema's.
    pub(super) async fn batch(&self, statements: &str) -> Result<(), Failure> {
        self.client.batch_execute(statements).await.map_err(|error| failure(&error, false))
    }

    async fn talk(
        &self,
        begin: Option<&'static str>,
        asks: Vec<Ask>,
        commit: bool,
    ) -> Result<Answers, Failure> {
        let simple = |statement: &'static str| -> BoxFuture<'_, Result<Vec<Row>, Error>> {
            async move { self.client.batch_execute(statement).await.map(|()| Vec::new()) }.boxed()
        };
        let mut waiting: Vec<BoxFuture<'_, Result<Vec<Row>, Error>>> = Vec::with_capacity(asks.len() + 2);
        waiting.extend(begin.map(simple));
        for ask in asks {
            waiting.push(
                async move {
                    let with: Vec<_> =
                        ask.with.iter().map(|(v, of)| (&**v as &(dyn ToSql + Sync), of.clone())).collect();
                    self.client.query_typed(ask.sql, &with).await
                }
                .boxed(),
            );
        }
        waiting.extend(commit.then(|| simple("COMMIT")));
        // Polled in their order, and each is sent when it is polled for the first time.
        let answers = join_all(waiting).await;
        // The first one that failed is the reason; those after it only say that there was one.
        let failed = answers.iter().position(Result::is_err);
        // What could not even begin, and what only reads, has certainly left nothing.
        let writes = commit && begin.is_none_or(|mode| [WRITE, WRITE_ALL].contains(&mode));
        let left = writes && !(begin.is_some() && failed == Some(0));
        let answers: Result<Answers, Error> = answers.into_iter().collect();
        let mut answers = answers.map_err(|error| failure(&error, left))?;
        if begin.is_some() {
            answers.remove(0);
        }
        Ok(answers)
    }
}

fn failure(error: &Error, committing: bool) -> Failure {
    let words = in_words(error);
    match error.code() {
        Some(code)
            if [
                SqlState::T_R_SERIALIZATION_FAILURE,
                SqlState::T_R_DEADLOCK_DETECTED,
                SqlState::UNIQUE_VIOLATION,
                SqlState::LOCK_NOT_AVAILABLE,
                // Two make the tables at the same moment: IF NOT EXISTS looks before the other one's are there.
                SqlState::DUPLICATE_TABLE,
                SqlState::DUPLICATE_OBJECT,
            ]
            .contains(code) =>
        {
            Failure::Raced(words)
        }
        // "Result is ambiguous", as distributed databases say it.
        Some(code) if *code == SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN => Failure::Unknown(words),
        // It is being shut down, or ended a session that said nothing for too long.
        Some(code) if ["57P", "08", "25P03"].iter().any(|class| code.code().starts_with(class)) => {
            if committing {
                Failure::Unknown(words)
            } else {
                Failure::Stale(words)
            }
        }
        Some(_) => Failure::No(words),
        None if committing => Failure::Unknown(words),
        None => Failure::Stale(words),
    }
}

/// The error with everything below it. Values of ours are not in it.
pub(super) fn in_words(error: &Error) -> String {
    if let Some(said) = error.as_db_error() {
        return format!("{} (SQLSTATE {})", said.message(), said.code().code());
    }
    let mut text = error.to_string();
    let mut below = std::error::Error::source(error);
    while let Some(error) = below {
        let words = error.to_string();
        if !text.contains(&words) {
            text.push_str(&format!(": {words}"));
        }
        below = error.source();
    }
    text
}
