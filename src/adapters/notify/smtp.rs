//! A notice as one letter. Its `Message-ID` is made from the notice's id and the time when it was written, so that a
//! second sending is the same letter, and a case 1 after the state was lost is another than the case 1 before.

use async_trait::async_trait;

use crate::adapters::smtp::{Letter, Missed, Post, PostConfig, SmtpError};
use crate::model::notice::{Notice, Urgency};
use crate::model::seen::Trouble;
use crate::ports::Notifier;

/// One channel of mailboxes.
pub struct MailChannel {
    post: Post,
    cluster: String,
}

impl MailChannel {
    /// `cluster`: its name, for the subject; may be empty.
    ///
    /// # Errors
    /// A matter of configuration.
    pub fn new(config: PostConfig, cluster: &str) -> Result<Self, SmtpError> {
        Ok(Self { post: Post::new(config)?, cluster: cluster.to_owned() })
    }

    async fn letter(&self, notice: &Notice) -> Result<Vec<Missed>, SmtpError> {
        let Self { post, cluster } = self;
        let key = format!("{cluster}\n{}\n{}", notice.at, notice.id);
        let thread = notice.case.map(|case| format!("{cluster}\ncase-{case}/notices"));
        let mark = format!("[pitlane {cluster}").trim_end().to_owned();
        let letter = Letter {
            key: &key,
            thread: thread.as_deref(),
            subject: &format!("{mark}] {}", notice.title),
            body: &notice.body,
            at: notice.at,
            important: notice.urgency == Urgency::Page,
        };
        post.send(&letter).await
    }
}

#[async_trait]
impl Notifier for MailChannel {
    async fn send(&self, notice: &Notice) -> Result<(), Trouble> {
        for Missed { who, why } in self.letter(notice).await? {
            // The others have it, so it is delivered; asking this mailbox for ever would only get us blocked.
            tracing::error!(notice.id = %notice.id, "{who} did not take notice {}, others did: {why}", notice.id);
        }
        Ok(())
    }

    async fn try_out(&self, notice: &Notice) -> Result<(), Trouble> {
        let missed = self.letter(notice).await?;
        let all: Vec<String> = missed.iter().map(|Missed { who, why }| format!("{who}: {why}")).collect();
        match all.is_empty() {
            true => Ok(()),
            false => Err(Trouble::Refused(format!("some took it, these did not: {}", all.join("; ")))),
        }
    }
}
