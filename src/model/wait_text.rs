//! Waits in words: what is in the way, and what a person can do about it.

use std::fmt;

use super::ids::{CaseId, GuestId, NodeName};
use super::observed::GuestKind;
use super::rules::ProofCheck;
use super::time::{in_days, to_the_second};
use super::wait::{Source, Wait};

/// `101, 102 and 103`; beyond eight the rest is counted.
pub fn list<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let all: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    match all.as_slice() {
        [] => "none".to_owned(),
        [one] => one.clone(),
        [first @ .., last] if all.len() <= 8 => format!("{} and {last}", first.join(", ")),
        _ => format!("{} and {} more", all[..8].join(", "), all.len() - 8),
    }
}

/// `3 guests`, `1 guest`, `no guests`.
pub fn count(n: usize, one: &str) -> String {
    match n {
        0 => format!("no {one}s"),
        1 => format!("1 {one}"),
        n => format!("{n} {one}s"),
    }
}

/// `OSD 3 is`, `OSDs 3 and 4 are`.
pub fn osds_are<T: fmt::Display>(ids: &[T]) -> String {
    match ids {
        [one] => format!("OSD {one} is"),
        all => format!("OSDs {} are", list(all)),
    }
}

fn guests(ids: &[GuestId]) -> String {
    format!("{} {}", if ids.len() == 1 { "guest" } else { "guests" }, list(ids))
}

fn blockers(all: &[(NodeName, String)]) -> String {
    all.iter().map(|(node, why)| format!("{node}: {why}")).collect::<Vec<_>>().join("; ")
}

/// More reasons than these are counted: most follow from the first.
const REASONS_TOLD: usize = 3;

