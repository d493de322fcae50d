//! When a copy of the store is due, and that it is made: beside the service, on a thread of its own, one at a time.
//!
//! It decides nothing and stops nothing. Whether anybody is called because copies fail is for whoever hears of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::sync::oneshot::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::copies::Copies;
use super::error::StoreError;
use crate::model::time::{Time, age};
use crate::ports::Clock;

/// A store of some hundred MiB takes seconds. A disk behind a network that has gone may hang for ever, and holds up nobody.
const WITHIN: Duration = Duration::from_secs(600);
/// After a failure it is tried again.
const AGAIN: Duration = Duration::from_secs(600);
/// It is asked so often whether one is due: clocks are set, and machines sleep.
const LOOKED: Duration = Duration::from_secs(3600);

/// What one round brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// When the newest was made.
    pub newest: Time,
    /// Made in this round; `None`: none was due.
    pub file: Option<PathBuf>,
}

/// Makes copies of the store in `state` until `stop`, `every` so often, and tells each round's outcome.
pub async fn keep_copying(
    copies: Copies,
    every: Duration,
    state: PathBuf,
    clock: Arc<dyn Clock>,
    mut heard: impl FnMut(Result<Copied, String>),
    stop: CancellationToken,
) {
    let mut nap = Duration::ZERO;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(nap) => {}
        }
        let now = clock.now();
        let mut ends = begin(copies.clone(), every, state.clone(), now);
        let mut late = false;
        let ended = loop {
            tokio::select! {
                () = stop.cancelled() => return,
                ended = &mut ends => break ended,
                () = tokio::time::sleep(WITHIN), if !late => {
                    late = true;
                    let (dir, mins) = (copies.dir.display(), WITHIN.as_secs() / 60);
                    heard(Err(format!("it has not ended within {mins} minutes; does the disk of {dir} answer?")));
                }
            }
        };
        let told = match ended {
            Ok(told) => told.map_err(|error| error.chain()),
            Err(RecvError { .. }) => {
                Err("no thread could be had for it, or it ended in the middle".to_owned())
            }
        };
        nap = match &told {
            Ok(copied) => every.saturating_sub(age(clock.now(), copied.newest)).clamp(AT_ONCE, LOOKED),
            Err(_) => AGAIN,
        };
        heard(told);
    }
}

/// No busy loop, whatever a clock says.
const AT_ONCE: Duration = Duration::from_secs(1);

/// On a thread of its own: when the process ends, nobody waits for a disk that hangs. What is half made then is swept later.
fn begin(
    copies: Copies,
    every: Duration,
    state: PathBuf,
    now: Time,
) -> oneshot::Receiver<Result<Copied, StoreError>> {
    let (tell, told) = oneshot::channel();
    let work = move || drop(tell.send(round(&copies, every, &state, now)));
    // Without a thread `tell` is dropped, and that is heard.
    drop(std::thread::Builder::new().name("backup".to_owned()).spawn(work));
    told
}

fn round(copies: &Copies, every: Duration, state: &Path, now: Time) -> Result<Copied, StoreError> {
    if let Some(newest) = copies.newest(now)?.filter(|newest| age(now, *newest) < every) {
        return Ok(Copied { newest, file: None });
    }
    let (file, _) = copies.make(state, now)?;
    Ok(Copied { newest: now, file: Some(file) })
}
