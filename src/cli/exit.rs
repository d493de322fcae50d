//! How a command ends: a number that scripts can rely on, and words for people.

use std::process::ExitCode;

/// Printed at the end of `--help`.
pub const HELP: &str = "Exit codes:
  0  done, or: yes
  1  it failed
  2  the command line, a file or a token is wrong; nothing was tried
  3  refused, or: the verdict is no
  4  cannot see: pitlane or the cluster does not answer, so the verdict is unknown, which is no
  5  still waiting when the time was over; what was asked stays asked";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Done,
    Failed,
    Usage,
    Refused,
    Unseen,
    Waiting,
}

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Unseen => 4,
            Self::Waiting => 5,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// A command's unhappy end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Stop {
    pub exit: Exit,
    pub text: String,
}

impl Stop {
    pub fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, text: text.into() }
    }
}

/// What every command ends with.
pub type Ended = Result<Exit, Stop>;
