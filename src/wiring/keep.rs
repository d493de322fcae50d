//! `pitlane store`: the file that everything is remembered in, copied, inspected, put back.

use std::path::Path;

use pitlane::adapters::store::{self, Inspected, Reader, StoreError};
use pitlane::cli::{Exit, Stop, StoreCommand, Told};
use pitlane::model::time::Time;
use serde_json::json;

/// # Errors
/// What is wrong, with the exit code: 1 the store or the file is not whole, 2 the file is not one that can be used so, 3 a
/// pitlane holds it, or it is of another version.
pub async fn keep(state: &Path, command: &StoreCommand) -> Result<Told, Stop> {
    let (state, now) = (state.to_owned(), Time::now());
    match command {
        StoreCommand::Backup { file } => {
            let to = file.clone();
            let found = blocking(move || store::backup(&state, &to)).await?;
            let words = format!("Copied to {}, and verified. {}", file.display(), whole(&found));
            Ok(Told { words, json: json!({"file": file, "holds": found}) })
        }
        StoreCommand::Verify { file: None } => {
            let found = Reader::inspect(&state).await.map_err(|e| stop(&e))?;
            Ok(Told { words: whole(&found), json: json!({"holds": found}) })
        }
        StoreCommand::Verify { file: Some(file) } => {
            let from = file.clone();
            let found = blocking(move || store::inspect(&from)).await?;
            Ok(Told { words: whole(&found), json: json!({"file": file, "holds": found}) })
        }
        StoreCommand::Restore { file } => {
            let from = file.clone();
            let (found, kept) = blocking(move || store::restore(&state, &from, now)).await?;
            let before = kept.as_ref().map_or_else(
                || "There was none before.".to_owned(),
                |kept| format!("What was there is now {}.", kept.display()),
            );
            let words = format!(
                "{} is the store now. {before} {}It begins PAUSED, because it knows nothing of what happened since: start the \
                 service, compare `pitlane owed` and `pitlane cases` with what the cluster holds, abort what is over, then `pitlane \
                 resume`.\n",
                file.display(),
                whole(&found).replace('\n', " "),
            );
            Ok(Told { words, json: json!({"file": file, "kept": kept, "holds": found}) })
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Stop> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended
        .map_err(|_| Stop::new(Exit::Failed, "it ended in the middle; nothing was replaced"))?
        .map_err(|error| stop(&error))
}

fn stop(error: &StoreError) -> Stop {
    let exit = match error {
        StoreError::File { .. } | StoreError::Directory { .. } => Exit::Usage,
        StoreError::Held { .. } | StoreError::Newer { .. } | StoreError::Older { .. } => Exit::Refused,
        _ => Exit::Failed,
    };
    Stop::new(exit, error.chain())
}

fn whole(found: &Inspected) -> String {
    let Inspected { cases, open_cases, owing, steps, requests, episodes, notices, work_orders, .. } = found;
    format!(
        "The store is whole: {cases} cases ({open_cases} open, {owing} with debts), {steps} steps, {requests} requests, {episodes} \
         alerts, {notices} notices, {work_orders} work orders, {} unreadable deliveries, {} journal entries whose last hash is \
         {}.\n",
        found.unreadable,
        found.journal.entries(),
        found.journal.hash
    )
}
