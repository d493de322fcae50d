//! API tokens and what they may do. Door two knows no passwords, no tickets and no users beside its tokens.

use std::collections::{BTreeMap, BTreeSet};

use subtle::ConstantTimeEq;

use crate::sim::World;

/// An API token with its privileges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// `user@realm!tokenid`.
    pub id: String,
    pub secret: String,
    pub rights: Rights,
}

/// What a token may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rights {
    /// As the world's own list for pitlane's token says, at each call: a story may take rights away in the middle.
    OfWorld,
    Fixed(Vec<Grant>),
}

/// A role on a path. The deepest grant that covers a path replaces those above it, as in Proxmox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub path: String,
    pub privileges: BTreeSet<String>,
    /// Holds for the paths below, too.
    pub propagate: bool,
}

/// The id under which the world files what pitlane does.
pub(super) const PITLANE: &str = "pitlane@pve!ctl";

/// What a controller needs in order to look.
const AUDIT: [&str; 6] =
    ["Sys.Audit", "VM.Audit", "Datastore.Audit", "Pool.Audit", "Mapping.Audit", "VM.GuestAgent.Audit"];

impl Grant {
    pub fn new(path: &str, privileges: &[&str]) -> Self {
        let privileges = privileges.iter().map(|&name| name.to_owned()).collect();
        Self { path: path.to_owned(), privileges, propagate: true }
    }
}

impl Token {
    pub fn new(id: &str, secret: &str, grants: Vec<Grant>) -> Self {
        Self { id: id.to_owned(), secret: secret.to_owned(), rights: Rights::Fixed(grants) }
    }

    /// pitlane's own token, as the world knows it. Its tasks are the world's `pitlane@pve!ctl`'s.
    pub fn pitlane(secret: &str) -> Self {
        Self { id: PITLANE.to_owned(), secret: secret.to_owned(), rights: Rights::OfWorld }
    }

    /// What pitlane's documentation asks for: look everywhere, move and start guests, switch nodes off.
    pub fn controller(id: &str, secret: &str) -> Self {
        let with = |path: &str, more: &[&str]| Grant::new(path, &[&AUDIT, more].concat());
        let guests = with("/vms", &["VM.Migrate", "VM.PowerMgmt"]);
        Self::new(id, secret, vec![with("/", &[]), guests, with("/nodes", &["Sys.PowerMgmt"])])
    }

    /// Looks at everything and changes nothing.
    pub fn auditor(id: &str, secret: &str) -> Self {
        Self::new(id, secret, vec![Grant::new("/", &AUDIT)])
    }

    /// What the header must carry.
    pub fn header(&self) -> String {
        format!("PVEAPIToken={}={}", self.id, self.secret)
    }

    /// The user that the token belongs to.
    pub fn user(&self) -> &str {
        self.id.split('!').next().unwrap_or(&self.id)
    }

    /// The token with the rights that it has now.
    pub(super) fn in_world(&self, world: &World) -> Self {
        let Rights::OfWorld = self.rights else { return self.clone() };
        let grant = |(path, privileges): (&String, &BTreeSet<String>)| Grant {
            path: path.clone(),
            privileges: privileges.clone(),
            propagate: true,
        };
        Self { rights: Rights::Fixed(world.token.iter().map(grant).collect()), ..self.clone() }
    }

    fn grants(&self) -> &[Grant] {
        match &self.rights {
            Rights::Fixed(grants) => grants,
            Rights::OfWorld => &[],
        }
    }

    /// Is any of these held on the path?
    pub fn may(&self, path: &str, any_of: &[&str]) -> bool {
        self.on(path).is_some_and(|grant| any_of.iter().any(|&name| grant.privileges.contains(name)))
    }

    fn on(&self, path: &str) -> Option<&Grant> {
        let covers = |grant: &&Grant| grant.path == path || (grant.propagate && above(&grant.path, path));
        self.grants().iter().filter(covers).max_by_key(|grant| grant.path.len())
    }

    /// `GET /access/permissions`: path → privilege → does it hold below, too.
    pub fn dump(&self, path: Option<&str>) -> BTreeMap<String, BTreeMap<String, u8>> {
        const SHOWN: [&str; 8] =
            ["/", "/access", "/access/groups", "/nodes", "/pool", "/sdn", "/storage", "/vms"];
        let granted = self.grants().iter().map(|grant| grant.path.as_str());
        let paths: BTreeSet<&str> = match path {
            Some(path) => BTreeSet::from([path]),
            None => SHOWN.into_iter().chain(granted).collect(),
        };
        let on = |path: &str| {
            let grant = self.on(path)?;
            (!grant.privileges.is_empty()).then(|| {
                let flag = u8::from(grant.propagate);
                (path.to_owned(), grant.privileges.iter().map(|name| (name.clone(), flag)).collect())
            })
        };
        paths.into_iter().filter_map(on).collect()
    }
}

fn above(parent: &str, path: &str) -> bool {
    parent == "/" || path.strip_prefix(parent).is_some_and(|rest| rest.starts_with('/'))
}

/// The token that the header names, or Proxmox's reason for 401.
pub(super) fn authenticate<'a>(tokens: &'a [Token], header: Option<&str>) -> Result<&'a Token, &'static str> {
    const FAILED: &str = "Authentication failed!";
    let header = header.ok_or("No ticket")?;
    let value = header.strip_prefix("PVEAPIToken").ok_or("No ticket")?;
    let value = value.strip_prefix(['=', ' ']).ok_or(FAILED)?;
    let value = super::ask::decoded(value.trim());
    let (id, secret) = value.split_once('=').ok_or(FAILED)?;
    let token = tokens.iter().find(|token| token.id == id).ok_or(FAILED)?;
    if bool::from(token.secret.as_bytes().ct_eq(secret.as_bytes())) { Ok(token) } else { Err(FAILED) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deeper_grant_replaces_the_one_above() {
        let token = Token::new(
            "a@pve!b",
            "s",
            vec![Grant::new("/", &["Sys.Audit", "VM.Audit"]), Grant::new("/vms", &["VM.Migrate"])],
        );
        assert!(token.may("/nodes/pve1", &["Sys.Audit"]));
        assert!(token.may("/vms/100", &["VM.Migrate"]));
        assert!(!token.may("/vms/100", &["VM.Audit"]), "replaced, not added");
        assert!(token.may("/vmsother", &["VM.Audit"]), "a path is not a prefix of letters");
    }

    #[test]
    fn without_propagation_only_the_path_itself_counts() {
        let root = Grant { propagate: false, ..Grant::new("/", &["Sys.Modify"]) };
        let token = Token::new("a@pve!b", "s", vec![root]);
        assert!(token.may("/", &["Sys.Modify"]));
        assert!(!token.may("/nodes/pve1", &["Sys.Modify"]));
    }

    #[test]
    fn every_wrong_header_has_its_reason() {
        let tokens = [Token::auditor("a@pve!b", "s")];
        assert_eq!(authenticate(&tokens, None), Err("No ticket"));
        for wrong in ["PVEAPIToken=a@pve!b=t", "PVEAPIToken=a@pve!c=s", "PVEAPIToken=nonsense", "PVEAPIToken"]
        {
            assert_eq!(authenticate(&tokens, Some(wrong)), Err("Authentication failed!"), "{wrong}");
        }
        for right in ["PVEAPIToken=a@pve!b=s", "PVEAPIToken a@pve!b=s", "PVEAPIToken=a%40pve%21b=s"] {
            assert!(authenticate(&tokens, Some(right)).is_ok(), "{right}");
        }
    }
}
