//! The root helper.
