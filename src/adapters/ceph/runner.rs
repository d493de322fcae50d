//! The way to Ceph: its own client as a child process. Behind a trait, so that recordings can be replayed.
//!
//! A process per call costs 0.3 s of Python, and buys what nothing else gives: a hang that can be killed
//! (`--connect-timeout` bounds connecting only), no library to link, and rights that end with the key.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;

use super::command::Command;
use super::error::CephError;
use crate::adapters::child::{ChildError, Run, run};

/// Seconds to find a monitor. Five suffice on any network that a Ceph can live on.
const CONNECT_SECS: &str = "5";

/// `osd dump` of a thousand OSDs is about 2 MiB.
const OUTPUT_MAX: usize = 64 << 20;

/// What came back, whatever the exit code: Ceph puts a body on stdout beside EBUSY and EAGAIN.
pub type Answer = crate::adapters::child::Said;

#[async_trait]
pub trait Runner: Send + Sync {
    /// Runs one command and ends within `limit`.
    ///
    /// # Errors
    /// Only when there is no exit code; a code other than 0 is an answer.
    async fn run(&self, command: &Command, limit: Duration) -> Result<Answer, CephError>;
}

/// How to reach one cluster.
#[derive(Clone, Debug)]
pub struct CephProgram {
    /// The client, normally `/usr/bin/ceph`.
    pub program: PathBuf,
    pub conf: PathBuf,
    /// Our own key, with the least rights.
    pub keyring: PathBuf,
    /// `client.pitlane`.
    pub name: String,
}

#[async_trait]
impl Runner for CephProgram {
    async fn run(&self, command: &Command, limit: Duration) -> Result<Answer, CephError> {
        // Ceph's own words for a missing keyring vary; ours come first.
        if !self.keyring.is_file() {
            return Err(CephError::NoKeyring);
        }
        let mut args = vec!["--conf".into(), self.conf.clone().into_os_string()];
        args.extend(["--name".into(), self.name.clone().into()]);
        args.extend(["--keyring".into(), self.keyring.clone().into_os_string()]);
        args.extend(["--connect-timeout", CONNECT_SECS, "--format", "json"].map(Into::into));
        args.extend(command.words().into_iter().map(Into::into));
        let call = Run { program: &self.program, args, limit, output_max: OUTPUT_MAX };
        run(call).await.map_err(|source| match source {
            ChildError::TooSlow { limit } => CephError::TooSlow { command: command.text(), limit },
            source => CephError::Client { command: command.text(), source },
        })
    }
}
