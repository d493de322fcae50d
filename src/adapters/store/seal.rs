//! Seals: SQLite notices a page that makes no sense; it does not notice a digit that became another one. So every row that
//! a decision is made from carries a hash of its contents.
//!
//! A seal is made from what is written, never from what was read. It shows a disk that spoils and a hand that meddles; it
//! is no protection against somebody who knows how to make one. A row from before there were seals has none, and is
//! believed.

use sha2::{Digest, Sha256};

/// SHA-256, as it is stored beside its row.
pub(super) type Seal = [u8; 32];

/// Each part with its length before it, so that no two different rows are the same bytes; nothing is not the empty text.
pub(super) fn seal(parts: &[Option<&str>]) -> Seal {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update([u8::from(part.is_some())]);
        let part = part.unwrap_or_default();
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

pub(super) fn of_step(id: &str, case: u64, tries: u32, at: &str, outcome: &str) -> Seal {
    seal(&[Some(id), Some(&case.to_string()), Some(&tries.to_string()), Some(at), Some(outcome)])
}

pub(super) fn of_request(id: &str, at: &str, doc: &str) -> Seal {
    seal(&[Some(id), Some(at), Some(doc)])
}

/// Of an episode's columns, in the table's order.
pub(super) fn of_episode(
    fingerprint: &str,
    starts_at: &str,
    ends_at: Option<&str>,
    received_at: &str,
    labels: &str,
) -> Seal {
    seal(&[Some(fingerprint), Some(starts_at), ends_at, Some(received_at), Some(labels)])
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
