//! The one thread that writes. Everything that waits when it looks goes into one transaction, and every waiter is
//! answered after the COMMIT: a hundred deliveries cost one wait for the disk.
//!
//! A write that fails by itself (a conflict, a rule) is undone alone; a COMMIT that fails fails all it carried.
//! Nothing is ever answered before it is durable.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::error::{StoreError, in_words};
use super::mark;
use super::open::Writable;
use super::rows::set_meta;

/// Writes that may wait. More than that, and the next one is told so after [`DEADLINE`].
const WAITING_MAX: usize = 1024;

/// Writes in one transaction: enough to make the disk's wait cheap, few enough that the first need not wait long.
const GROUP_MAX: usize = 256;

/// From asking to the answer. Alertmanager gives up after 10 s (group_interval under 10 s), and then repeats.
pub(super) const DEADLINE: Duration = Duration::from_secs(9);

/// Bytes that a disk has to take before it is believed to have room again, and the name under which they are written.
const TRIED_WITH: usize = 256 << 10;
const TRIED: &str = "tried";

/// What carries writes to the thread. Dropping it ends the thread, after what was accepted is written.
pub(super) struct Writer {
    /// The last commit failed as a whole.
    failing: Arc<AtomicBool>,
    /// Commits so far, also those that failed: nobody knows what became of them.
    written: Arc<AtomicU64>,
    jobs: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(open: Writable) -> std::io::Result<Self> {
        let (jobs, waiting) = mpsc::channel(WAITING_MAX);
        let failing = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&failing);
        let written = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&written);
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || run(&open, waiting, &told, &count))?;
        Ok(Self { failing, written, jobs: Some(jobs), thread: Some(thread) })
    }

    /// Another number after every commit, before anybody is told of it. Nobody else writes to this file.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }

    /// Does the disk take writes, as far as the last one showed? After one that failed as much is written as a delivery may
    /// need, so that a loop that has nothing to write does not look well while deliveries are turned away.
    pub(super) async fn works(&self) -> Result<(), StoreError> {
        if self.failing.load(Ordering::SeqCst) {
            let doing = "trying whether the disk takes writes again";
            let full = "0".repeat(TRIED_WITH);
            self.write(doing, move |conn| set_meta(conn, TRIED, Some(&full))).await?;
            self.write(doing, |conn| set_meta(conn, TRIED, None)).await?;
        }
        Ok(())
    }

    /// Runs `work` inside a transaction on the writer's thread, and returns when that is committed.
    pub(super) async fn write<T, F>(&self, doing: &'static str, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.answered(doing, Box::new(Write { work: Some(work), result: None, reply }), answer).await
    }

    /// As [`Self::write`], for work that may be done twice: where its neighbour fails, all of it is undone and done again.
    /// `then` hears on the writer's thread what was committed, before anybody else does; `None`: it was not.
    pub(super) async fn tell<T, F, H>(&self, doing: &'static str, work: F, then: H) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> Result<T, StoreError> + Send + 'static,
        H: FnOnce(Option<&T>) + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.answered(doing, Box::new(Tell { work, then, result: None, reply }), answer).await
    }

    async fn answered<T>(
        &self,
        doing: &'static str,
        job: Box<dyn Job>,
        answer: oneshot::Receiver<Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let round = async {
            let jobs = self.jobs.as_ref().ok_or(StoreError::Gone)?;
            jobs.send(job).await.map_err(|_| StoreError::Gone)?;
            answer.await.map_err(|_| StoreError::Gone)?
        };
        let late = StoreError::Late { doing, secs: DEADLINE.as_secs() };
        tokio::time::timeout(DEADLINE, round).await.unwrap_or(Err(late))
    }
}

impl Drop for Writer {
    /// Waits for the thread, so that the directory's lock is free when this returns.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic in there was already printed by the thread itself; here is nobody to tell it to.
            let _ = thread.join();
        }
    }
}

trait Job: Send {
    /// Does the work; `Undo` where it failed by itself.
    fn run(&mut self, conn: &Connection) -> Kept;
    /// Tells the waiter, once the fate of the transaction is known.
    fn answer(self: Box<Self>, committed: Result<(), &str>);
    /// May be done again after it was undone.
    fn again(&self) -> bool {
        false
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Keep,
    Undo,
}

struct Write<T, F> {
    work: Option<F>,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Write<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, conn: &Connection) -> Kept {
        let Some(work) = self.work.take() else { return Kept::Undo };
        let result = work(conn);
        let kept = if result.is_ok() { Kept::Keep } else { Kept::Undo };
        self.result = Some(result);
        kept
    }

