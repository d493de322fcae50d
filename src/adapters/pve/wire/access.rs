//! Who we are and what we may do; which version answers.

use serde::Deserialize;

use super::{Flag, Table, Text};

/// `/access/permissions`: path → privilege → whether it propagates. A path that is missing has no privileges at all,
/// unless a path above it propagates.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct Permissions(pub Table<Table<Flag>>);

impl Permissions {
    /// Whether `privilege` holds on `path`: the deepest listed path at or above it decides, as entries below replace those above.
    pub fn allows(&self, path: &str, privilege: &str) -> bool {
        let mut at = path;
        loop {
            if let Some(privileges) = self.0.get(at) {
                let Some(Flag(propagates)) = privileges.get(privilege) else { return false };
                return at == path || *propagates;
            }
            match at.rfind('/') {
                _ if at == "/" => return false,
                Some(0) | None => at = "/",
                Some(cut) => at = &at[..cut],
            }
        }
    }
}

/// `/version` and `/nodes/N/version`.
#[derive(Debug, Clone, Deserialize)]
pub struct Version {
    /// `9.2.11`
    pub version: Text,
    pub release: Option<Text>,
}

impl Version {
    /// `(9, 2)`; `None` for a text that is no version.
    pub fn major_minor(&self) -> Option<(u32, u32)> {
        let mut numbers = self.version.split(['.', '-', '~']).map(|n| n.parse().ok());
        Some((numbers.next()??, numbers.next()??))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deeper_entry_replaces_what_came_from_above() {
        let json = r#"{"/":{"VM.Audit":1,"Sys.Audit":0},"/vms/100":{"VM.Migrate":1}}"#;
        let permissions: Permissions = serde_json::from_str(json).expect("valid");
        assert!(permissions.allows("/vms/101", "VM.Audit"), "propagates from the root");
        assert!(!permissions.allows("/vms/100", "VM.Audit"), "replaced");
        assert!(permissions.allows("/vms/100", "VM.Migrate"));
        assert!(permissions.allows("/", "Sys.Audit"));
        assert!(!permissions.allows("/nodes/a", "Sys.Audit"), "does not propagate");
    }

    #[test]
    fn a_version_is_taken_apart() {
        let version = |text: &str| Version { version: Text(text.to_owned()), release: None }.major_minor();
        assert_eq!(version("9.2.11"), Some((9, 2)));
        assert_eq!(version("8.4-1"), Some((8, 4)));
        assert_eq!(version("unknown"), None);
    }
}
