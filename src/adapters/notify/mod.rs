//! Ways to people. An adapter sends one notice once when asked; whether and when to try again is the courier's.

mod smtp;
mod webhook;

pub use smtp::MailChannel;
pub use webhook::{Webhook, WebhookConfig, WebhookError};
