//! Machines with networks of their own: each instance lives in a network namespace, with one cable to the database, one to the
//! cluster and one to whoever asks it something. A cable that is cut answers nothing at all, in both directions: what is sent goes to
//! a card that is not there. So nobody learns that somebody is gone, which is the hard case.
//!
//! All of it lies in namespaces that the test makes for itself and that the kernel removes with its first process, however that
//! one ends. Needs root.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// The test's own environment says that it is within.
const WITHIN: &str = "PITLANE_WITHIN";

/// Runs this test once more, in networks and with processes of its own; `None`: this is that run.
///
/// # Panics
/// When that run fails, with its words.
pub fn within_our_own(test: &str) -> Option<()> {
    if std::env::var_os(WITHIN).is_some() {
        return None;
    }
    let this = std::env::current_exe().expect("it runs");
    // Whoever ends this process ends the first one of the namespace, and the kernel all others with it. A shell is that first one:
    // it waits for children that nobody else waits for.
    let ran = Command::new("setpriv")
        .args([
            "--pdeathsig",
            "KILL",
            "--",
            "unshare",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "--",
        ])
        .args(["sh", "-c", "\"$@\"; exit $?", "sh"])
        .arg(this)
        .args(["--exact", test, "--nocapture"])
        .env(WITHIN, "1")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .expect("util-linux is there");
    let said = String::from_utf8_lossy(&ran.stdout);
    for line in said.lines().filter(|line| line.starts_with("seats: ")) {
        println!("{line}");
    }
    assert!(
        ran.status.success(),
        "within networks of its own (that needs root, util-linux and iproute2):\n{said}"
    );
    Some(())
}

/// What a cable leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cable {
    Database,
    Cluster,
    /// Whoever asks it something.
    Faces,
}

pub const CABLES: [Cable; 3] = [Cable::Database, Cable::Cluster, Cable::Faces];

impl Cable {
    fn name(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Cluster => "cluster",
            Self::Faces => "faces",
        }
    }

    /// The address at our end. All addresses are of loopback's range, so that nothing here is reachable from anywhere else, and what
    /// pitlane asks for beyond this machine (TLS) is not in the way.
    fn ours(self) -> &'static str {
        match self {
            Self::Cluster => "127.0.0.1",
            Self::Database => DATABASE,
            Self::Faces => "127.0.0.3",
        }
    }
}

/// Where the database is, by its own cable.
pub const DATABASE: &str = "127.0.0.2";

/// Before the first machine: loopback, and addresses of loopback's range on cables.
pub fn prepare() {
    batch(None, "link set lo up\n");
    for (of, value) in [("all/route_localnet", "1"), ("all/rp_filter", "0"), ("default/rp_filter", "0")] {
        std::fs::write(format!("/proc/sys/net/ipv4/conf/{of}"), value).expect("our own namespace");
    }
}

/// A machine's network; it lives as long as this.
pub struct Machine {
    /// Keeps the namespace while nothing else runs in it.
    holder: Child,
    number: usize,
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

impl Machine {
    /// `number`: one that no other machine of this test has, below 60 000.
    pub fn new(number: usize) -> Self {
        let mut holder = Command::new("unshare")
            // It says when it is in.
            .args(["--net", "--", "sh", "-c", "echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet && echo && exec sleep infinity"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("util-linux is there");
        let mut line = [0];
        let mut said = holder.stdout.take().expect("piped");
        std::io::Read::read_exact(&mut said, &mut line).expect("the namespace is made");
        let machine = Self { holder, number };
        let (mut here, mut there) = (String::new(), String::new());
        for cable in CABLES {
            let (end, ours, theirs) = (machine.end(cable), cable.ours(), machine.address(cable));
            let name = cable.name();
            here += &format!(
                "link add {end} address {} type veth peer name {name} address {} netns {}\nlink set {end} up\n\
                 route add {theirs}/32 dev {end} src {ours} table local\n",
                OUR_CARD,
                THEIR_CARD,
                machine.holder.id()
            );
            there += &format!(
                "link set {name} up\naddress add {theirs}/32 dev {name}\nroute add {ours}/32 dev {name} src {theirs} table local\n"
            );
        }
        batch(None, &here);
        batch(Some(&machine), &there);
        machine.heal(&CABLES);
        machine
    }

    /// In front of a program that shall run on it.
    pub fn enter(&self) -> [String; 3] {
        ["nsenter".to_owned(), format!("--net={}", self.namespace().display()), "--".to_owned()]
    }

    /// Where its service is reached.
    pub fn listens(&self) -> String {
        self.address(Cable::Faces)
    }

    /// Where the database sees it.
    pub fn asks_from(&self) -> String {
        self.address(Cable::Database)
    }

    /// From now on nothing comes through.
    pub fn cut(&self, cables: &[Cable]) {
        self.cards(cables, NO_CARD, NO_CARD);
    }

    pub fn heal(&self, cables: &[Cable]) {
        self.cards(cables, THEIR_CARD, OUR_CARD);
    }

    /// Which card each end sends to.
    fn cards(&self, cables: &[Cable], from_here: &str, from_there: &str) {
        let (mut here, mut there) = (String::new(), String::new());
        for &cable in cables {
            let (end, ours, theirs) = (self.end(cable), cable.ours(), self.address(cable));
            here += &format!("neighbour replace {theirs} lladdr {from_here} dev {end} nud permanent\n");
            there +=
                &format!("neighbour replace {ours} lladdr {from_there} dev {} nud permanent\n", cable.name());
        }
        batch(None, &here);
        batch(Some(self), &there);
    }

    fn namespace(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/net", self.holder.id()))
    }

    fn end(&self, cable: Cable) -> String {
        format!("{}{}", &cable.name()[..1], self.number)
    }

    fn address(&self, cable: Cable) -> String {
        let third = match cable {
            Cable::Cluster => 1,
            Cable::Database => 2,
            Cable::Faces => 3,
        };
        format!("127.{third}.{}.{}", self.number / 250, self.number % 250 + 1)
    }
}

const OUR_CARD: &str = "02:00:00:00:00:01";
const THEIR_CARD: &str = "02:00:00:00:00:02";
const NO_CARD: &str = "02:00:00:00:00:03";

fn batch(on: Option<&Machine>, lines: &str) {
    let before = on.map_or_else(Vec::new, |machine| machine.enter().to_vec());
    let words: Vec<&str> = before.iter().map(String::as_str).chain(["ip", "-batch", "-"]).collect();
    let mut ip = Command::new(words[0])
        .args(&words[1..])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{}: {e}; tests/lab/install adds iproute2", words[0]));
    ip.stdin.take().expect("piped").write_all(lines.as_bytes()).expect("it reads");
    let out = ip.wait_with_output().expect("ours");
    assert!(out.status.success(), "{lines}{}", String::from_utf8_lossy(&out.stderr));
}
