//! Who asks. Bearer tokens for programs, the same token in a cookie for the console.
//!
//! Only hashes are known, and each one is compared in full whatever the others said, so that time tells nothing.

use std::collections::BTreeSet;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};

use super::error::Refusal;
use crate::model::access::{KnownClient, KnownToken, Right, Role};
use crate::model::ids::{ClusterName, Person};

pub const COOKIE: &str = "pitlane";

/// No token is longer; hashing megabytes for a stranger is not our work.
const TOKEN_MAX: usize = 512;

/// The known tokens.
#[derive(Clone, Debug, Default)]
pub struct Access {
    tokens: Vec<KnownToken>,
    /// The surface speaks TLS, so cookies may insist on it.
    pub secure: bool,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    pub name: Person,
    pub role: Role,
    /// The only clusters of a fleet that are open to them; `None`: all.
    pub clusters: Option<BTreeSet<ClusterName>>,
}

impl Access {
    pub fn new(tokens: Vec<KnownToken>, secure: bool) -> Self {
        Self { tokens, secure }
    }

    /// # Errors
    /// [`Refusal::WrongToken`].
    pub fn who(&self, token: &str) -> Result<Who, Refusal> {
        if token.len() > TOKEN_MAX {
            return Err(Refusal::WrongToken);
        }
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let mut found = u32::MAX;
        for (i, known) in self.tokens.iter().enumerate() {
            let i = u32::try_from(i).unwrap_or(u32::MAX);
            found.conditional_assign(&i, hash.ct_eq(&known.sha256));
        }
        let known =
            usize::try_from(found).ok().and_then(|i| self.tokens.get(i)).ok_or(Refusal::WrongToken)?;
        Ok(Who { name: Person(known.name.clone()), role: known.role, clusters: known.clusters.clone() })
    }
}

impl Who {
    /// Whoever a known certificate stands for.
    pub(crate) fn shown(client: &KnownClient) -> Self {
        Self { name: Person(client.name.clone()), role: client.role, clusters: None }
    }

    /// May they come to this cluster?
    pub(crate) fn enters(&self, cluster: &ClusterName) -> bool {
        self.clusters.as_ref().is_none_or(|open| open.contains(cluster))
    }

    /// # Errors
    /// [`Refusal::NotAllowed`].
    pub(crate) fn needs(&self, right: Right) -> Result<(), Refusal> {
        if self.role.may(right) {
            return Ok(());
        }
        Err(Refusal::NotAllowed { role: self.role.name(), needs: right.role().name() })
    }
}

/// The token that a program sends.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The token that the console's cookie carries.
pub fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, token)| (name == COOKIE).then_some(token))
}

impl<S: Sync> FromRequestParts<S> for Who {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        parts.extensions.get::<Self>().cloned().ok_or(Refusal::NoToken)
    }
}