fn first_of(reasons: &[Wait]) -> String {
    let told: Vec<String> = reasons.iter().take(REASONS_TOLD).map(Wait::to_string).collect();
    match reasons.len().saturating_sub(REASONS_TOLD) {
        0 => told.join("; "),
        more => format!("{}; and {more} more", told.join("; ")),
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Wait::*;
        match self {
            CannotSee { source, why } => write!(f, "cannot see {source}: {why}"),
            NoQuorum { member } => write!(f, "{member} has no quorum; what it shows may be old"),
            QuorumAfter { votes_left, votes_total } => {
                write!(f, "without the node {votes_left} of {votes_total} votes stay, which is no majority")
            }
            TwoNodesOnly => f.write_str("only one other member is online; nobody can confirm what it says"),
            NotAMember { node } => write!(f, "{node} is not a member of this cluster"),
            NodeOffline { node } => write!(f, "{node} is offline"),
            HaDisarmed => f.write_str("HA is disarmed"),
            HaDead { who } => write!(f, "{who} has not reported for more than 30 s"),
            HaNoCandidate { guest, why } => write!(f, "HA has no place for guest {guest}: {why}"),
            HaOverfills { guest, node, why } => {
                write!(
                    f,
                    "HA counts guests, not memory: it will put guest {guest} on {node}, which has no room ({why})"
                )
            }
            HaGuestInError { guest, state } => write!(f, "HA shows guest {guest} in state {state}"),
            HaRuleBroken { rule, text } => write!(f, "HA does not apply rule {rule}: {text}"),
            NoHand { what } => write!(f, "the root helper is not installed, so pitlane cannot {what}"),
            NoTarget { guest, blockers: all } => {
                write!(f, "no node can take guest {guest} ({})", blockers(all))
            }
            Unmovable { guest, why } => write!(f, "guest {guest} cannot move: {why}"),
            GuestLocked { guest, lock, .. } => write!(f, "guest {guest} is locked ({lock})"),
            BackupRunning { node } => write!(f, "a backup runs on {node}"),
            ForeignMove { guest } => write!(f, "somebody else is moving guest {guest}"),
            ContainerRestarts { guest } => write!(f, "container {guest} has to restart to move"),
            ShutsDown { guest } => {
                write!(f, "guest {guest} cannot move and will be shut down for the time of the work")
            }
            NoSpareFor { lost, guests: left } => {
                write!(f, "afterwards a loss of {lost} would leave {} without a place", guests(left))
            }
            NoPlan { why } => write!(f, "there is no plan that keeps all rules: {why}"),
            NoCanary => f.write_str("there is no canary: no running guest outside of HA moves live"),
            NoSpareQuorum { votes_left, votes_total } => write!(
                f,
                "with the node out, one more loss leaves {votes_left} of {votes_total} votes, which is no majority"
            ),
            CephNoQuorum { have, monitors } => write!(f, "Ceph has {have} of {monitors} monitors in quorum"),
            CephUnexpected { presence } => write!(f, "Ceph is not as declared: {presence}"),
            CephHealth { code, summary } => write!(f, "Ceph reports {code}: {summary}"),
            PgsUnclean { states } => write!(f, "placement groups are not clean: {states}"),
            NoStandbyMgr => f.write_str("Ceph has no standby manager on another node"),
            MonsAfter { left, monitors } => {
                write!(f, "without the node {left} of {monitors} monitors stay, which is no majority")
            }
            HostUnknown { node } => write!(f, "no CRUSH host can be matched to {node}"),
            OsdsDown { osds } => write!(f, "{} down or out", osds_are(osds)),
            NotOkToStop { host, bad_pgs } => {
                write!(f, "stopping all OSDs of {host} together would stop {bad_pgs} placement groups")
            }
            EmptyAnswer { host } => write!(f, "Ceph says yes for {host} but counted no placement group"),
            TooFewCopies { pool, have, need } => {
                write!(f, "pool {pool} would have {have} copies while it needs {need}")
            }
            NoSpareCopy { pool, have } => write!(f, "pool {pool} would have {have} copies and none to spare"),
            ForeignNoout { host } => {
                write!(f, "noout is already set on {host}, not by us; it stays when we are done")
            }
            ForeignFlag { flag } => write!(f, "Ceph's flag {flag} is set, not by us"),
            ForeignMaintenance { node } => {
                write!(f, "{node} is in HA maintenance already, not by us; it stays when we are done")
            }
            NodesOut { out, max } => write!(f, "already out: {} (at most {max} at once)", list(out)),
            DomainOut { domain, out } => write!(f, "{out} of the same failure domain {domain} is out"),
            DrainsToday { count: drains, max } => {
                let drains = count(*drains as usize, "drain");
                write!(f, "{drains} in the last 24 hours (at most {max})")
            }
            TimeBoxTooShort { needs, within } => {
                write!(f, "going and coming back take about {needs}, and the time box is {within}")
            }
            AttemptsSpent { node, count: times, max, within } => write!(
                f,
                "alarms took {node} out {times} times within {} (at most {max}), and it fails again",
                in_days(*within)
            ),
            ManyAlarm { nodes, max } => {
                write!(
                    f,
                    "{} alarm at once (more than {max}): looks like a room, a feed or a rule",
                    list(nodes)
                )
            }
            Correlated { class, nodes } => {
                write!(
                    f,
                    "{class} on {} at once: looks like a room or a feed, so none is drained",
                    list(nodes)
                )
            }
            ChannelOnNode { channel, node } => {
                write!(f, "the channel {channel} depends on {node} and falls silent with it")
            }
            MissingPrivilege { privilege, path } => write!(f, "our token lacks {privilege} on {path}"),
            ObserveOnly => f.write_str("mode observe: nothing is touched"),
            Approval { hash } => write!(f, "a person has to approve plan {}", hash.short()),
            OutsideApproval { guest } => write!(f, "moving guest {guest} is not part of what was approved"),
            PolicyGone { policy } => write!(f, "the policy {policy} is no longer there"),
            Paused { by } => write!(f, "paused by {by}"),
            Verdict { reasons } => write!(f, "may not leave now: {}", first_of(reasons)),
            NotInPlaceNow { reasons } => write!(f, "no disk may be taken out now: {}", first_of(reasons)),
            DiskUnknown { node, disk } => write!(
                f,
                "no disk of {node} is known as {disk}, so nobody can tell which OSDs it carries; a person has to decide"
            ),
            NoOsdOn { node, disk } => write!(
                f,
                "disk {disk} of {node} carries no OSD (a boot mirror, or local storage); a person has to decide"
            ),
            DiskElsewhere { osd, host } => write!(f, "OSD {osd} is on {host}, another host"),
            DisksNeeded { osds, bad_pgs } => {
                let all: Vec<String> = osds.iter().map(|osd| format!("OSD {osd}")).collect();
                write!(f, "taking out {} would stop {bad_pgs} placement groups", list(all))
            }
            OsdMissing { osds } => {
                write!(f, "{} not up and in, and no new one has come in its place", osds_are(osds))
            }
            ServedInPlace { node } => write!(
                f,
                "only disks are being served; {node} works on with its guests aboard and must not be switched off"
            ),
            DisksWithTechnician { osds } => {
                let all: Vec<String> = osds.iter().map(|osd| format!("OSD {osd}")).collect();
                write!(f, "the technician has {}; the node works on", list(all))
            }
            AlarmNotListed { fault } => {
                write!(
                    f,
                    "Alertmanager does not list {fault}, so the alarm that was delivered may be an old one"
                )
            }
            Unconfirmed { episodes, needed, steady_for } => {
                write!(f, "{episodes} of {needed} episodes seen, not yet steady for {steady_for}")
            }
            QuietButUnproved { why } => write!(f, "quiet, but nobody has seen that it is good: {why}"),
            MgrOnNode { mgr } => write!(f, "Ceph's active manager {mgr} is still on the node"),
            MaintenancePending => f.write_str("HA maintenance is asked for and not yet in effect"),
            NooutPending { host } => write!(f, "noout on {host} is not yet set"),
            GuestsAboard { guests: aboard } => write!(f, "still aboard: {}", guests(aboard)),
            FirstMoves { guests: first } => write!(f, "before anything else goes: {}", guests(first)),
            MoveFails { guest, tries, error } => {
                write!(f, "guest {guest} did not move in {tries} tries: {error}")
            }
            HaStuck { guest } => write!(f, "HA does not move guest {guest}"),
            SecondLook { since } => {
                write!(f, "seen empty at {}; a second look follows", to_the_second(*since))
            }
            Technician => f.write_str("the technician has the node"),
            CameAboard { guests: aboard } => write!(
                f,
                "{} came aboard after the hand-over; the machine must not be switched off",
                guests(aboard)
            ),
            HandsOff => f.write_str("called off; the technician has to leave the machine first"),
            NodeNotBack => f.write_str("the node has to come back online"),
            NoMemberAnyMore { node } => {
                write!(
                    f,
                    "{node} is no member of the cluster any more: removed, or installed anew under another name"
                )
            }
            Unproved { why, .. } => write!(f, "not proved yet: {why}"),
            Soaking { until } => write!(f, "all checks good; watched until {}", to_the_second(*until)),
            NooutStillSet { host } => write!(f, "noout on {host} is not yet cleared"),
            MaintenanceStillOn => f.write_str("HA maintenance is not yet off"),
            LocateStillOn { node } => write!(f, "the locate LED of {node} is not yet dark"),
            SilenceStillSet { node, until } => write!(
                f,
                "the silence for {node} in Alertmanager is not yet over; it ends by itself at {}",
                to_the_second(*until)
            ),
            GuestsNotHome { guests: away } => write!(f, "not yet home: {}", guests(away)),
            WorkOrderPending => f.write_str("the work order is not yet written"),
            WorkOrderCancelled { ticket } => write!(
                f,
                "work order {ticket} was cancelled in the ticket system; nobody said that the machine is left alone"
            ),
            SecondFailure { what, .. } => write!(f, "a second failure while the node is out: {what}"),
            StrandedGuests { guests: aboard } => write!(f, "the node died with {} aboard", guests(aboard)),
            EffectFails { effect, error } => write!(f, "{effect} failed: {error}"),
        }
    }
}

