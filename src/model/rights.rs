//! What our token may do at Proxmox, held against what pitlane needs, and against what a program that destroys nothing
//! should not be able to do.

use serde::{Deserialize, Serialize};

use super::observed::Privileges;

/// Whoever holds one of these could destroy with it, or give itself what does: privilege, and with what. No call of pitlane
/// needs any of them, but two without which backups cannot be listed.
pub const DESTROYS: [(&str, &str); 12] = [
    ("Sys.Modify", "stops foreign tasks, changes nodes, and removes parts of Ceph"),
    ("Sys.Console", "opens a root shell, and removes resources of HA"),
    ("Sys.AccessNetwork", "makes nodes fetch from addresses of its choice"),
    ("Datastore.Allocate", "removes storages, volumes and backups"),
    (
        "Datastore.AllocateSpace",
        "fills storages, and with VM.Backup removes backups; wanted only to list them",
    ),
    ("VM.Allocate", "destroys guests"),
    ("VM.Config.Disk", "destroys disks of guests"),
    ("VM.Snapshot.Rollback", "throws away what a guest wrote since a snapshot"),
    ("VM.Backup", "with Datastore.AllocateSpace removes backups; wanted only to list them"),
    ("VM.GuestAgent.Unrestricted", "runs commands inside guests"),
    ("Permissions.Modify", "gives itself every other privilege"),
    ("User.Modify", "takes over accounts that may more"),
];

/// What was found about a token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRights {
    /// `VM.Migrate on /vms`: without it lists are shorter in silence, or moves are refused.
    pub lacks: Vec<String>,
    /// `Sys.Modify on /: changes nodes …`: what it could destroy.
    pub too_much: Vec<String>,
}

impl TokenRights {
    /// `needed`: privilege and path of what the checks of the verdict ask for.
    pub fn of(held: &Privileges, needed: &[(&str, &str)]) -> Self {
        let lacks = needed.iter().filter(|(privilege, path)| !held.allows(privilege, path));
        let too_much = DESTROYS.iter().flat_map(|(privilege, how)| {
            let paths = held.granted.iter().filter(|(_, granted)| granted.contains(*privilege));
            // Where it holds above, the branches below only repeat it.
            let mut paths: Vec<&str> = paths.map(|(path, _)| path.as_str()).collect();
            if paths.contains(&"/") {
                paths = vec!["/"];
            }
            (!paths.is_empty()).then(|| format!("{privilege} on {}: {how}", paths.join(", ")))
        });
        Self {
            lacks: lacks.map(|(privilege, path)| format!("{privilege} on {path}")).collect(),
            too_much: too_much.collect(),
        }
    }

    pub fn good(&self) -> bool {
        self.lacks.is_empty() && self.too_much.is_empty()
    }

    /// A line for each thing that is not as it should be, with what to do.
    pub fn told(&self) -> Vec<String> {
        let lacks = self
            .lacks
            .iter()
            .map(|right| format!("the token of Proxmox lacks {right}; give it, as docs/INSTALL.md says"));
        let too_much = self
            .too_much
            .iter()
            .map(|right| format!("the token of Proxmox could destroy, by {right}; take it away if you can"));
        lacks.chain(too_much).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(all: &[(&str, &[&str])]) -> Privileges {
        let owned = |list: &[&str]| list.iter().map(|p| (*p).to_owned()).collect();
        Privileges { granted: all.iter().map(|(path, list)| ((*path).to_owned(), owned(list))).collect() }
    }

    const NEEDED: [(&str, &str); 3] = [("Sys.Audit", "/"), ("VM.Audit", "/vms"), ("VM.Migrate", "/vms")];

    #[test]
    fn the_roles_of_the_manual_are_enough_and_not_too_much() {
        let audit = ["Sys.Audit", "VM.Audit", "Datastore.Audit", "Mapping.Audit"];
        let drain = [&audit[..], &["VM.Migrate", "VM.PowerMgmt"]].concat();
        let found = TokenRights::of(&held(&[("/", &audit), ("/vms", &drain)]), &NEEDED);
        assert!(found.good() && found.told().is_empty(), "{found:?}");
    }

    #[test]
    fn what_could_destroy_is_named_with_its_path() {
        let all = held(&[
            ("/", &["Sys.Audit", "Sys.Modify"]),
            ("/nodes", &["Sys.Audit", "Sys.Modify"]),
            ("/storage/local", &["Datastore.Allocate"]),
            ("/vms", &["VM.Audit", "VM.Allocate"]),
        ]);
        let found = TokenRights::of(&all, &NEEDED);
        assert_eq!(found.lacks, ["VM.Migrate on /vms"]);
        let named: Vec<&str> =
            found.too_much.iter().map(|text| text.split(':').next().unwrap_or_default()).collect();
        assert_eq!(named, ["Sys.Modify on /", "Datastore.Allocate on /storage/local", "VM.Allocate on /vms"]);
        assert_eq!(found.told().len(), 4);
    }
}
