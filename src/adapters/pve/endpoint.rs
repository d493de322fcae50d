//! The members of a cluster that may be asked, in the order of preference.

use std::fmt;

/// One member of the cluster as an entry point: which node it is, and where it listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The node's name in the cluster. It decides whether the endpoint must be avoided.
    pub node: String,
    /// Scheme, host and port, without a path: `https://10.0.0.11:8006`.
    pub base: String,
}

impl Endpoint {
    /// An endpoint for `node` at `base`; a trailing slash is dropped.
    pub fn new(node: impl Into<String>, base: impl Into<String>) -> Endpoint {
        let base = base.into();
        Endpoint { node: node.into(), base: base.trim_end_matches('/').to_owned() }
    }
}

impl fmt::Display for Endpoint {
    /// The node's name only: addresses do not belong into logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.node)
    }
}
