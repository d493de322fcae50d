//! Waits in words: what is in the way, and what a person can do about it.

use std::fmt;

use super::ids::{GuestId, NodeName};
use super::time::{in_days, to_the_second};
use super::wait::{BackupLack, ReplicationIllness, Wait};

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
            SelfUnset => f.write_str("nobody has said where pitlane itself runs, so it may be on this node"),
            SelfOnNode { node, command: Some(_) } => {
                write!(f, "pitlane itself is a guest on {node} and would be moved in the middle of its work")
            }
            SelfOnNode { node, command: None } => {
                write!(f, "pitlane itself runs on {node} and would be switched off with it")
            }
            NeighbourSick { node, class } => write!(f, "{node} is sick, too ({class})"),
            AutoRebalance => f.write_str("HA moves guests by itself to even the load (ha-auto-rebalance)"),
            ForeignMoves { guests: moved } => {
                write!(f, "somebody else moves {} on other nodes", guests(moved))
            }
            MovedHere { guest, node } => write!(f, "guest {guest} is on its way to {node}"),
            UnlikeProcessor { guest, node, why } => write!(
                f,
                "guest {guest} sees its node's own processor, and HA may move it to {node}, which is another one ({why})"
            ),
            OtherProcessor { guests: moved } => write!(
                f,
                "{} with cpu: host will run on another model of processor, which has all features of this one",
                guests(moved)
            ),
            NoWayHome { guests: moved } => write!(
                f,
                "{} with cpu: host may not come home while running: a processor elsewhere has more features than this one",
                guests(moved)
            ),
            HiddenGuests { guests: hidden } => write!(
                f,
                "HA manages {}, and the list that our token gets does not show it: there may be more",
                guests(hidden)
            ),
            CephMixedVersions { versions } => {
                write!(f, "Ceph's OSDs run {}: an upgrade is under way", list(versions))
            }
            NoStandbyMds { filesystems } => {
                write!(f, "no metadata server stands by on another node for {}", list(filesystems))
            }
            BackupsUnseen { why } => write!(f, "backups are not observable: {why}"),
            NoGoodBackup { guests: lacking, lack } => {
                let lacking = guests(lacking);
                match lack {
                    BackupLack::Missing => write!(f, "{lacking} without any backup"),
                    BackupLack::AtRisk => {
                        write!(f, "{lacking} with backups only on what would be lost with the guest")
                    }
                    BackupLack::Old => write!(f, "{lacking} with no backup that is young enough"),
                    BackupLack::Broken => {
                        write!(f, "{lacking} with a newest backup that was verified and found broken")
                    }
                }
            }
            ReplicationUnseen { why } => write!(f, "replication is not observable: {why}"),
            ReplicationIll { guests: ill_ones, ill } => {
                let of = guests(ill_ones);
                match ill {
                    ReplicationIllness::Failing => write!(f, "replication of {of} fails"),
                    ReplicationIllness::Late => write!(f, "replication of {of} is late"),
                    ReplicationIllness::Off => write!(f, "replication of {of} is configured and not running"),
                }
            }
            ForeignMaintenance { node } => {
                write!(f, "{node} is in HA maintenance already, not by us; it stays when we are done")
            }
            SharedBudgetSpent { budget, out, max } => {
                let out = out.iter().map(|(cluster, node)| format!("{node} of {cluster}"));
                write!(f, "budget {budget}: already out: {} (at most {max} at once)", list(out))
            }
            OneByOne { first } => write!(f, "{first} begins in this turn, and one begins after the other"),
            Queued { before } => write!(f, "{} before it", count(*before, "case")),
            NodesOut { out, max } => write!(f, "already out: {} (at most {max} at once)", list(out)),
            DomainOut { domain, out } => write!(f, "{out} of the same failure domain {domain} is out"),
            DrainsToday { count: drains, max } => {
                let drains = count(*drains as usize, "drain");
                write!(f, "{drains} in the last 24 hours (at most {max})")
            }
            TimeBoxTooShort { needs, within } => {
                write!(f, "going and coming back take about {needs}, and the time box is {within}")
            }
            OutsideWindow(shut) => shut.fmt(f),
            ClockUnsure => f.write_str(
                "our clock and the members' do not agree, so nobody can say whether the calendar is open",
            ),
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
            SecondPerson { hash, besides } => {
                write!(
                    f,
                    "a second person, other than {}, has to approve plan {}",
                    list(besides),
                    hash.short()
                )
            }
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
            HaBringsHome { guest, node, why } => write!(
                f,
                "without maintenance HA would bring guest {guest} to {node} at once, live; it sees its node's own processor, and {why}"
            ),
            GuestMissing { guest } => {
                write!(f, "guest {guest} is in no list; it is looked for again before it is given up")
            }
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
