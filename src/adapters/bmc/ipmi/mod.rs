//! IPMI over the network, through FreeIPMI's own programs: they know the workarounds that each vendor needs.
//!
//! The account goes into a file of ours that nobody else may read, never on a command line. A locate LED is lit only on
//! controllers that say whether it is lit: what cannot be read back cannot be owed.

mod said;

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::error::BmcError;
use crate::adapters::child::{self, Run, Said, last_words};
use crate::model::ids::NodeName;
use crate::model::observed::{BmcView, Inventory, LocateTarget};
use crate::model::reach::{Call, Effect, System};
use crate::model::step::Switch;

/// One program; a real controller takes seconds, with a cold cache of sensor records ten and more.
const LIMIT: Duration = Duration::from_secs(9);
/// FreeIPMI gives up before we do, and says why.
const SESSION_MILLIS: &str = "7000";
/// A large machine has some 300 sensors of 100 bytes.
const OUTPUT_MAX: usize = 1 << 20;

/// How a controller is reached.
#[derive(Clone, Debug)]
pub struct IpmiConfig {
    /// `10.0.0.21`, or with a port.
    pub address: String,
    pub user: String,
    pub password: String,
    /// FreeIPMI's workaround flags, such as `opensesspriv`.
    pub workarounds: Vec<String>,
    /// Where FreeIPMI's programs are; found in the usual places if not given.
    pub programs: Option<PathBuf>,
}

pub(super) struct Ipmi {
    config: IpmiConfig,
    account: PathBuf,
    cache: PathBuf,
}

/// Instances made by this process.
static MADE: AtomicU64 = AtomicU64::new(0);

impl Drop for Ipmi {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.account);
    }
}

