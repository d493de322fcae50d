//! A case as a row: every store keeps the same columns of it, beside its document.

use super::documents::{from_json, instant, stamp, to_json};
use super::error::StoreError;
use super::seal::{Seal, seal};
use crate::model::case::{Case, Phase};
use crate::model::time::Time;

/// The columns.
#[derive(Clone)]
pub(super) struct CaseRow {
    pub id: u64,
    pub node: String,
    pub phase: String,
    pub revision: u64,
    pub drained_at: Option<String>,
    pub closed_at: Option<String>,
    pub doc: String,
}

impl CaseRow {
    /// As it is written: with the next revision. `noted`: when it began to drain, as its row has it already; the first time
    /// counts.
    pub(super) fn of(case: &Case, noted: Option<String>, began: Option<Time>) -> Result<Self, StoreError> {
        let what = format!("case {}", case.id);
        let stored = Case { revision: case.revision + 1, ..case.clone() };
        let doc = to_json(&what, &stored)?;
        // What cannot be read back must not be written: it would stop every later load.
        from_json::<Case>(&what, &doc)?;
        let closed_at = match case.phase {
            Phase::Closed { at, .. } => Some(stamp(at)),
            _ => None,
        };
        let drained_at = match noted {
            Some(first) => {
                // It is sealed anew: what is not an instant must not become one.
                instant(&what, &first)?;
                Some(first)
            }
            None => began.map(stamp),
        };
        let (node, phase) = (case.node.as_str().to_owned(), case.phase.name().to_string());
        Ok(Self { id: case.id.0, node, phase, revision: stored.revision, drained_at, closed_at, doc })
    }

    pub(super) fn seal(&self) -> Seal {
        let (id, revision) = (self.id.to_string(), self.revision.to_string());
        seal(&[
            Some(&id),
            Some(&self.node),
            Some(&self.phase),
            Some(&revision),
            self.drained_at.as_deref(),
            self.closed_at.as_deref(),
            Some(&self.doc),
        ])
    }

    /// The case, with the time at which it began to drain.
    ///
    /// # Errors
    /// The row is not what was written.
    pub(super) fn read(self, sealed: Option<&[u8]>) -> Result<(Case, Option<Time>), StoreError> {
        let what = format!("case {} ({})", self.id, self.node);
        if sealed.is_some_and(|sealed| sealed != self.seal()) {
            return Err(StoreError::spoilt(what));
        }
        let case: Case = from_json(&what, &self.doc)?;
        // A row edited by hand, or half of a restored backup, shows here before anything is decided from it.
        let same = case.id.0 == self.id
            && case.node.as_str() == self.node
            && case.phase.name().to_string() == self.phase
            && case.revision == self.revision
            && case.open() == self.closed_at.is_none();
        if !same {
            return Err(StoreError::document(what, "its document and its row say different things"));
        }
        let drained_at = self.drained_at.map(|text| instant(&what, &text)).transpose()?;
        Ok((case, drained_at))
    }
}
