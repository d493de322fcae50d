//! One member, asked once, over ssh. No shell, no agent, no configuration of the machine that we run on: everything
//! that counts is on the command line, and a member is believed only by the host key that we were given.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::error::HandError;
use crate::adapters::child::{ChildError, Run, Said, run};
use crate::model::ids::NodeName;

/// `show` with a large manager_status is a few hundred KiB.
const OUTPUT_MAX: usize = 8 << 20;

/// How to reach the helper.
#[derive(Clone, Debug)]
pub struct HandConfig {
    /// The client, normally `/usr/bin/ssh`.
    pub ssh: PathBuf,
    pub key: PathBuf,
    pub known_hosts: PathBuf,
    pub user: String,
    /// In the order in which they are asked.
    pub members: Vec<Member>,
    /// One call to one member: the helper gives each of its up to four tools 15 s, but a healthy one answers in two.
    pub call: Duration,
    /// One request, all members that it took together.
    pub whole: Duration,
}

/// A member with the helper on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub node: NodeName,
    pub address: String,
    pub port: u16,
}

const OPTIONS: [&str; 15] = [
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "GlobalKnownHostsFile=/dev/null",
    "UpdateHostKeys=no",
    "IdentitiesOnly=yes",
    "IdentityAgent=none",
    "PreferredAuthentications=publickey",
    "ConnectTimeout=5",
    "ConnectionAttempts=1",
    // A member that dies while we wait is noticed after ten seconds.
    "ServerAliveInterval=5",
    "ServerAliveCountMax=2",
    "ControlPath=none",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "LogLevel=ERROR",
];

impl HandConfig {
    /// Asks one member. Any exit code is an answer here.
    pub async fn ask(&self, member: &Member, words: &[&str], limit: Duration) -> Result<Said, HandError> {
        let mut args: Vec<OsString> = ["-F", "/dev/null", "-T", "-n", "-i"].map(Into::into).into();
        args.push(self.key.clone().into_os_string());
        for option in OPTIONS {
            args.extend(["-o".into(), option.into()]);
        }
        // Quoted, because ssh splits this value at blanks.
        args.extend(["-o".into(), format!("UserKnownHostsFile=\"{}\"", self.known_hosts.display()).into()]);
        args.extend(["-p".into(), member.port.to_string().into()]);
        args.extend(["-l".into(), self.user.clone().into(), "--".into(), member.address.clone().into()]);
        args.extend(words.iter().map(Into::into));
        let call = Run { program: &self.ssh, args, limit, output_max: OUTPUT_MAX };
        run(call).await.map_err(|source| match source {
            ChildError::TooSlow { limit } => HandError::TooSlow { member: member.node.clone(), limit },
            source => HandError::Ssh { member: member.node.clone(), source },
        })
    }
}

/// The helper's own rule for names, asked here as well: a word with a blank would become two over there.
pub fn is_plain_name(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-')
}
