//! Ways to people. An adapter sends one notice once when asked; whether and when to try again is the courier's.

mod smtp;
mod webhook;

pub use smtp::MailChannel;
pub use webhook::{Webhook, WebhookConfig, WebhookError};

use crate::model::reach::{Call, Effect, System};

/// What pitlane can say to people.
pub fn statement() -> Vec<Call> {
    let url = "the channel's URL; redirects are not followed";
    vec![
        Call::new(System::Notify, "POST", url, Effect::Tell, "the channel's token, if it has one"),
        Call::new(System::Mail, "mail", "SMTP", Effect::Tell, "the right to hand in mail"),
    ]
}