/// A program, and what is asked of it.
type Words = (&'static str, &'static [&'static str]);

const STATUS: Words = ("ipmi-chassis", &["--get-chassis-status"]);
const SENSORS: Words = (
    "ipmi-sensors",
    &["--comma-separated-output", "--no-header-output", "--output-sensor-state", "--sdr-cache-recreate"],
);
const SERIALS: Words = ("ipmi-fru", &["--sdr-cache-recreate"]);
const LIGHT: Words = ("ipmi-chassis", &["--chassis-identify=FORCE"]);
const DARK: Words = ("ipmi-chassis", &["--chassis-identify=TURN-OFF"]);

/// What pitlane can say to a controller that speaks IPMI.
pub fn statement() -> Vec<Call> {
    let said = |(program, words): Words, effect| {
        let needs = match effect {
            Effect::Read => "privilege level OPERATOR is asked for; reading needs USER",
            _ => "privilege level OPERATOR; only with respond.locate",
        };
        Call::new(System::Bmc, "run", format!("{program} {}", words.join(" ")), effect, needs)
    };
    let mut all = [STATUS, SENSORS, SERIALS].map(|words| said(words, Effect::Read)).to_vec();
    all.extend([LIGHT, DARK].map(|words| said(words, Effect::Change)));
    all
}

impl Ipmi {
    /// Writes the account's file below `private`.
    pub fn new(node: &NodeName, config: IpmiConfig, private: &Path) -> Result<Self, BmcError> {
        let cache = private.join("sdr");
        // Of this instance alone: one that is made for a configuration that is then refused must not change the account
        // that the running one logs in with. The next process begins with the same names, so none is left for ever.
        let account = private.join(format!("{node}.{}.account", MADE.fetch_add(1, Ordering::Relaxed)));
        let failed = |path: &Path| {
            let path = path.to_owned();
            |source| BmcError::File { path, source }
        };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&cache).map_err(failed(&cache))?;
        write_account(&account, &account_lines(&config)?).map_err(failed(&account))?;
        Ok(Self { config, account, cache })
    }

    /// # Errors
    /// See [`BmcError`].
    pub async fn look(&self) -> Result<BmcView, BmcError> {
        let said = self.run(STATUS.0, STATUS.1).await?;
        said::chassis(&said)
    }

    /// Sensors first: they say which places are filled. Then what carries a serial.
    ///
    /// # Errors
    /// See [`BmcError`]; half a list is none.
    pub async fn inventory(&self) -> Result<Inventory, BmcError> {
        let both = async {
            let sensors = self.cached(SENSORS.0, SENSORS.1).await?;
            let serials = self.serials().await?;
            let mut parts = said::sensors(&sensors)?;
            parts.extend(said::serials(&serials));
            Ok(Inventory { parts })
        };
        tokio::time::timeout(LIMIT, both).await.map_err(|_| BmcError::TooSlow(LIMIT))?
    }

    /// What carries a serial. A supply that was pulled takes its own record along, and a worn one cannot be read: the
    /// program says so, ends unhappily, and has told all others. That is no reason to hold the whole controller to be
    /// silent; the device that cannot be read has no serial then, which is for the comparison of parts to miss.
    async fn serials(&self) -> Result<String, BmcError> {
        const PROGRAM: &str = SERIALS.0;
        let said = self.cached_said(PROGRAM, SERIALS.1).await?;
        let told = said.stdout.contains(said::DEVICE);
        match said.rc {
            0 => Ok(said.stdout),
            _ if told => {
                let why = words(&said.stderr, PROGRAM);
                tracing::info!("{PROGRAM}: some of the machine's parts do not tell their serials: {why}");
                Ok(said.stdout)
            }
            _ => Err(BmcError::Said { program: PROGRAM, words: words(&said.stderr, PROGRAM) }),
        }
    }

    /// # Errors
    /// See [`BmcError`]; after a deadline it may have happened.
    pub async fn locate(&self, target: &LocateTarget, to: Switch) -> Result<(), BmcError> {
        if *target != LocateTarget::Chassis || !self.look().await?.lit.contains_key(target) {
            return Err(BmcError::NoLamp(target.to_string()));
        }
        let how = match to {
            Switch::On => LIGHT,
            Switch::Off => DARK,
        };
        self.run(how.0, how.1).await.map(drop)
    }

    async fn cached(&self, program: &'static str, args: &[&str]) -> Result<String, BmcError> {
        good(program, self.cached_said(program, args).await?)
    }

    async fn cached_said(&self, program: &'static str, args: &[&str]) -> Result<Said, BmcError> {
        let directory = format!("--sdr-cache-directory={}", self.cache.display());
        self.said(program, &[&["--quiet-cache", directory.as_str()], args].concat()).await
    }

    async fn run(&self, program: &'static str, args: &[&str]) -> Result<String, BmcError> {
        good(program, self.said(program, args).await?)
    }

    async fn said(&self, program: &'static str, args: &[&str]) -> Result<Said, BmcError> {
        let path = self.config.programs.as_ref().map_or_else(|| program.into(), |dir| dir.join(program));
        let mut all: Vec<OsString> = vec![
            format!("--config-file={}", self.account.display()).into(),
            "--driver-type=LAN_2_0".into(),
            format!("--hostname={}", self.config.address).into(),
            // The right to read sensors is a user's, the right to light a lamp an operator's.
            "--privilege-level=OPERATOR".into(),
            format!("--session-timeout={SESSION_MILLIS}").into(),
        ];
        if !self.config.workarounds.is_empty() {
            all.push(format!("--workaround-flags={}", self.config.workarounds.join(",")).into());
        }
        all.extend(args.iter().map(Into::into));
        let run = Run { program: &path, args: all, limit: LIMIT, output_max: OUTPUT_MAX };
        child::run(run).await.map_err(|source| BmcError::Program { program, source })
    }
}

fn good(program: &'static str, said: Said) -> Result<String, BmcError> {
    match said.rc {
        0 => Ok(said.stdout),
        _ => Err(BmcError::Said { program, words: words(&said.stderr, program) }),
    }
}

/// `ipmi-sensors: connection timeout` without the program's own name, which is told already.
fn words(stderr: &str, program: &str) -> String {
    let last = last_words(stderr);
    last.strip_prefix(program).and_then(|rest| rest.strip_prefix(": ")).map_or(last.clone(), str::to_owned)
}

/// FreeIPMI's files know no quotes: what it would misread is refused here, with the reason.
fn account_lines(config: &IpmiConfig) -> Result<String, BmcError> {
    let plain = |text: &str| {
        !text.is_empty()
            && !text.contains(|c: char| c.is_whitespace() || c.is_control() || "#\"'\\".contains(c))
    };
    if !plain(&config.user) || !plain(&config.password) {
        return Err(BmcError::Account(
            "FreeIPMI cannot read an account with spaces, quotes, # or \\ from a file; give the BMC another password",
        ));
    }
    Ok(format!("username {}\npassword {}\n", config.user, config.password))
}

/// Readable by us alone from its first byte on; complete or not there.
fn write_account(path: &Path, lines: &str) -> std::io::Result<()> {
    let new = path.with_extension("account.new");
    match std::fs::remove_file(&new) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(lines.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::model::observed::{PartKey, PartKind};

    fn config(password: &str) -> IpmiConfig {
        IpmiConfig {
            address: "127.0.0.1".into(),
            user: "pitlane".into(),
            password: password.into(),
            workarounds: Vec::new(),
            programs: None,
        }
    }

    #[test]
    fn the_account_is_ours_alone_and_what_freeipmi_would_misread_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        for password in ["two words", "hash#tag", "quo\"te", "back\\slash", ""] {
            assert!(Ipmi::new(&"pve1".into(), config(password), dir.path()).is_err(), "{password:?}");
        }
        let private = dir.path().join("bmc");
        // A second one, of a configuration that may yet be refused, leaves the first one's account alone and takes its own away.
        let running = Ipmi::new(&"pve1".into(), config("first"), &private).expect("a good account");
        let refused = Ipmi::new(&"pve1".into(), config("second"), &private).expect("a good account");
        let accounts = [running.account.clone(), refused.account.clone()];
        drop(refused);
        let mode = std::fs::metadata(&accounts[0]).expect("it is written").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let text = std::fs::read_to_string(&accounts[0]).expect("ours to read");
        assert_eq!(text, "username pitlane\npassword first\n");
        drop(running);
        assert!(accounts.iter().all(|path| !path.exists()), "{accounts:?}");
    }

    #[test]
    fn the_programs_own_name_is_told_once() {
        assert_eq!(words("ipmi-fru: connection timeout\n", "ipmi-fru"), "connection timeout");
    }

    /// A controller whose programs say this; `fru`: what `ipmi-fru` does.
    fn saying(dir: &Path, fru: &str) -> Ipmi {
        let programs = dir.join("bin");
        std::fs::create_dir_all(&programs).expect("writable");
        let sensors = "echo \"1,FAN1,Fan,Nominal,8000.00,RPM,'OK'\"";
        for (name, does) in [("ipmi-sensors", sensors), ("ipmi-fru", fru)] {
            let file = programs.join(name);
            std::fs::write(&file, format!("#!/bin/sh\n{does}\n")).expect("writable");
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("ours");
        }
        let config = IpmiConfig { programs: Some(programs), ..config("secret") };
        Ipmi::new(&"pve1".into(), config, &dir.join("private")).expect("a good account")
    }

    #[tokio::test]
    async fn one_device_that_cannot_be_read_does_not_silence_the_controller() {
        let dir = tempfile::tempdir().expect("a directory");
        let one = "echo 'FRU Inventory Device: PSU 1 (ID 03h)'; echo '  FRU Product Serial Number: P1'; \
                   echo 'FRU Inventory Device: PSU 2 (ID 04h)'; echo 'ipmi-fru: FRU read error' >&2; exit 1";
        let inventory = saying(dir.path(), one).inventory().await.expect("a list");
        let there: Vec<String> = inventory.parts.keys().map(ToString::to_string).collect();
        assert_eq!(there, ["fan FAN1", "board PSU 1", "board PSU 2"]);
        let serial = |slot| inventory.parts[&PartKey::new(PartKind::Board, slot)].serial.clone();
        assert_eq!((serial("PSU 1"), serial("PSU 2")), (Some("P1".to_owned()), None));
    }

    #[tokio::test]
    async fn a_controller_that_tells_no_device_at_all_is_not_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let silent = saying(dir.path(), "echo 'ipmi-fru: connection timeout' >&2; exit 1");
        let why = silent.inventory().await.expect_err("half a list is none");
        assert!(matches!(&why, BmcError::Said { program: "ipmi-fru", .. }), "{why}");
    }
}
