//! What our token may do at Proxmox, told as soon as it is seen and whenever it changes: in the log, and to whoever asks.

use std::sync::Arc;

use pitlane::config::Config;
use pitlane::decide::NEEDED_PRIVILEGES;
use pitlane::model::rights::TokenRights;
use pitlane::model::seen::{Seen, Trouble};
use pitlane::model::shown::Shown;
use pitlane::ports::{Clock, Pve};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Logs what is missing or too much, once for each thing that is found.
pub async fn watch(mut shown: watch::Receiver<Arc<Shown>>, stop: CancellationToken) {
    let mut told = TokenRights::default();
    loop {
        let found = shown.borrow_and_update().token_rights(&NEEDED_PRIVILEGES);
        if let Some(found) = found.filter(|found| *found != told) {
            for line in found.told() {
                tracing::warn!("{line}");
            }
            told = found;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = shown.changed() => if changed.is_err() { return },
        }
    }
}

/// Asks the configured cluster. `None`: there is none in the configuration.
pub async fn ask(config: &Config, clock: Arc<dyn Clock>) -> Option<Result<TokenRights, Trouble>> {
    let proxmox = config.proxmox.as_ref()?;
    let asked = async {
        let unfit = |why: String| Trouble::NotConfigured(why);
        let settings = super::outside::proxmox_settings(proxmox).map_err(|stop| unfit(stop.to_string()))?;
        let pve =
            pitlane::adapters::pve::Proxmox::connect(settings, clock).map_err(|e| unfit(e.to_string()))?;
        let nobody = Default::default();
        let view = pve.look(&nobody, &Default::default(), &Default::default()).await;
        match view.privileges {
            Seen::Known { value, .. } => Ok(TokenRights::of(&value, &NEEDED_PRIVILEGES)),
            Seen::Unknown { why } => Err(why),
            Seen::NotAsked => Err(Trouble::Nonsense("its rights were not asked for".to_owned())),
        }
    };
    Some(asked.await)
}
