//! The first lines of a script: the world, what lies on it, and the rules.

use pitlane::model::ids::GuestId;
use pitlane::model::notice::ChannelHome;
use pitlane::model::observed::Affinity;
use pitlane::model::rules::{
    AlarmsSetup, Attempts, CephSetup, ContainerPolicy, Correlate, HandSetup, ImmovablePolicy, Memory, Mode,
    NPlusOne, OnOverrun, Policy, Response, Rules, Scope,
};
use pitlane::model::silence::SilenceRules;
use pitlane::sim::World;
use pitlane::sim::world::{Builder, GIB};

use crate::script::Script;

/// The world and the rules of the story.
pub fn setting(script: &Script) -> Result<(World, Rules), String> {
    let mut builder: Option<Builder> = None;
    let mut rules = Rules {
        mode: Mode::Act,
        policies: shipped(),
        mapping: Default::default(),
        ceph: CephSetup::None,
        hand: HandSetup::Installed,
        alarms: Default::default(),
        budgets: Default::default(),
        limits: Default::default(),
        packing: Default::default(),
        notify: Default::default(),
        own: pitlane::model::rules::OwnHome::outside(),
        silences: None,
        shared: None,
    };
    for line in &script.setting {
        let words: Vec<&str> = line.iter().map(String::as_str).collect();
        builder = match (words.as_slice(), builder.take()) {
            (["nodes", n], _) => Some(World::builder(u32::try_from(number(n)?).map_err(|e| e.to_string())?)),
            (["nodes", n, "gib", gib], _) => {
                let nodes = u32::try_from(number(n)?).map_err(|e| e.to_string())?;
                Some(World::builder(nodes).node_gib(number(gib)?))
            }
            (rest, Some(builder)) => {
                Some(scene(rest, builder, &mut rules).map_err(|why| format!("{}: {why}", line.join(" ")))?)
            }
            (_, None) => return Err("a script begins with: nodes N".to_owned()),
        };
    }
    Ok((builder.ok_or("a script begins with: nodes N")?.build(), rules))
}

fn shipped() -> Vec<Policy> {
    let mut mistakes = pitlane::config::Mistakes::default();
    let mut policies = pitlane::config::policy::load(None, &mut mistakes);
    for policy in &mut policies {
        policy.respond.mode = Mode::Act;
    }
    policies
}

