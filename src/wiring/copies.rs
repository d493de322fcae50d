//! The store's own backup: begun with the service where it is configured, and heard of where it fails.

use std::sync::Arc;

use pitlane::adapters::store::{Copied, Copies, keep_copying};
use pitlane::cli::Stop;
use pitlane::config::Config;
use pitlane::model::observed::BackupFails;
use pitlane::reconcile::Reconciler;
use pitlane::telemetry::Backups;
use tokio_util::sync::CancellationToken;

use super::{Lasting, failed};

/// Begins it, if the configuration names a directory.
///
/// # Errors
/// Its metrics cannot be made: a mistake in this program.
pub fn begin(
    config: &Config,
    lasting: &Lasting,
    reconciler: &Arc<Reconciler>,
    stop: &CancellationToken,
) -> Result<(), Stop> {
    let Some(backup) = config.backup.clone() else { return Ok(()) };
    let metrics = Backups::new(&lasting.metrics.registry()).map_err(|e| failed("metrics", e))?;
    let (clock, reconciler) = (lasting.clock.clone(), reconciler.clone());
    let mut fails: Option<BackupFails> = None;
    let heard = {
        let clock = clock.clone();
        move |told: Result<Copied, String>| match told {
            Ok(Copied { newest, file }) => {
                if let Some(file) = file {
                    tracing::info!("the store was copied to {}", file.display());
                    metrics.made();
                }
                metrics.newest(newest);
                if fails.take().is_some() {
                    reconciler.backup_fails(None);
                }
            }
            Err(why) => {
                tracing::error!("the store could not be copied: {why}");
                metrics.failed();
                let since = fails.as_ref().map_or_else(|| clock.now(), |fails| fails.since);
                fails = Some(BackupFails { since, why });
                reconciler.backup_fails(fails.clone());
            }
        }
    };
    let copies = Copies { dir: backup.dir, keep: backup.keep.into() };
    tokio::spawn(keep_copying(copies, backup.every.0, config.state.clone(), clock, heard, stop.clone()));
    Ok(())
}
