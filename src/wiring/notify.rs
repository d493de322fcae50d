//! The ways to people: which adapter stands behind which channel, and who brings the notices there.

use std::sync::Arc;

use async_trait::async_trait;
use pitlane::adapters::notify::{MailChannel, Webhook, WebhookConfig};
use pitlane::adapters::smtp::PostConfig;
use pitlane::cli::Stop;
use pitlane::config::Config;
use pitlane::config::mail::MailSettings;
use pitlane::config::notify::Channel;
use pitlane::model::ids::ClusterName;
use pitlane::model::notice::{ChannelName, Notice, NoticeId, Urgency};
use pitlane::model::seen::Trouble;
use pitlane::model::time::Time;
use pitlane::ports::Notifier;
use pitlane::reconcile::courier::{Channels, Courier};

use super::stored::Stored;
use super::{Lasting, usage};

/// Who brings notices to people, beside the turns, as long as the right lasts that `stored` has.
pub fn courier(channels: Channels, lasting: &Lasting, stored: &Stored) -> Courier {
    let metrics = lasting.metrics.clone();
    let heard = Arc::new(move |_: &ChannelName, sent: &Result<(), Trouble>| metrics.notice(sent));
    Courier::new(stored.outbox.clone(), channels, lasting.clock.clone(), heard).under(stored.tenure.clone())
}

/// All channels of a configuration. `cluster`: which one of a fleet it is.
///
/// # Errors
/// A matter of configuration.
pub fn channels(config: &Config, cluster: Option<&ClusterName>) -> Result<Channels, Stop> {
    let named = |(name, told): (&ChannelName, &Channel)| Ok((name.clone(), channel(name, told, cluster)?));
    config.channels.iter().map(named).collect()
}

/// Says which cluster of a fleet it is, as mails do by themselves. Cases are counted in each of them: `case 7` alone, as a title or as an idempotency key,
/// would be that of another.
struct OfCluster {
    cluster: ClusterName,
    all: Arc<dyn Notifier>,
}

impl OfCluster {
    fn named(&self, notice: &Notice) -> Notice {
        let Notice { id, title, .. } = notice.clone();
        let (id, title) = (NoticeId(format!("{}/{id}", self.cluster)), format!("{}: {title}", self.cluster));
        Notice { id, title, ..notice.clone() }
    }
}

#[async_trait]
impl Notifier for OfCluster {
    async fn send(&self, notice: &Notice) -> Result<(), Trouble> {
        self.all.send(&self.named(notice)).await
    }

    async fn try_out(&self, notice: &Notice) -> Result<(), Trouble> {
        self.all.try_out(&self.named(notice)).await
    }
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
        let sent = match channel(name, settings, None) {
            Ok(channel) => channel.try_out(&notice).await,
            Err(stop) => Err(Trouble::NotConfigured(stop.text)),
        };
        told.push((name.clone(), sent));
    }
    told
}

fn channel(
    name: &ChannelName,
    channel: &Channel,
    cluster: Option<&ClusterName>,
) -> Result<Arc<dyn Notifier>, Stop> {
    let wrong = |why: String| usage(format!("notify.channels.{name}: {why}"));
    match channel {
        Channel::Webhook { url, token, ca_pem } => {
            let url = url.parse().map_err(|e| wrong(format!("webhook: {e}")))?;
            let bearer = token.as_ref().map(|token| token.0.clone());
            let webhook = Webhook::new(WebhookConfig { url, bearer, ca_pem: ca_pem.clone(), limit: None });
            let all = Arc::new(webhook.map_err(|e| wrong(e.to_string()))?);
            Ok(match cluster {
                Some(cluster) => Arc::new(OfCluster { cluster: cluster.clone(), all }),
                None => all,
            })
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
