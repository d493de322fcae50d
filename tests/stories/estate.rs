//! Lines of a setting about what the verdict looks at beside guests and room: backups, replication, processors, versions,
//! metadata servers, and where pitlane itself runs.
//!
//! ```text
//! store nas kind nfs [own] [server 10.0.0.1] [hangs]     a storage for backups; `own`: each node has its own
//! backup 101 on nas aged 5d [broken | unverified]        the nightly job does not know this guest; this it has
//! no-backup 101
//! replicates 101 to pve3 behind 5m [failing 3 | off]     or: behind never
//! processor pve3 lacks avx2                              or: is "AMD EPYC 9004"; runs 9.1.4
//! cpu host 101
//! osd 5 runs 19.2.0
//! mds pve2 serves cephfs                                 or: mds pve3
//! ec-pool cold data 4 size 6 min 5 over osd
//! self unset                                             or: node pve2; guest 101; like 101 (by its network card)
//! ```

use pitlane::model::ids::{GuestId, NodeName, OsdId};
use pitlane::model::observed::{GuestKind, PoolKind, Replica};
use pitlane::model::rules::{Declared, Required, Rules};
use pitlane::model::time::{Period, Time};
use pitlane::sim::World;
use pitlane::sim::world::Builder;
use pitlane::sim::world::backups::{BackupStore, Kept, mac};

use crate::setting::number;

pub fn scene(words: &[&str], builder: Builder, rules: &mut Rules) -> Result<Builder, String> {
    let id = |word: &str| word.parse::<u32>().map(GuestId).map_err(|_| format!("{word} is not a guest"));
    match words {
        ["require-backup"] => {
            rules.limits.recovery.required = Required::Yes;
            Ok(builder)
        }
        ["restore-rate", "mib", mib] => {
            rules.limits.recovery.restore_rate = Some(number(mib)? << 20);
            Ok(builder)
        }
        ["self", "unset"] => {
            rules.own.declared = Declared::Unset;
            Ok(builder)
        }
        ["self", "node", node] => {
            rules.own.declared = Declared::Node((*node).into());
            Ok(builder)
        }
        ["self", "guest", guest] => {
            rules.own.declared = Declared::Guest(id(guest)?);
            Ok(builder)
        }
        // Whatever is declared: the machine that we run on has this guest's network card.
        ["self", "like", guest] => {
            rules.own.macs.insert(mac(id(guest)?, GuestKind::Qemu));
            Ok(builder)
        }
        _ => {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            let mut told = Ok(());
            let builder = builder.with(|world| told = in_world(world, &words));
            told.map(|()| builder)
        }
    }
}

/// The same words may be an event: a world changes.
pub fn in_world(world: &mut World, words: &[String]) -> Result<(), String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let id = |word: &str| word.parse::<u32>().map(GuestId).map_err(|_| format!("{word} is not a guest"));
    match words.as_slice() {
        ["store", name, "kind", kind, details @ ..] => {
            let (mut store, mut rest) = (store(kind), details.iter());
            while let Some(word) = rest.next() {
                match *word {
                    "own" => store.shared = false,
                    "hangs" => store.hangs = true,
                    "server" => store.server = rest.next().map(|server| (*server).to_owned()),
                    _ => return Err(format!("{word} is no property of a storage")),
                }
            }
            world.backups.stores.insert((*name).to_owned(), store);
        }
        ["store", name, state @ ("hangs" | "answers")] => {
            world.backups.stores.get_mut(*name).ok_or("no such storage")?.hangs = *state == "hangs";
        }
        ["no-backup", guest] => {
            world.backups.odd.insert(id(guest)?, Vec::new());
        }
        ["backup", guest, "on", store, "aged", aged, rest @ ..] => {
            let verified = match rest {
                [] => Some(true),
                ["broken"] => Some(false),
                ["unverified"] => None,
                _ => return Err("broken or unverified".to_owned()),
            };
            let kept = Kept { store: (*store).to_owned(), at: before(world, aged)?, verified };
            world.backups.odd.entry(id(guest)?).or_default().push(kept);
        }
        ["replicates", guest, "to", target, "behind", behind, rest @ ..] => {
            let synced = if *behind == "never" { None } else { Some(before(world, behind)?) };
            let (failed, disabled) = match rest {
                [] => (0, false),
                ["failing", times] => (number(times)? as u32, false),
                ["off"] => (0, true),
                _ => return Err("failing or off".to_owned()),
            };
            let guest = id(guest)?;
            world.backups.jobs.push(Replica {
                job: format!("{guest}-0"),
                guest,
                target: Some((*target).into()),
                disabled,
                synced,
                failed,
                error: (failed > 0).then(|| "no route to host".to_owned()),
            });
        }
        ["processor", node, what, value] => {
            let node = world.nodes.get_mut(&NodeName::from(*node)).ok_or("no such node")?;
            match *what {
                "lacks" => drop(node.machine.flags.remove(*value)),
                "is" => node.machine.model = (*value).to_owned(),
                "runs" => node.version = (*value).to_owned(),
                _ => return Err("lacks, is or runs".to_owned()),
            }
        }
        ["cpu", cpu, guest] => {
            world.guests.get_mut(&id(guest)?).ok_or("no such guest")?.cpu = Some((*cpu).to_owned());
        }
        ["osd", osd, "runs", version] => {
            let ceph = world.ceph.as_mut().ok_or("no Ceph")?;
            ceph.versions.insert(OsdId(number(osd)? as u32), (*version).to_owned());
        }
        ["mds", node, rest @ ..] => {
            let serves = match rest {
                [] => None,
                ["serves", filesystem] => Some((*filesystem).to_owned()),
                _ => return Err("serves what?".to_owned()),
            };
            world.ceph.as_mut().ok_or("no Ceph")?.mds.insert((*node).into(), serves);
        }
        ["ec-pool", name, "data", data, "size", size, "min", min, "over", domain] => {
            let kind = PoolKind::Erasure { data: number(data)? as u32 };
            let (size, min) = (number(size)? as u32, number(min)? as u32);
            let pool = pitlane::sim::world::build::pool(name, kind, size, min, domain);
            world.ceph.as_mut().ok_or("no Ceph")?.pools.push(pool);
        }
        ["auto-rebalance"] => world.ha.auto_rebalance = true,
        // A role on the guest itself replaces what came from above.
        ["hides", guest] => {
            world.token.insert(format!("/vms/{}", id(guest)?), ["VM.Migrate".to_owned()].into());
        }
        _ => return Err("no such thing in a world".to_owned()),
    }
    Ok(())
}

fn store(kind: &str) -> BackupStore {
    BackupStore { kind: kind.to_owned(), shared: true, server: None, hangs: false }
}

fn before(world: &World, span: &str) -> Result<Time, String> {
    let span: Period = span.parse().map_err(|why| format!("{why}"))?;
    let span = jiff::SignedDuration::try_from(span.0).map_err(|why| why.to_string())?;
    Ok(world.now - span)
}
