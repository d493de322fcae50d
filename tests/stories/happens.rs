//! What happens in the world without pitlane: people, machines, weather.

use pitlane::model::ids::{GuestId, HostName, NodeName, OsdId, Upid};
use pitlane::model::observed::{HealthCheck, LocateTarget, Part, PartKey, PartKind};
use pitlane::model::step::Switch;
use pitlane::sim::World;
use pitlane::sim::world::{Actor, Bmc, Call, Cut, IllMove, Mishap};

use crate::setting::number;

/// What happens in the world without pitlane.
pub fn happens(world: &mut World, words: &[&str]) -> Result<(), String> {
    let guest = |word: &str| word.parse::<u32>().map(GuestId).map_err(|_| format!("{word} is not a guest"));
    let switch = |word: &str| if word == "on" { Switch::On } else { Switch::Off };
    match words {
        ["lacks", privilege] => {
            for granted in world.token.values_mut() {
                granted.remove(*privilege);
            }
        }
        ["technician", "closes", node] => world.technician_closes(&(*node).into()),
        ["technician", "inserts", osd, "on", host] => {
            let osd = OsdId(number(osd)? as u32);
            world.technician_inserts(&HostName::from(*host), osd, osd);
        }
        ["technician", "inserts", osd, "as", new, "on", host] => {
            let (osd, new) = (OsdId(number(osd)? as u32), OsdId(number(new)? as u32));
            world.technician_inserts(&HostName::from(*host), osd, new);
        }
        ["human", "purges", osd] => world.human_purges(OsdId(number(osd)? as u32)),
        // The chassis is closed, and the machine stays off.
        ["technician", "leaves", node] => {
            world.nodes.get_mut(&NodeName::from(*node)).ok_or("no such node")?.technician = false;
        }
        ["alertmanager", member, what] => {
            let member = number(member)? as usize;
            let member = member.checked_sub(1).and_then(|n| world.alertmanagers.get_mut(n));
            let member = member.ok_or("there is no such Alertmanager")?;
            match *what {
                "dies" => member.dead = true,
                // Its list is gone; whoever still alerts has to tell it again.
                "restarts" => (member.dead, member.listed) = (false, Default::default()),
                _ => return Err("dies or restarts".to_owned()),
            }
        }
        // In Alertmanager, by somebody there.
        ["human", "silences", node, "for", secs] => {
            let until = world.later(number(secs)?);
            world.human_silences(node, until);
        }
        ["human", what @ ("ends" | "changes"), "silence", node] => {
            let now = world.now;
            let mut set = world.silences.iter().filter(|(_, set)| set.node() == *node && set.ends_at > now);
            let id = set.next().map(|(id, _)| id.clone()).ok_or("there is no such silence")?;
            match *what {
                "ends" => world.end_silence(Actor::Human, &id),
                _ => world.human_changes_silence(&id, "CephOSDDown"),
            }
            .map_err(|t| t.to_string())?;
        }
        // The same silence, later: it keeps its name.
        ["human", "lengthens", "silence", node, "by", secs] => {
            let (now, secs) = (world.now, number(secs)?);
            let mut set = world.silences.values_mut().filter(|set| set.node() == *node && set.ends_at > now);
            let set = set.next().ok_or("there is no such silence")?;
            set.ends_at = pitlane::model::time::after(set.ends_at, std::time::Duration::from_secs(secs));
        }
        // Nobody keeps what Alertmanager kept.
        ["alertmanagers", "forget"] => world.silences.clear(),
        // In the ticket system, by somebody there.
        ["ticket", to, case] => {
            let case = pitlane::model::ids::CaseId(number(case)?);
            match *to {
                "done" => world.technician_claims_done(case),
                "cancelled" => world.human_cancels_order(case),
                "opened" => world.human_opens_order(case),
                _ => return Err("done, cancelled or opened".to_owned()),
            }
        }
        ["dies", node] => world.node_dies(&(*node).into()),
        ["boots", node] => world.node_boots(&(*node).into()),
        ["cut", node] => world.cut(&(*node).into(), Cut::Network),
        ["uncut", node] => world.heal_cut(&(*node).into()),
        ["human", "maintenance", to, node] => world.human_maintenance(&(*node).into(), switch(to)),
        ["human", "noout", to, host] => world.human_noout(&HostName::from(*host), switch(to)),
        ["human", "flag", flag, to] => world.human_flag(flag, switch(to)),
        // Its owner's word to HA: disabled, stopped, started or ignored.
        ["human", "ha", id, state] => {
            let id = guest(id)?;
            world.ha.resources.get_mut(&id).ok_or("HA has no such guest")?.requested = (*state).to_owned();
        }
        // Off for good, and taken out of the cluster: pvecm delnode.
        ["human", "removes", node] => world.human_removes(&(*node).into()),
        // Installed anew, and joined under this name, in the other one's hardware.
        ["human", "joins", node, "like", other] => {
            world.human_joins(&(*node).into(), &(*other).into()).map_err(str::to_owned)?;
        }
        // pitlane's own clock, and nobody else's.
        ["our-clock", secs] => world.our_clock = secs.parse().map_err(|_| "seconds?")?,
        ["human", "disarms"] => world.human_arms_ha(Switch::Off),
        ["human", "arms"] => world.human_arms_ha(Switch::On),
        ["human", "starts", id] => world.human_starts(guest(id)?),
        ["human", "stops", id] => world.human_stops(guest(id)?),
        ["human", "moves", id, "to", node] => {
            let id = guest(id)?;
            let row = world.guests.get(&id).ok_or("no such guest")?;
            let call = pitlane::sim::world::MigrateCall {
                guest: id,
                kind: row.kind,
                node: row.node.clone(),
                target: (*node).into(),
                online: row.aboard(),
                restart: row.aboard(),
                with_local_disks: false,
            };
            let via = call.target.clone();
            let _: Upid = world.migrate(Actor::Human, &via, &call).map_err(|r| format!("{r:?}"))?;
        }
        ["human", "deletes", id] => {
            let id = guest(id)?;
            if world.guests.get(&id).is_none_or(|guest| guest.lock.is_some()) {
                return Err("Proxmox deletes no guest that is locked".to_owned());
            }
            world.guests.remove(&id);
        }
        // The cluster's list leaves it out, and its node knows it all the same.
        ["unlisted", id] => drop(world.unlisted.insert(guest(id)?)),
        ["listed", id] => drop(world.unlisted.remove(&guest(id)?)),
        ["lock", id, lock] => world.set_lock(guest(id)?, Some(lock)),
        ["unlock", id] => world.set_lock(guest(id)?, None),
        ["backup", id, secs] => world.human_backs_up(guest(id)?, number(secs)?),
        ["osd", id, to @ ("fails" | "recovers")] => {
            world.set_osd_failed(OsdId(number(id)? as u32), *to == "fails");
        }
        ["mon", mon, to @ ("stops" | "starts")] => world.set_mon_stopped(mon, *to == "stops"),
        ["health", code, "gone"] => world.set_check(code, None),
        ["health", code, summary] => {
            let severity = "HEALTH_WARN".to_owned();
            world.set_check(
                code,
                Some(HealthCheck { severity, summary: (*summary).to_owned(), muted: false }),
            );
        }
        ["spoil-move", id, how] => {
            let how = match *how {
                "aborted" => IllMove::Aborted("storage 'ceph-vm' is not available on node".to_owned()),
                "problems" => IllMove::ProblemsAtSource,
                "stuck" => IllMove::StuckAtSource,
                "stopped-at-target" => IllMove::StoppedAtTarget,
                "killed" => IllMove::Killed,
                _ => return Err("aborted, problems, stuck, stopped-at-target or killed".to_owned()),
            };
            world.spoil_move(guest(id)?, how);
        }
        ["spoil", call, mishap, "for", secs] => {
            let call = Call::ALL.into_iter().find(|c| format!("{c:?}") == *call).ok_or("no such call")?;
            let until = world.later(number(secs)?);
            world.spoil_until(call, mishap_of(mishap)?, until);
        }
        ["spoil", call, mishap, "times", times] => {
            let call = Call::ALL.into_iter().find(|c| format!("{c:?}") == *call).ok_or("no such call")?;
            world.spoil(call, mishap_of(mishap)?, number(times)? as u32);
        }
        ["service", node, service, to] => world.set_service(&(*node).into(), service, *to == "runs"),
        ["bmc", node, to @ ("hangs" | "answers")] => bmc(world, node)?.hangs = *to == "hangs",
        // Out of the machine: its slot is empty, and whatever watches it lists nothing there.
        ["pulled", node, kind, slot] => {
            let key = part_key(kind, slot)?;
            let machine = world.machines.get_mut(&NodeName::from(*node)).ok_or("no such machine")?;
            let outside = machine.bmc.as_mut().and_then(|bmc| bmc.parts.parts.remove(&key));
            machine.inside.parts.remove(&key).or(outside).ok_or("no such part")?;
        }
        ["put-in", node, kind, slot, serial] => {
            let part = Part { serial: Some((*serial).to_owned()), good: Some(true), ..Part::default() };
            let (key, part) = (part_key(kind, slot)?, Part { text: "OK".to_owned(), ..part });
            // The running system lists cards, the BMC what it watches.
            if key.kind == PartKind::Nic {
                let machine = world.machines.get_mut(&NodeName::from(*node)).ok_or("no such machine")?;
                machine.inside.parts.insert(key, part);
            } else {
                bmc(world, node)?.parts.parts.insert(key, part);
            }
        }
        ["human", "locate", to, node] => {
            let (node, chassis) = ((*node).into(), LocateTarget::Chassis);
            world.locate(Actor::Human, &node, &chassis, switch(to)).map_err(|t| t.to_string())?;
        }
        ["restarts-pvedaemon", node] => world.restart_pvedaemon(&(*node).into()),
        ["clock", node, secs] => {
            let ahead = secs.parse().map_err(|_| "seconds?")?;
            world.nodes.get_mut(&NodeName::from(*node)).ok_or("no such node")?.clock_ahead = ahead;
        }
        _ => return Err("nothing of that kind can happen".to_owned()),
    }
    Ok(())
}

fn bmc<'a>(world: &'a mut World, node: &str) -> Result<&'a mut Bmc, String> {
    let machine = world.machines.get_mut(&NodeName::from(node));
    machine
        .and_then(|machine| machine.bmc.as_mut())
        .ok_or_else(|| "that machine has no BMC; write: bmc".to_owned())
}

fn part_key(kind: &str, slot: &str) -> Result<PartKey, String> {
    let kind = PartKind::ALL.into_iter().find(|known| known.to_string() == kind);
    kind.map(|kind| PartKey::new(kind, slot)).ok_or_else(|| "no such kind of part".to_owned())
}

fn mishap_of(word: &str) -> Result<Mishap, String> {
    Ok(match word {
        "unreachable" => Mishap::Unreachable,
        "refused" => Mishap::Refused("permission denied".to_owned()),
        "nonsense" => Mishap::Nonsense,
        "slow" => Mishap::Slow,
        "answer-lost" => Mishap::AnswerLost,
        _ => return Err("unreachable, refused, nonsense, slow or answer-lost".to_owned()),
    })
}
