//! The ways to people: which adapter stands behind which channel, and who brings the notices there.

use std::sync::Arc;

use pitlane::adapters::notify::{MailChannel, Webhook, WebhookConfig};
use pitlane::adapters::smtp::PostConfig;
use pitlane::cli::Stop;
use pitlane::config::Config;
use pitlane::config::mail::MailSettings;
use pitlane::config::notify::Channel;
use pitlane::model::notice::{ChannelName, Notice, NoticeId, Urgency};
use pitlane::model::seen::Trouble;
use pitlane::model::time::Time;
use pitlane::ports::Notifier;
use pitlane::reconcile::courier::{Channels, Courier};

use super::{Lasting, usage};

/// Who brings notices to people, beside the turns.
///
/// # Errors
/// A matter of configuration.
pub fn courier(config: &Config, lasting: &Lasting) -> Result<Courier, Stop> {
    let metrics = lasting.metrics.clone();
    let heard = Arc::new(move |_: &ChannelName, sent: &Result<(), Trouble>| metrics.notice(sent));
    Ok(Courier::new(Arc::new(lasting.store.clone()), channels(config)?, lasting.clock.clone(), heard))
}

/// All channels of a configuration.
///
/// # Errors
/// A matter of configuration.
pub fn channels(config: &Config) -> Result<Channels, Stop> {
    config.channels.iter().map(|(name, told)| Ok((name.clone(), channel(name, told)?))).collect()
}

/// Sends a test notice to each channel; what became of it.
pub async fn test(config: &Config) -> Vec<(ChannelName, Result<(), Trouble>)> {
    let at = Time::now();
    // A person looks for this one: a new id each time, so that no receiver takes it for the last one.
    let notice = Notice {
        id: NoticeId(format!("test/{at}")),
        at,
        urgency: Urgency::Tell,
        title: "pitlane: a test notice".to_owned(),
        body: "Somebody asked pitlane to try this channel. There is nothing to do.\n".to_owned(),
        node: None,
        case: None,
        to: Vec::new(),
    };
    let mut told = Vec::new();
    for (name, settings) in &config.channels {
        let sent = match channel(name, settings) {
            Ok(channel) => channel.try_out(&notice).await,
            Err(stop) => Err(Trouble::NotConfigured(stop.text)),
        };
        told.push((name.clone(), sent));
    }
    told
}

fn channel(name: &ChannelName, channel: &Channel) -> Result<Arc<dyn Notifier>, Stop> {
    let wrong = |why: String| usage(format!("notify.channels.{name}: {why}"));
    match channel {
        Channel::Webhook { url, token, ca_pem } => {
            let url = url.parse().map_err(|e| wrong(format!("webhook: {e}")))?;
            let bearer = token.as_ref().map(|token| token.0.clone());
            let webhook = Webhook::new(WebhookConfig { url, bearer, ca_pem: ca_pem.clone(), limit: None });
            Ok(Arc::new(webhook.map_err(|e| wrong(e.to_string()))?))
        }
        Channel::Smtp(mail) => {
            let cluster = mail.cluster.as_deref().unwrap_or_default();
            Ok(Arc::new(MailChannel::new(post(mail), cluster).map_err(|e| wrong(e.to_string()))?))
        }
    }
}

/// A mail server as configured.
pub fn post(mail: &MailSettings) -> PostConfig {
    let MailSettings { cluster: _, host, port, tls, login, ca_pem, from, to } = mail.clone();
    let login = login.map(|(user, password)| (user, password.0));
    PostConfig { host, port, tls, login, ca_pem, from, to, limit: None }
}