fn scene(words: &[&str], builder: Builder, rules: &mut Rules) -> Result<Builder, String> {
    if let Some(told) = crate::hours::hours(words, rules) {
        return told.map(|()| builder);
    }
    let id = |word: &str| word.parse::<u32>().map_err(|_| format!("{word} is not a guest"));
    let ids = |words: &[&str]| words.iter().map(|w| id(w)).collect::<Result<Vec<u32>, String>>();
    Ok(match words {
        ["ceph", osds] => {
            rules.ceph = CephSetup::Hyperconverged;
            builder.ceph(u32::try_from(number(osds)?).map_err(|e| e.to_string())?)
        }
        [kind @ ("vm" | "ct" | "stopped"), guest, "on", node, details @ ..] => {
            guest_in(kind, id(guest)?, node, details, builder)?
        }
        ["begins", at] => builder.at(at.parse().map_err(|why| format!("{why}"))?),
        // Every machine has a BMC that pitlane may ask.
        ["bmc"] => builder.bmcs(),
        ["move-within", within] => {
            let within = within.parse().map_err(|why| format!("{why}"))?;
            rules.policies.iter_mut().for_each(|p| p.respond.move_within = Some(within));
            builder
        }
        ["canary"] => {
            rules.policies.iter_mut().for_each(|p| p.respond.canary = true);
            builder
        }
        ["time-box", within] => {
            let within = within.parse().map_err(|why| format!("{why}"))?;
            rules.policies.iter_mut().for_each(|p| p.respond.time_box = within);
            builder
        }
        ["on-overrun", "back-out"] => {
            rules.policies.iter_mut().for_each(|p| p.respond.on_overrun = OnOverrun::BackOut);
            builder
        }
        // So many returns of one part within so long, and it is to be replaced.
        ["memory", returns, "within", within] => {
            let within = within.parse().map_err(|why| format!("{why}"))?;
            let returns = u32::try_from(number(returns)?).map_err(|e| e.to_string())?;
            rules.policies.iter_mut().for_each(|p| p.memory = Memory { returns, within });
            builder
        }
        ["budget", "attempts", max, "within", within] => {
            let within = within.parse().map_err(|why| format!("{why}"))?;
            let max = u32::try_from(number(max)?).map_err(|e| e.to_string())?;
            rules.budgets.attempts_per_node = Some(Attempts { max, within });
            builder
        }
        ["locate"] => {
            rules.policies.iter_mut().for_each(|p| p.respond.locate = true);
            builder
        }
        // Alertmanager is asked, too: one, or a pair.
        ["alertmanagers", members] => {
            rules.alarms = AlarmsSetup::Polled;
            let members = number(members)? as usize;
            builder.with(move |world| world.alertmanagers.resize_with(members, Default::default))
        }
        // What the work itself raises is silenced, so long at a time.
        ["silences", lease, alertnames @ ..] => {
            rules.silences = Some(SilenceRules {
                cluster_label: None,
                cluster: "lab".to_owned(),
                lease: lease.parse().map_err(|why| format!("{why}"))?,
                label: "node".to_owned(),
                alertnames: alertnames.iter().map(|name| (*name).to_owned()).collect(),
            });
            builder
        }
        ["no-hand"] => {
            rules.hand = HandSetup::Absent;
            builder.no_hand()
        }
        ["mode", mode] => {
            rules.mode = mode_of(mode)?;
            builder
        }
        ["containers", "restart"] => {
            rules.policies.iter_mut().for_each(|p| p.respond.containers = ContainerPolicy::Restart);
            builder
        }
        // The last line of a setting: the guests that cannot move are those that are there by then.
        ["immovable", "shut-down"] => {
            rules.policies.iter_mut().for_each(|p| p.respond.immovable = ImmovablePolicy::ShutDown);
            builder.with(|world| {
                let bound =
                    world.guests.iter().filter(|(_, g)| !g.devices.is_empty() || g.local_cdrom.is_some());
                let bound: Vec<_> = bound.map(|(id, _)| *id).collect();
                world.safety.may_shut_down.extend(bound);
            })
        }
        // A node that is unlike the others; a guest set beyond what a builder checks.
        ["size", node, "gib", gib] => {
            let (node, gib) = (pitlane::model::ids::NodeName::from(*node), number(gib)?);
            builder.with(move |world| {
                if let Some(node) = world.nodes.get_mut(&node) {
                    node.memory = gib * GIB;
                }
            })
        }
        ["channels", page, tell] => {
            rules.notify.page = vec![(*page).into()];
            rules.notify.tell = vec![(*tell).into()];
            builder
        }
        ["channel", name, "in", guest] => {
            rules.notify.homes.insert((*name).into(), ChannelHome::Guest(GuestId(id(guest)?)));
            builder
        }
        ["action", action] => {
            let action = match *action {
                "page" => Response::Page,
                "record" => Response::Record,
                _ => return Err("page or record".to_owned()),
            };
            rules.policies.iter_mut().for_each(|p| p.respond.action = action);
            builder
        }
        // The parts that alarms are about: the fan's policy, under another name.
        ["class", class] => {
            let policy =
                rules.policies.iter_mut().find(|p| p.name.as_str() == "fan").ok_or("no policy fan")?;
            policy.class = (*class).to_owned();
            policy.matchers =
                vec![format!("alarm_class=\"{class}\"").parse().map_err(|why| format!("{why}"))?];
            builder
        }
        ["correlate", nodes, "within", within, scope] => {
            let scope = match *scope {
                "cluster" => Scope::Cluster,
                "domain" => Scope::Domain,
                _ => return Err("cluster or domain".to_owned()),
            };
            let within = within.parse().map_err(|why| format!("{why}"))?;
            let nodes = u32::try_from(number(nodes)?).map_err(|e| e.to_string())?;
            let correlate = Correlate { nodes, within, scope };
            rules.policies.iter_mut().for_each(|p| p.correlate = Some(correlate.clone()));
            builder
        }
        ["soak", soak] => {
            let soak = soak.parse().map_err(|why| format!("{why}"))?;
            rules.policies.iter_mut().for_each(|p| p.prove.soak = soak);
            builder
        }
        ["second-person"] => {
            rules.policies.iter_mut().for_each(|p| p.respond.second_person = true);
            builder
        }
        ["n-plus-one", "required"] => {
            rules.packing.n_plus_one = NPlusOne::Required;
            builder
        }
        ["budget", "nodes", n] => {
            let max = number(n)?;
            rules.budgets.nodes_out_max = u32::try_from(max).map_err(|e| e.to_string())?;
            builder.with(|world| world.safety.nodes_out_max = max as usize)
        }
        ["budget", "drains", n] => {
            rules.budgets.drains_per_day_max = u32::try_from(number(n)?).map_err(|e| e.to_string())?;
            builder
        }
        ["budget", "domain", name, nodes @ ..] => {
            rules.budgets.domains.extend(nodes.iter().map(|node| ((*node).into(), (*name).to_owned())));
            builder
        }
        ["apart", rule, guests @ ..] => builder.guest_rule(rule, Affinity::Apart, &ids(guests)?),
        ["together", rule, guests @ ..] => builder.guest_rule(rule, Affinity::Together, &ids(guests)?),
        ["strict", rule, guest, "on", nodes @ ..] => {
            let nodes: Vec<(&str, i64)> = nodes.iter().map(|n| (*n, 0)).collect();
            builder.node_rule(rule, &[id(guest)?], &nodes, true)
        }
        ["prefers", rule, guest, "on", nodes @ ..] => {
            let nodes: Vec<(&str, i64)> = nodes.iter().map(|n| (*n, 0)).collect();
            builder.node_rule(rule, &[id(guest)?], &nodes, false)
        }
        ["pool", name, "size", size, "min", min] => {
            let (size, min) = (number(size)? as u32, number(min)? as u32);
            let kind = pitlane::model::observed::PoolKind::Replicated;
            builder.pools(vec![pitlane::sim::world::build::pool(name, kind, size, min, "host")])
        }
        ["lacks", privilege] => {
            let privilege = (*privilege).to_owned();
            builder.with(|world| {
                for granted in world.token.values_mut() {
                    granted.remove(&privilege);
                }
            })
        }
        other => crate::estate::scene(other, builder, rules)?,
    })
}

