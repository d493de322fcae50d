//! The built-in board's sheets: work orders as every store keeps them.

use super::error::StoreError;
use crate::model::ids::{CaseId, TicketRef};
use crate::model::observed::WorkOrderStatus;
use crate::model::step::WorkOrder;
use crate::model::time::Time;

/// A work order with everything that was said about it: the technician's sheet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sheet {
    pub ticket: TicketRef,
    pub case: CaseId,
    pub opened_at: Time,
    pub closed_at: Option<Time>,
    pub status: WorkOrderStatus,
    pub order: WorkOrder,
    /// Oldest first.
    pub comments: Vec<Comment>,
}

/// Something said about a work order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    pub at: Time,
    pub text: String,
}

/// What may be said about a work order.
#[derive(Clone, Copy)]
pub(super) enum Said {
    Comment,
    Reopen,
    Close,
}

impl Said {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Comment => "comment",
            Self::Reopen => "reopen",
            Self::Close => "close",
        }
    }
}

pub(super) fn status(what: &str, text: &str) -> Result<WorkOrderStatus, StoreError> {
    match text {
        "open" => Ok(WorkOrderStatus::Open),
        "done" => Ok(WorkOrderStatus::Done),
        "cancelled" => Ok(WorkOrderStatus::Cancelled),
        other => Err(StoreError::document(what, format!("a status {other:?} is not known"))),
    }
}

pub(super) fn ticket(number: i64) -> TicketRef {
    TicketRef(format!("WO-{number}"))
}
