//! Who is looked at in full while no node may leave. A look at a node and its guests is some hundred calls and its plan some
//! hundredths of a second, each turn: too much for a hundred nodes of which at most one or two can leave at a time.
//!
//! A person who asks for a node is never queued.

use crate::model::case::{Case, Origin, Phase};
use crate::model::wait::Wait;

use super::preflight;
use super::turn::Turn;

/// So many are looked at and planned at all times: people see what would be done, and one of them can begin at once.
const LOOKED_AT: usize = 8;

/// An alarm asks for its node, nothing is held yet, and it has not begun.
pub fn waits(case: &Case) -> bool {
    let preparing = matches!(case.phase, Phase::Preparing { .. });
    preparing && matches!(case.origin, Origin::Alarm { .. }) && case.owed.nothing()
}

/// Is it this case's turn to be looked at in full? It is, whoever waits before it, as soon as a node may leave.
///
/// # Errors
/// No: the budgets have no room for one more, and enough others would be first.
pub fn its_turn(turn: &Turn) -> Result<(), Wait> {
    if turn.before < LOOKED_AT || !waits(&turn.case) {
        return Ok(());
    }
    if let Some(first) = turn.ahead.clone() {
        return Err(Wait::OneByOne { first });
    }
    let mut reasons = preflight::holding(&turn.case, turn.view).unwrap_or_else(|unseen| vec![unseen]);
    if reasons.is_empty() {
        return Ok(());
    }
    reasons.push(Wait::Queued { before: turn.before });
    Err(Wait::Verdict { reasons })
}

/// It was not its turn, and it need not be looked at in full before it is. `before`: as many as waited before it.
pub fn queued(case: &Case, before: usize) -> bool {
    let behind = match &case.wait {
        Some(Wait::Verdict { reasons }) => reasons.iter().any(|wait| matches!(wait, Wait::Queued { .. })),
        Some(Wait::OneByOne { .. }) => true,
        _ => false,
    };
    behind && before >= LOOKED_AT && waits(case)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::fixture::{at, case, off, rules, world};
    use crate::decide::view::View;
    use crate::decide::wish;
    use crate::model::fault::FaultKey;
    use crate::model::ids::CaseId;
    use crate::model::state::State;

    fn alarmed(id: u64, node: &str, wait: Option<Wait>) -> Case {
        let fault = FaultKey { node: node.into(), class: "psu".into(), component: "PS1".into() };
        let origin = Origin::Alarm { fault };
        Case { id: CaseId(id), node: node.into(), origin, wait, ..case(Phase::preparing(at(0))) }
    }

    /// What it waits for where `out` are off and so many others wait before it.
    fn waits_for(case: Case, out: &[&str], before: usize, ahead: Option<&str>) -> Option<String> {
        let (state, mut rules, mut seen) = (State::default(), rules(), world());
        rules.budgets.nodes_out_max = 1;
        off(&mut seen, out);
        let view = View::new(&state, &seen, &rules);
        let turn = Turn { before, ahead: ahead.map(Into::into), ..Turn::new(&view, case) };
        its_turn(&turn).err().map(|wait| wait.to_string())
    }

    #[test]
    fn the_ninth_is_not_planned_while_no_node_may_leave() {
        let ninth = || alarmed(9, "pve2", None);
        let behind = "may not leave now: already out: pve3 (at most 1 at once); 8 cases before it".to_owned();
        assert_eq!(waits_for(ninth(), &["pve3"], LOOKED_AT, None), Some(behind));
        assert_eq!(waits_for(ninth(), &["pve3"], LOOKED_AT - 1, None), None, "eight are looked at always");
        assert_eq!(waits_for(ninth(), &[], LOOKED_AT, None), None, "a node may leave");
        let ahead = waits_for(ninth(), &[], LOOKED_AT, Some("pve4")).expect("one begins after the other");
        assert!(ahead.contains("pve4 begins in this turn"), "{ahead}");
        let asked_for = Case { origin: case(Phase::preparing(at(0))).origin, ..ninth() };
        assert_eq!(waits_for(asked_for, &["pve3"], LOOKED_AT, Some("pve4")), None, "a person asks");
    }

    #[test]
    fn who_is_queued_is_not_looked_at_until_it_comes_forward() {
        let queued = Wait::Verdict { reasons: vec![Wait::Queued { before: 8 }] };
        let cases = (1..=10).map(|n| alarmed(n, &format!("pve{n}"), Some(queued.clone())));
        let mut state = State { cases: cases.collect(), ..State::default() };
        let looked_at = |state: &State| wish(state).nodes.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(looked_at(&state), (1..=8).map(|n| format!("pve{n}")).collect::<Vec<_>>());
        state.cases[8].wait = Some(Wait::ObserveOnly);
        assert_eq!(looked_at(&state).len(), 9, "whoever was judged stays looked at");
        state.cases.remove(0);
        assert_eq!(looked_at(&state).len(), 8, "and who moved up is looked at");
    }
}
