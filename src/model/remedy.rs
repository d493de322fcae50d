//! What a person can do about a wait: plain instructions, with the command where there is one.

use super::calendar::Shut;
use super::ids::{CaseId, NodeName};
use super::observed::GuestKind;
use super::rules::ProofCheck;
use super::wait::{BackupLack, Source, Wait};
use super::wait_text::list;

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
            CannotSee { source: Source::Survey, .. } => {
                "check that the members and the backup storage answer".into()
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
            SelfUnset => {
                "write self: {vmid: N}, {node: NAME} or {outside: true} into the configuration".into()
            }
            SelfOnNode { command: Some(command), .. } => format!("move it first: {command}; then ask again"),
            SelfOnNode { .. } => "run pitlane on another node, or outside of the cluster".into(),
            NeighbourSick { .. } => "know the risk: two nodes that fail are more than most clusters carry".into(),
            AutoRebalance => {
                "know that guests move meanwhile; the datacenter's option crs has ha-auto-rebalance".into()
            }
            ForeignMoves { .. } => {
                "wait until they are done; if no task runs, a lock was left behind: qm unlock ID as root".into()
            }
            MovedHere { .. } => "wait until it has arrived, and ask whoever moves it to leave this node alone".into(),
            UnlikeProcessor { guest, node, .. } => format!(
                "give guest {guest} a named processor model that both have, or an HA rule without {node}"
            ),
            OtherProcessor { .. } => {
                "know the risk, or give them a named processor model (qm set ID --cpu)".into()
            }
            HaBringsHome { guest, node, .. } => format!(
                "ha-manager set vm:{guest} --state stopped, and when the case is closed ha-manager migrate vm:{guest} {node}, then --state started; or end the maintenance by hand: ha-manager crm-command node-maintenance disable {node}"
            ),
            NoWayHome { .. } => {
                "know that they stay there until they are shut down, or give them a named processor model".into()
            }
            HiddenGuests { .. } => {
                "give the token a role with VM.Audit on /vms, also on deeper paths; or take what is gone out of HA".into()
            }
            CephMixedVersions { .. } => "finish the upgrade first: ceph versions".into(),
            NoStandbyMds { .. } => "add a metadata server on another node (pveceph mds create)".into(),
            BackupsUnseen { .. } => {
                "look at the backups by hand; a role with VM.Backup on /vms and Datastore.AllocateSpace on the backup storage lets pitlane list them, and whoever holds the token remove them".into()
            }
            NoGoodBackup { lack: BackupLack::Missing | BackupLack::Old, .. } => {
                "back them up now (vzdump), or know the risk".into()
            }
            NoGoodBackup { lack: BackupLack::AtRisk, .. } => {
                "back them up to a storage elsewhere (vzdump --storage), or know the risk".into()
            }
            NoGoodBackup { lack: BackupLack::Broken, .. } => {
                "back them up again, and look at the backup server's disks".into()
            }
            ReplicationUnseen { .. } => "look with pvesr status on the node".into(),
            ReplicationIll { .. } => "see pvesr status on the node; pvesr schedule-now JOB runs it at once".into(),
            ForeignMaintenance { node } => {
                format!("ask who asked for it; ha-manager crm-command node-maintenance disable {node}")
            }
            CameAboard { .. } => "move them away again; pitlane moves only what was planned".into(),
            ForeignFlag { flag } => format!("ask who set it; ceph osd unset {flag}"),
            NodesOut { .. } | DomainOut { .. } | SharedBudgetSpent { .. } => "wait until it is back, or raise the budget".into(),
            OneByOne { .. } => "nothing, the next turn decides".into(),
            Queued { .. } => "nothing, it is judged when a node may leave; pitlane check NODE judges it now".into(),
            TimeBoxTooShort { .. } => "raise respond.time_box, or set on_overrun: tell in the policy".into(),
            OutsideWindow(Shut { opens: Some(_), .. }) => {
                "nothing, it begins by itself then; to begin sooner, add also_open to the calendar, and pitlane reload".into()
            }
            OutsideWindow(Shut { calendar, needs, .. }) => {
                let which = if needs.is_some() { "a longer window" } else { "a window" };
                format!("give {calendar} {which} (open, also_open), and pitlane reload")
            }
            ClockUnsure => "mend the clock: chronyc tracking, here and on the members".into(),
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
            SecondPerson { hash, besides } => format!(
                "somebody other than {}: pitlane approve CASE --plan {}",
                list(besides),
                hash.short()
            ),
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
            Unproved { check: ProofCheck::AlertsClear, .. } => {
                "see that Alertmanager answers, and that no alarm of the node fires".into()
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
mod tests;