    fn answer(self: Box<Self>, committed: Result<(), &str>) {
        // Whoever gave up waiting looks again by itself.
        let _ = self.reply.send(fate(committed, self.result));
    }
}

fn fate<T>(committed: Result<(), &str>, result: Option<Result<T, StoreError>>) -> Result<T, StoreError> {
    let lost = |why: &str| Err(StoreError::Uncommitted(why.to_owned()));
    match (committed, result) {
        (Ok(()), Some(result)) => result,
        // It had failed by itself, and that reason is the better one.
        (Err(_), Some(Err(own))) => Err(own),
        (Err(why), _) => lost(why),
        (Ok(()), None) => lost("it was not reached"),
    }
}

struct Tell<T, F, H> {
    work: F,
    then: H,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F, H> Job for Tell<T, F, H>
where
    T: Send,
    F: Fn(&Connection) -> Result<T, StoreError> + Send,
    H: FnOnce(Option<&T>) + Send,
{
    fn run(&mut self, conn: &Connection) -> Kept {
        let result = (self.work)(conn);
        let kept = if result.is_ok() { Kept::Keep } else { Kept::Undo };
        self.result = Some(result);
        kept
    }

    fn answer(self: Box<Self>, committed: Result<(), &str>) {
        let fate = fate(committed, self.result);
        (self.then)(fate.as_ref().ok());
        let _ = self.reply.send(fate);
    }

    fn again(&self) -> bool {
        true
    }
}

fn run(
    open: &Writable,
    mut waiting: mpsc::Receiver<Box<dyn Job>>,
    failing: &AtomicBool,
    written: &AtomicU64,
) {
    let mut group = Vec::with_capacity(GROUP_MAX);
    while waiting.blocking_recv_many(&mut group, GROUP_MAX) > 0 {
        let committed = together(&open.conn, &mut group);
        if let Err(error) = &committed {
            if !open.conn.is_autocommit() {
                // If even this fails, the next BEGIN does too, and everybody hears of it.
                let _ = open.conn.execute_batch("ROLLBACK");
            }
            tracing::error!("the store could not commit {} writes: {error}", group.len());
        }
        failing.store(committed.is_err(), Ordering::SeqCst);
        written.fetch_add(1, Ordering::SeqCst);
        let committed = committed.map(|commits| open.mark.write(commits));
        for job in group.drain(..) {
            job.answer(committed.as_ref().copied().map_err(String::as_str));
        }
    }
}

/// One transaction for all. Where SQLite itself gives the transaction up (a full disk), the next statement fails, and
/// so does the whole group. The answer is the commit's number; the error is in words for people.
fn together(conn: &Connection, group: &mut [Box<dyn Job>]) -> Result<u64, String> {
    sql(conn, "BEGIN IMMEDIATE")?;
    // To go back to before a job, SQLite keeps every page that it changes a second time. Deliveries hardly ever fail, and can
    // be done again: they come first, without.
    group.sort_by_key(|job| !job.again());
    let light = group.iter().take_while(|job| job.again()).count();
    let (light, others) = group.split_at_mut(light);
    if light.iter_mut().any(|job| job.run(conn) == Kept::Undo) {
        sql(conn, "ROLLBACK")?;
        sql(conn, "BEGIN IMMEDIATE")?;
        one_by_one(conn, light)?;
    }
    one_by_one(conn, others)?;
    let commits = mark::count(conn).map_err(|error| error.chain())?;
    sql(conn, "COMMIT")?;
    Ok(commits)
}

fn one_by_one(conn: &Connection, jobs: &mut [Box<dyn Job>]) -> Result<(), String> {
    for job in jobs {
        sql(conn, "SAVEPOINT job")?;
        if job.run(conn) == Kept::Undo {
            sql(conn, "ROLLBACK TO job")?;
        }
        sql(conn, "RELEASE job")?;
    }
    Ok(())
}

fn sql(conn: &Connection, statement: &str) -> Result<(), String> {
    conn.prepare_cached(statement).and_then(|mut done| done.execute([])).map(drop).map_err(in_words)
}
