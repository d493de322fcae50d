//! The nouns: what pitlane knows, remembers and says. No clock, no chance, no network, no database in here.

pub mod access;
pub mod alert;
pub mod case;
pub mod fault;
pub mod give_back;
pub mod ids;
pub mod matcher;
pub mod note;
mod note_text;
pub mod notice;
pub mod observed;
pub mod owed;
pub mod parts;
pub mod plan;
pub mod proof;
pub mod request;
pub mod rules;
pub mod seen;
pub mod shown;
pub mod state;
pub mod step;
pub mod ticket_template;
pub mod tickets;
pub mod time;
pub mod verdict;
pub mod wait;
pub mod wait_text;