impl Wait {
    /// What a person can do about a case: its commands can be copied as they stand.
    pub fn remedy_for(&self, case: CaseId) -> String {
        self.remedy().replace("CASE", &case.to_string())
    }

    /// What a person can do. Plain instructions, with the command where there is one.
    pub fn remedy(&self) -> String {
        use Wait::*;
        match self {
            CannotSee { source: Source::Ceph | Source::OkToStop, .. } => {
                "check Ceph's monitors and pitlane's key".into()
            }
            CannotSee { source: Source::Hand, .. } => {
                "check the SSH key and that pitlane-hand is installed on the members".into()
            }
            CannotSee { source: Source::Alarms, .. } => {
                "check that every Alertmanager answers; pitlane drain NODE goes without it".into()
            }
            CannotSee { source: Source::Sensor, .. } => {
                "check the sensor's source and the policy's sensor query".into()
            }
            CannotSee { source: Source::Bmc, .. } => {
                "check the BMC and its account; pitlane accept CASE bmc (or led) --reason … goes on without it".into()
            }
            CannotSee { source: Source::WorkOrder, .. } => {
                "check the ticket system; a technician can say pitlane done CASE meanwhile".into()
            }
            CannotSee { .. } => "check that the members answer and that the token is valid".into(),
            NoQuorum { .. } | QuorumAfter { .. } => {
                "bring the missing members or the quorum device back first".into()
            }
            TwoNodesOnly => "bring another member online".into(),
            NotAMember { .. } => "write the name as /cluster/status spells it".into(),
            NodeOffline { .. } => "a node that is down cannot be drained; see to its guests with HA".into(),
            HaDisarmed => "ha-manager crm-command arm-ha, or POST /cluster/ha/status/arm-ha".into(),
            HaDead { .. } => "systemctl status pve-ha-crm pve-ha-lrm on that node".into(),
            HaNoCandidate { .. } | HaRuleBroken { .. } => {
                "change the HA rule, or make room on an allowed node".into()
            }
            HaOverfills { guest, node, .. } => format!(
                "make room on {node}, or give guest {guest} an HA rule with a node that has room, or set the datacenter's crs: ha=static"
            ),
            HaGuestInError { guest, .. } => {
                format!("ha-manager set {guest} --state disabled, mend it, then --state started")
            }
            NoHand { .. } => "install pitlane-hand on the members and configure hand:".into(),
            NoTarget { .. } => "free memory or vCPUs elsewhere, or shut the guest down".into(),
            Unmovable { .. } => {
                "detach the device, move the disk to shared storage, or shut the guest down".into()
            }
            GuestLocked { guest, lock, kind, node } if lock == "migrate" => {
                let place = node.as_ref().map_or_else(|| "its node".to_owned(), NodeName::to_string);
                let program = if *kind == Some(GuestKind::Lxc) { "pct" } else { "qm" };
                format!(
                    "only when neither {place} nor another member runs a migration of guest {guest} (task lists): {program} unlock {guest}, as root on {place}; then pitlane goes on"
                )
            }
            GuestLocked { .. } | BackupRunning { .. } | ForeignMove { .. } => "wait until it is done".into(),
            ContainerRestarts { .. } => "approve the plan, or set containers: restart in the policy".into(),
            ShutsDown { .. } => "approve the plan, or set immovable: block in the policy".into(),
            NoPlan { .. } => "report it, with the file of `pitlane explain`; move guests by hand meanwhile".into(),
            NoCanary => "approve the plan as it is, or set canary: false in the policy".into(),
            NoSpareFor { .. } | NoSpareQuorum { .. } => {
                "know the risk, or add capacity or a member first".into()
            }
            CephNoQuorum { .. } | MonsAfter { .. } => "bring the missing monitors back first".into(),
            CephUnexpected { .. } => "write ceph: {setup: none}, external or hyperconverged, as it is".into(),
            CephHealth { code, .. } => format!("mend it, or add {code} to limits.ceph_benign"),
            PgsUnclean { .. } => "wait until Ceph is clean".into(),
            NoStandbyMgr => "add a manager on another node".into(),
            HostUnknown { .. } => "check ceph osd tree and the OSDs' hostname".into(),
            OsdsDown { .. } => "bring them back first".into(),
            NotOkToStop { .. } | TooFewCopies { .. } => {
                "wait for recovery, or give the pool more copies".into()
            }
            EmptyAnswer { .. } => "look at ceph osd tree: are the host's OSDs up?".into(),
            NoSpareCopy { .. } => "know the risk: one more failure stops or loses data".into(),
            ForeignNoout { host } => format!("ask who set it; ceph osd unset-group noout {host}"),
            ForeignMaintenance { node } => {
                format!("ask who asked for it; ha-manager crm-command node-maintenance disable {node}")
            }
            CameAboard { .. } => "move them away again; pitlane moves only what was planned".into(),
            ForeignFlag { flag } => format!("ask who set it; ceph osd unset {flag}"),
            NodesOut { .. } | DomainOut { .. } => "wait until it is back, or raise the budget".into(),
            TimeBoxTooShort { .. } => "raise respond.time_box, or set on_overrun: tell in the policy".into(),
            AttemptsSpent { node, .. } => format!(
                "have the part replaced, or pitlane drain {node} --reason …: a person may take it out once more"
            ),
            DrainsToday { .. } => "wait, or raise budgets.drains_per_day_max".into(),
            Correlated { .. } => {
                "look at the room, the feed and the alert rule; a person may still drain".into()
            }
            ChannelOnNode { .. } => "add a page channel that does not live on this cluster".into(),
            ManyAlarm { .. } => "look at the room, the feed and the alert rule".into(),
            MissingPrivilege { privilege, path } => {
                format!("give the token a role with {privilege} on {path}")
            }
            ObserveOnly => "set mode: approve or mode: act when you trust it".into(),
            Approval { hash } => format!("pitlane approve CASE --plan {}", hash.short()),
            OutsideApproval { .. } => "look at the new plan and approve it".into(),
            PolicyGone { policy } => format!("put policies/{policy}.yaml back"),
            Paused { .. } => "pitlane resume".into(),
            Verdict { reasons } | NotInPlaceNow { reasons } => {
                reasons.first().map(Self::remedy).unwrap_or_default()
            }
            DiskUnknown { node, .. } | NoOsdOn { node, .. } => format!(
                "serve it by hand and pitlane abort the case, or pitlane drain {node} to empty the node first"
            ),
            DiskElsewhere { .. } => "correct the alert's node label, or the OSD's host in CRUSH".into(),
            DisksNeeded { .. } => "wait for recovery, or give the pool more copies".into(),
            OsdMissing { .. } => "bring it up, or make a new OSD on the new disk; ceph osd tree".into(),
            ServedInPlace { node } => format!("to switch it off, pitlane drain {node} first"),
            DisksWithTechnician { .. } => "pitlane done CASE when the disk is served".into(),
            AlarmNotListed { .. } => {
                "see whether it still fires, and alertmanager.receiver; pitlane drain NODE goes without it"
                    .into()
            }
            QuietButUnproved { .. } => "look at the part; pitlane abort CASE if it is well".into(),
            MoveFails { guest, .. } | HaStuck { guest } => {
                format!("read the task log of guest {guest} and mend the cause")
            }
            Unproved { check: ProofCheck::SensorsOk, .. } => {
                "see to the part, and to whoever reads it; pitlane accept CASE bmc --reason … goes on without a BMC".into()
            }
            Unproved { check: ProofCheck::OsdsUp, .. } => {
                "ceph osd tree; bring them up, or make new ones; if fewer are meant: pitlane accept CASE osds --reason …".into()
            }
            Unproved { check: ProofCheck::Inventory, .. } => {
                "put the part back, or mend what lists it; if it is meant: pitlane accept CASE PART (or bmc) --reason …".into()
            }
            Technician => "pitlane done CASE when the work is done".into(),
            HandsOff => "pitlane done CASE --hands-off when nobody works on the machine".into(),
            WorkOrderCancelled { .. } => {
                "ask who cancelled it; open it again there, or pitlane abort CASE, or pitlane done CASE"
                    .into()
            }
            NodeNotBack => "switch the node on".into(),
            NoMemberAnyMore { node } => format!(
                "join it to the cluster again as {node}; or pitlane retire CASE gives back what is held and closes"
            ),
            SecondFailure { .. } => {
                "look at the other node first; if it was switched off by mistake, switch it on again; pitlane abort CASE gives everything back".into()
            }
            StrandedGuests { .. } => {
                "let HA recover its guests; start the others by hand or bring the node back".into()
            }
            EffectFails { effect, .. } if effect.starts_with("work-order") => {
                "look at the ticket system; the board has the work order, and pitlane tries again".into()
            }
            EffectFails { effect, .. } if effect.starts_with("locate-off") => {
                "see the log; pitlane accept CASE led --reason … leaves the lamp as it is".into()
            }
            EffectFails { effect, .. } if effect == "silence-off" => {
                "see to Alertmanager, or wait: the silence ends by itself".into()
            }
            EffectFails { .. } => "see the log; pitlane tries again".into(),
            _ => "nothing; pitlane goes on by itself".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_about_a_case_name_it() {
        assert_eq!(Wait::Technician.remedy_for(CaseId(7)), "pitlane done 7 when the work is done");
    }
}