type Change = Box<dyn Fn(&mut pitlane::sim::world::Guest)>;

fn guest_in(kind: &str, id: u32, node: &str, details: &[&str], builder: Builder) -> Result<Builder, String> {
    let mut ha = false;
    let mut rest = details.iter();
    let mut changes: Vec<Change> = Vec::new();
    while let Some(word) = rest.next() {
        let mut next = || rest.next().copied().ok_or_else(|| format!("{word} what?"));
        match *word {
            "ha" => ha = true,
            "noboot" => changes.push(Box::new(|g| g.onboot = false)),
            "template" => changes.push(Box::new(|g| g.template = true)),
            "deaf" => changes.push(Box::new(|g| g.deaf = true)),
            "gib" => {
                let gib = number(next()?)?;
                changes.push(Box::new(move |g| (g.memory, g.memory_used) = (gib * GIB, gib * GIB / 2)));
            }
            "cpus" => {
                let cpus = number(next()?)? as u32;
                changes.push(Box::new(move |g| g.cpus = cpus));
            }
            "dirty" => {
                let dirty = number(next()?)? << 20;
                changes.push(Box::new(move |g| g.dirty = dirty));
            }
            "disk" => {
                let bytes = number(next()?)? * GIB;
                let volume = format!("local-lvm:vm-{id}-disk-0");
                changes.push(Box::new(move |g| {
                    g.local_disks.insert(volume.clone(), bytes);
                }));
            }
            "device" => {
                let device = next()?.to_owned();
                changes.push(Box::new(move |g| g.devices.push(device.clone())));
            }
            "cdrom" => {
                let image = next()?.to_owned();
                changes.push(Box::new(move |g| g.local_cdrom = Some(image.clone())));
            }
            "lock" => {
                let lock = next()?.to_owned();
                changes.push(Box::new(move |g| g.lock = Some(lock.clone())));
            }
            _ => return Err(format!("{word} is no property of a guest")),
        }
    }
    let lxc = kind == "ct";
    let stopped = kind == "stopped";
    let builder = builder.guest(id, node, |guest| {
        if lxc {
            guest.kind = pitlane::model::observed::GuestKind::Lxc;
            guest.name = format!("ct{id}");
        }
        if stopped {
            guest.run = pitlane::sim::world::Run::Stopped;
        }
        for change in &changes {
            change(guest);
        }
    });
    Ok(if ha { builder.ha(&[id]) } else { builder })
}

pub fn number(word: &str) -> Result<u64, String> {
    word.parse().map_err(|_| format!("{word} is not a number"))
}

pub fn mode_of(word: &str) -> Result<Mode, String> {
    match word {
        "observe" => Ok(Mode::Observe),
        "approve" => Ok(Mode::Approve),
        "act" => Ok(Mode::Act),
        _ => Err("observe, approve or act".to_owned()),
    }
}
