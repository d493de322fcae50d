//! `pitlane store`: the file that everything is remembered in, copied, inspected, put back.

use std::path::Path;

use pitlane::adapters::store::{self, Inspected, Moved, Reader, StoreError};
use pitlane::cli::{Exit, Stop, StoreCommand, Told};
use pitlane::config::Whereabouts;
use pitlane::model::time::Time;
use serde_json::json;

use super::stored::{connect, reader};

/// # Errors
/// What is wrong, with the exit code: 1 the store or the file is not whole, 2 the file is not one that can be used so, 3 a
/// pitlane holds it, or it is of another version.
pub async fn keep(state: &Whereabouts, command: &StoreCommand) -> Result<Told, Stop> {
    match (state, command) {
        (Whereabouts::Dir(dir), command) => of_file(dir, command).await,
        (Whereabouts::Database { database, cluster, .. }, StoreCommand::Verify { file: None }) => {
            let found = async { reader(database, cluster).await?.inspect().await };
            let found = found.await.map_err(|e| stop(&e))?;
            Ok(Told { words: whole(&found), json: json!({"cluster": cluster, "holds": found}) })
        }
        (Whereabouts::Database { database, cluster, dir }, StoreCommand::Migrate) => {
            let to = format!("{}, cluster {cluster}", database.url);
            let moved = async { connect(database).await?.take_over(dir, cluster, &to).await };
            let Moved { holds, .. } = moved.await.map_err(|e| stop(&e))?;
            let words = format!(
                "Cluster {cluster} is in the database now, read back and verified. {}{} is marked as moved: keep it until you trust \
                 the database's backups.\n",
                whole(&holds).replace('\n', " "),
                dir.display()
            );
            Ok(Told { words, json: json!({"cluster": cluster, "from": dir, "holds": holds}) })
        }
        (Whereabouts::Database { .. }, _) => Err(Stop::new(
            Exit::Usage,
            "the state is in a database: its own tools copy it and put it back (pg_dump, pg_restore; see docs/INSTALL.md)",
        )),
    }
}

async fn of_file(state: &Path, command: &StoreCommand) -> Result<Told, Stop> {
    let (state, now) = (state.to_owned(), Time::now());
    match command {
        StoreCommand::Migrate => Err(Stop::new(
            Exit::Usage,
            "where to? Name the database in the configuration: store: {postgres: {url: …, password_file: …}}",
        )),
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
        StoreError::File { .. } | StoreError::Directory { .. } | StoreError::Address(_) => Exit::Usage,
        StoreError::Held { .. }
        | StoreError::Newer { .. }
        | StoreError::Older { .. }
        | StoreError::Moved { .. }
        | StoreError::There { .. }
        | StoreError::NewerDatabase { .. } => Exit::Refused,
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
