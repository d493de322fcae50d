//! What would have happened if a check of the verdict had not been there: for the report, where somebody asks why a node
//! was kept waiting.

use super::wait::Wait;

impl Wait {
    /// In plain words; `None` where nothing more can be said than the reason itself.
    pub fn would_have(&self) -> Option<&'static str> {
        use Wait::*;
        Some(match self {
            CannotSee { .. } | NoQuorum { .. } | EmptyAnswer { .. } | HostUnknown { .. } => {
                "the node would have been emptied without knowing whether that is safe"
            }
            QuorumAfter { .. } | TwoNodesOnly => {
                "the others would have lost their majority: HA would have fenced them, and every guest would have stopped"
            }
            HaDisarmed
            | HaDead { .. }
            | HaNoCandidate { .. }
            | HaGuestInError { .. }
            | HaRuleBroken { .. } => {
                "HA would not have moved its guests, and they would have been switched off with the node"
            }
            HaOverfills { .. } | NoTarget { .. } => {
                "a node would have got more guests than it has memory for, and its kernel would have killed some"
            }
            Unmovable { .. } | ContainerRestarts { .. } | ShutsDown { .. } => {
                "a guest would have been stopped, and nobody had agreed to that"
            }
            GuestLocked { .. } | BackupRunning { .. } | ForeignMove { .. } => {
                "somebody else's work on a guest would have been broken off, or the move would have failed at its lock"
            }
            CephNoQuorum { .. } | MonsAfter { .. } => {
                "Ceph's monitors would have lost their majority, and every disk would have stood still"
            }
            CephHealth { .. } | PgsUnclean { .. } | OsdsDown { .. } => {
                "copies that were missing already would have been joined by those of this node"
            }
            NotOkToStop { .. } | TooFewCopies { .. } | DisksNeeded { .. } | NoSpareCopy { .. } => {
                "data would have had too few copies, and the guests that use it would have stood still"
            }
            NodesOut { .. }
            | DomainOut { .. }
            | SharedBudgetSpent { .. }
            | NoSpareFor { .. }
            | NoSpareQuorum { .. } => {
                "two nodes would have been out at once, and a third failure would have found no room"
            }
            ManyAlarm { .. } | Correlated { .. } => {
                "guests would have been moved from one warm node to the next, away from nothing"
            }
            DrainsToday { .. } | AttemptsSpent { .. } => {
                "guests would have been moved again and again for something that moving them does not mend"
            }
            OutsideWindow(_) => {
                "guests would have been moved at an hour at which nobody is there to look after them"
            }
            ChannelOnNode { .. } => "nobody could have been told of anything while the node was out",
            MissingPrivilege { .. } => {
                "guests that our token may not see would have been switched off with the node"
            }
            ForeignMaintenance { .. } | ForeignNoout { .. } | ForeignFlag { .. } => {
                "two people's work would have met on one node, and the first to end would have undone the other's"
            }
            _ => return None,
        })
    }
}
