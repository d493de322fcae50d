//! The journal's words: what an angry customer could be read aloud.

use std::fmt;

use super::ids::OsdId;
use super::note::Noted;
use super::notice::Urgency;
use super::time::{Period, in_days, to_the_second};
use super::wait_text::{count, list};

fn upper(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}

fn osds(ids: &[OsdId]) -> String {
    list(ids.iter().map(|id| format!("OSD {id}")))
}

fn called(nobody: bool) -> &'static str {
    if nobody { "Nobody is called, for notify.page is empty" } else { "A person is called" }
}

impl fmt::Display for Noted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Noted::*;
        match self {
            AlarmOpened { node, fault } => write!(f, "An alarm opens a case for {node}: {fault}."),
            PersonOpened { node, by, reason } => {
                write!(f, "{by} opens a case for {node}{}.", because(reason))
            }
            PersonJoined { by, reason } => write!(f, "{by} asks for the drain too{}.", because(reason)),
            FaultJoined { fault } => write!(f, "Another alarm joins the case: {fault}."),
            Steady { fault, spell } => write!(f, "Believed: {fault} has been failing for {spell}."),
            Flapping { fault, episodes, within } => {
                write!(f, "Believed: {fault} failed {episodes} times within {within}.")
            }
            CameAgain { fault, times, within, cases, enough } => {
                let before = list(cases.iter().map(|case| format!("case {case}")));
                write!(
                    f,
                    "{fault} fails again: {times} times within {}, and was served in {before}",
                    in_days(*within)
                )?;
                f.write_str(if *enough { "; the work order asks for replacement." } else { "." })
            }
            FalseAlarm { reading } => {
                write!(f, "A false alarm: quiet, and the sensor reads good ({reading}).")
            }

            Planned { moves, ha, stays, stops, hash } => {
                let (moves, ha, stays) =
                    (count(*moves, "guest"), count(*ha, "guest"), count(*stays, "guest"));
                write!(f, "Plan {}: {moves} to move, {ha} that HA moves, ", hash.short())?;
                if let Some(stops @ 1..) = stops {
                    write!(f, "{} to shut down, ", count(*stops, "guest"))?;
                }
                write!(f, "{stays} left aboard stopped.")
            }
            WouldDrain { moves, ha } => write!(
                f,
                "Would drain the node now ({} to move, {} that HA moves); mode observe touches nothing.",
                count(*moves, "guest"),
                count(*ha, "guest")
            ),
            Warned { wait } => write!(f, "Warning: {wait}."),
            Approved { by, hash } => write!(f, "{by} approves plan {}.", hash.short()),
            ApprovedToo { by, first, hash } => {
                write!(f, "{by} approves plan {} as the second person, after {first}.", hash.short())
            }
            ApprovalVoid { hash } => {
                write!(f, "The world changed; the approval of plan {} no longer holds.", hash.short())
            }
            Waits { wait } => write!(f, "Waits: {wait}."),
            Phase { to } => write!(f, "Now {to}."),

            PlannedInPlace { node, osds: ids, hash } => write!(
                f,
                "Plan {}: {} to be served in place, noout held on {node}; no guest moves.",
                hash.short(),
                osds(ids)
            ),
            WouldServe { osds: ids } => {
                write!(f, "Would have {} served in place now; mode observe touches nothing.", osds(ids))
            }
            ServiceBegins { node, osds: ids } => {
                write!(f, "{node} works on while {} is served; the service begins.", osds(ids))
            }
            HandedOverInPlace { node, osds: ids } => write!(
                f,
                "{} of {node}: the disk is the technician's now. The node works on and must not be switched off.",
                osds(ids)
            ),
            AlsoInPlace { disks } => write!(f, "To be served as well: {}.", list(disks)),
            CalledOffHalfway { by, reason } => write!(
                f,
                "{by} calls it off{}; the technician has a work order, so everything stays as it is until nobody works \
                 on the machine.",
                because(reason)
            ),
            CalledOffProving { by, reason } => write!(
                f,
                "{by} calls it off{}; the machine's own return is watched for a moment, then everything goes back.",
                because(reason)
            ),
            CalledOffInPlace { by, reason } => write!(
                f,
                "{by} calls it off{}; noout stays until nobody works on the machine.",
                because(reason)
            ),
            WantsWholeNode { fault } => {
                write!(f, "{fault} wants the whole node: the service in place becomes a drain, judged anew.")
            }
            ServedByPerson { by } => {
                write!(f, "{by} wants the whole node: the service in place becomes a drain, judged anew.")
            }
            OsdReplaced { gone, new } => {
                write!(f, "{} came in place of {}.", osds(new), osds(gone))
            }

            PartsListed { sources, blind } => {
                let listed = |(source, n): &(_, usize)| format!("{} from {source}", count(*n, "part"));
                write!(f, "On record before the work: {}", list(sources.iter().map(listed)))?;
                match blind.as_slice() {
                    [] => f.write_str("."),
                    all => {
                        let not = all.iter().map(|(source, why)| format!("{source} ({why})"));
                        write!(f, "; nothing from {}.", list(not))
                    }
                }
            }
            BeginsSooner { policy } => write!(
                f,
                "The policy {policy} believes an alarm of this case, too, and lets it begin at this hour."
            ),
            DrainBegins { node } => write!(f, "{node} may leave; the drain begins."),
            MgrFails { mgr } => write!(f, "Ceph's manager {mgr} hands over to another node."),
            MaintenanceAsked { node } => write!(f, "HA is asked to empty {node}."),
            NooutAsked { host } => {
                write!(f, "Ceph is asked for noout on {host}, to wait instead of copying.")
            }
            Leaves { guest, name, to, how } => write!(f, "Guest {guest} ({name}) leaves for {to}, {how}."),
            MakesRoom { guest, name, from, to } => {
                write!(f, "Guest {guest} ({name}) leaves {from} for {to}, live, to make room.")
            }
            Replanned { guest, name, from, to, why: Some(why) } => {
                write!(f, "Guest {guest} ({name}) will go to {to} instead of {from}: {why}.")
            }
            Replanned { guest, name, from, to, why: None } => {
                write!(
                    f,
                    "Guest {guest} ({name}) will go to {to} instead of {from}, for the sake of another."
                )
            }
            HaMoves { guest, name, to: Some(to) } => write!(f, "HA moves guest {guest} ({name}) to {to}."),
            HaMoves { guest, name, to: None } => write!(f, "HA moves guest {guest} ({name})."),
            ShutsDown { guest, name, why } => {
                write!(f, "Guest {guest} ({name}) is shut down, it cannot move: {why}.")
            }
            IsDown { guest, name } => write!(f, "Guest {guest} ({name}) is down."),
            Arrived { guest, name, node, took } => {
                write!(f, "Guest {guest} ({name}) has arrived on {node} within {took}.")
            }
            MoveFailed { guest, error } => write!(f, "Guest {guest} did not move: {error}."),
            MoveCancelled { guest, after } => {
                write!(f, "The move of guest {guest} is cancelled after {after}.")
            }
            CameBack { guest, name } => {
                write!(f, "Guest {guest} ({name}) is on the node again; it has to leave.")
            }
            MovedByOthers { guest, name, node } => write!(
                f,
                "Guest {guest} ({name}) was moved to {node} by somebody else; at the end it goes home with the others."
            ),
            GuestGone { guest, name } => {
                write!(f, "Guest {guest} ({name}) no longer exists; nobody waits for it.")
            }
            MaintenanceTaken { node } => {
                write!(f, "Somebody ended our HA maintenance of {node}; it is asked for again.")
            }
            NooutTaken { host } => write!(f, "Somebody cleared our noout on {host}; it is set again."),
            MaintenanceTheirs { node } => {
                write!(
                    f,
                    "Somebody else put {node} under HA maintenance, which was refused to us; it stays theirs."
                )
            }
            NooutTheirs { host } => {
                write!(f, "Somebody else set noout on {host}, which was refused to us; it stays theirs.")
            }
            NooutSetAgain { host } => {
                write!(f, "Somebody else set noout on {host} after ours was cleared; it stays theirs.")
            }
            Outgrown { guest } => {
                write!(f, "The plan does not hold for guest {guest}; the node is judged anew.")
            }
            Empty { node } => write!(f, "{node} is empty, seen twice."),
            Took { node, took } => write!(f, "The drain of {node} {took}."),

            HandedOver { node } => write!(f, "{node} is the technician's now."),
            WorkOrderAsked { title } => write!(f, "A work order is written: {title}."),
            WorkOrderWritten { ticket } => write!(f, "Work order {ticket} is open."),
            WorkOrderReopened { round, why } => {
                write!(f, "The work order is reopened (round {round}): {why}.")
            }
            WorkOrderAlso { fault } => write!(f, "The work order also names {fault} now."),
            WorkOrderWarned { what } => write!(f, "The work order says so, too: stop, {what}."),
            TakenUpAgain => f.write_str(
                "The work order was opened again in the ticket system: the technician has the node.",
            ),
            HandsOff { by } => write!(f, "{by} says that nobody works on the machine any more."),
            LocateAsked { node, target } => {
                write!(f, "The BMC is asked to light the locate LED of {node} ({target}).")
            }
            SilenceAsked { node, alertnames, lease } => write!(
                f,
                "Alertmanager is to hold back {} of {node}, for {lease} at a time.",
                list(alertnames)
            ),
            SilenceNotSet { node, error } => write!(
                f,
                "The silence for {node} in Alertmanager cannot be set: {error}. Nothing waits for it; it is tried again."
            ),
            SilenceLeft { node, changed: true } => {
                write!(f, "Somebody changed the silence for {node} in Alertmanager; it is theirs now.")
            }
            SilenceLeft { node, changed: false } => {
                write!(f, "Somebody ended the silence for {node} in Alertmanager; it is not set again.")
            }
            SilenceLapsed { node } => {
                write!(f, "The silence for {node} in Alertmanager has run out by itself.")
            }
            SilenceOutlives { node, until } => write!(
                f,
                "The silence for {node} cannot be ended, and somebody lengthened it to {}. Nothing waits for it any \
                 more; it is ended when Alertmanager answers again.",
                to_the_second(*until)
            ),
            ClaimedDone { by, note } => write!(f, "{by} says that the work is done{}.", because(note)),
            Cancelled { by, reason } => {
                write!(
                    f,
                    "{by} calls it off{}; guests wait until nobody works on the machine.",
                    because(reason)
                )
            }
            LastSafeAbort { within, ends, way_back, .. } => write!(
                f,
                "The latest safe abort: the way back takes about {way_back}, and the time box of {within} ends at {}.",
                to_the_second(*ends)
            ),
            Overrun { time_box } => {
                write!(f, "The time box of {time_box} is over and the case is still open.")
            }

            NodeBack { node } => write!(f, "{node} is online again."),
            PartReplaced { part, old, new } if old.is_empty() => {
                write!(f, "{} is a new one: {new}.", upper(&part.to_string()))
            }
            PartReplaced { part, old, new } => {
                write!(f, "{} was replaced: {new} instead of {old}.", upper(&part.to_string()))
            }
            PartAccepted { part, by, reason } => {
                write!(f, "{by} explains {part}{}; the proof goes on without it.", because(reason))
            }
            SourceGivenUp { source, by, reason } => {
                write!(f, "{by} goes on without {source}'s list of parts{}.", because(reason))
            }
            OsdsGivenUp { osds: ids, by, reason } => write!(
                f,
                "{by} explains that not all of {} come back{}; the proof goes on without them.",
                osds(ids),
                because(reason)
            ),
            ProofBegins { soak } => write!(f, "All checks are good; they have to stay so for {soak}."),
            ProofBroken { why, .. } => write!(f, "Not proved: {why}."),
            Proved { soak } => write!(f, "Proved: all checks stayed good for {soak}."),

            ReturnBegins { why } => write!(f, "Everything goes back: {why}."),
            ReturnStopped { fault } => write!(f, "The return stops: {fault} fails again."),
            Heals { by, host } => {
                write!(f, "{by} lets Ceph heal: noout on {host} goes back although OSDs are down.")
            }
            NooutReturned { host } => write!(f, "Ceph is asked to clear noout on {host}."),
            NooutGone { host } => write!(f, "noout on {host} is gone."),
            MaintenanceReturned { node } => write!(f, "HA is asked to take {node} back."),
            MaintenanceGone { node } => write!(f, "HA maintenance of {node} is over."),
            SilenceReturned { node } => write!(f, "The silence for {node} in Alertmanager is to end now."),
            SilenceGone { node } => write!(f, "The silence for {node} in Alertmanager is over."),
            LocateReturned { node, target } => write!(f, "The locate LED of {node} is put out ({target})."),
            LocateGone { node, target } => write!(f, "The locate LED of {node} is dark ({target})."),
            LocateLeft { node, target, why } => {
                write!(f, "The locate LED of {node} stays as it is ({target}): {why}.")
            }
            GoesHome { guest, name, how } => write!(f, "Guest {guest} ({name}) goes home, {how}."),
            HaBringsHome { guest, name } => write!(f, "HA brings guest {guest} ({name}) home."),
            Home { guest, name, took: Some(took) } => {
                write!(f, "Guest {guest} ({name}) is home within {took}.")
            }
            Home { guest, name, took: None } => write!(f, "Guest {guest} ({name}) is home, as it was."),
            StartedAgain { guest, name } => {
                write!(f, "Guest {guest} ({name}) was left stopped; it is started again.")
            }
            StaysAway { guest, name, why } => write!(f, "Guest {guest} ({name}) stays where it is: {why}."),
            StoppedByOwner { guest, name, node } => {
                write!(
                    f,
                    "Guest {guest} ({name}) was stopped on {node} by somebody else; it goes home stopped."
                )
            }
            StaysDown { guest, name, why } => {
                write!(f, "Guest {guest} ({name}) is home and stays down: {why}.")
            }
            WorkOrderClosed => f.write_str("The work order is closed."),
            Died { node, aboard } => write!(f, "{node} died with {} aboard.", count(*aboard, "guest")),
            Closed { ending, took, stay: 0 } => {
                write!(f, "Closed after {took}: {ending}. Nothing is owed.")
            }
            Closed { ending, took, stay } => write!(
                f,
                "Closed after {took}: {ending}. {} away from home; nothing else is owed.",
                count(*stay, "guest")
            ),

            Paged { fault, nobody } => write!(f, "{}: {fault}.", called(*nobody)),
            Recorded { fault } => write!(f, "Recorded: {fault}. Nothing is done about it."),
            Storm { class, nodes, nobody } => write!(
                f,
                "{}: {class} on {} at once looks like a room or a feed; none is drained for it.",
                called(*nobody),
                list(nodes)
            ),
            Blind { span, nobody } => {
                write!(f, "{}: the cluster has not been seen for {span}.", called(*nobody))
            }
            ChannelSilent { channel, error } => {
                write!(f, "Notices do not reach {channel}: {error}. It is tried on and on.")
            }
            BackupFails { error } => {
                write!(f, "Our own store could not be copied: {error}. It is tried on and on.")
            }
            WouldNotify { urgency: Urgency::Page, title } => {
                write!(f, "Would call a person: {title}; mode observe sends nothing.")
            }
            WouldNotify { urgency: Urgency::Tell, title } => {
                write!(f, "Would tell people: {title}; mode observe sends nothing.")
            }

            Remark { by, text } => write!(f, "{by} notes: {text}"),
            Refused { by, why } => write!(f, "A request by {by} is refused: {why}."),
            Paused { by, reason } => {
                write!(f, "{by} pulls the kill switch{}. Nothing new is begun.", because(reason))
            }
            ClockJumped { secs } => write!(
                f,
                "Our own clock jumped {} by {}: what was watched until now is watched anew.",
                if *secs < 0 { "back" } else { "forward" },
                Period::secs(secs.unsigned_abs())
            ),
            Resumed { by } => write!(f, "{by} releases the kill switch."),
        }
    }
}
