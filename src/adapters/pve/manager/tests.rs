//! What is read where it lies is what the usual reading finds, on recordings, in odd spellings, and after a byte was changed.

use proptest::prelude::*;

use super::*;
use crate::adapters::pve::opinion::tests::recorded;
use crate::adapters::pve::wire::{Envelope, ManagerStatus};

/// The usual reading: serde's.
fn usual(body: &[u8]) -> Result<Result<HaView, Trouble>, String> {
    let status = Envelope::<ManagerStatus>::read(body)?.data;
    if status.quorum.as_ref().and_then(|quorum| quorum.quorate) == Some(Flag(false)) {
        return Ok(Err(Trouble::Refused(
            "the member that was asked for HA's state has no quorum".to_owned(),
        )));
    }
    let state = &status.manager_status;
    let mut view = HaView { armed: state.disarm.is_none(), ..HaView::default() };
    view.master = state.master_node.as_ref().map(|node| NodeName(node.0.clone()));
    view.crm_at = time(state.timestamp);
    for name in state.node_status.keys().chain(state.node_request.keys()).chain(status.lrm_status.keys()) {
        let lrm = status.lrm_status.get(name);
        let node = HaNode {
            state: state.node_status.get(name).map_or(HaNodeState::Unknown, |word| node_state(word)),
            maintenance_requested: state
                .node_request
                .get(name)
                .is_some_and(|request| is(request.maintenance)),
            lrm: lrm.and_then(|lrm| lrm.mode.as_deref()).map(lrm_mode),
            lrm_at: lrm.and_then(|lrm| time(lrm.timestamp)),
        };
        view.nodes.insert(NodeName(name.clone()), node);
    }
    for (sid, service) in state.service_status.iter() {
        let (Some(id), Some(node)) = (sid_guest(sid), &service.node) else { continue };
        let name = |text: &crate::adapters::pve::wire::Text| NodeName(text.0.clone());
        let service = HaService {
            node: name(node),
            state: service.state.as_ref().map_or_else(|| "unknown".to_owned(), |state| state.0.clone()),
            target: service.target.as_ref().map(name),
            command: service.cmd,
            maintenance_node: service.maintenance_node.as_ref().map(name),
        };
        view.services.insert(id, service);
    }
    Ok(Ok(view))
}

#[test]
fn recorded_states_are_read_as_usual() {
    let all = recorded("manager-status");
    assert!(all.len() >= 4, "{} recordings", all.len());
    for (name, body) in all {
        let usual = usual(&body);
        assert_eq!(ha(&body).ok(), usual.clone().ok(), "{name}: {usual:?}");
    }
}

#[test]
fn without_its_heart_it_is_no_answer_and_without_quorum_it_is_old() {
    assert!(ha(br#"{"data":{"quorum":{}}}"#).is_err());
    assert!(ha(br#"{"data":{"manager_status":null}}"#).is_err());
    let old = ha(br#"{"data":{"manager_status":{},"quorum":{"quorate":"0"}}}"#).expect("an answer");
    assert!(matches!(old, Err(Trouble::Refused(_))), "{old:?}");
    assert_eq!(
        ha(br#"{"data":{"manager_status":{}}}"#).map(|view| view.map(|view| view.armed)),
        Ok(Ok(true))
    );
}

/// An answer with something of everything in it, each member once, in an order as it falls.
fn answer() -> impl Strategy<Value = String> {
    let quotes =
        |words: Vec<&'static str>| prop::sample::select(words).prop_map(|word| format!("\"{word}\""));
    let node = || prop::sample::select(vec!["a", "b", "pve\\u0031", "c"]);
    let state = quotes(vec!["online", "maintenance", "fence", "gone", "unknown", ""]);
    let states = prop::collection::btree_map(node(), state, 0..3);
    let flag = || prop::sample::select(vec!["0", "1", "\"1\"", "true", "null"]).prop_map(str::to_owned);
    let requests = prop::collection::btree_map(
        node(),
        prop_oneof![
            Just("{}".to_owned()),
            flag().prop_map(|flag| format!("{{\"maintenance\":{flag},\"x\":[]}}")),
        ],
        0..3,
    );
    let mode = quotes(vec!["active", "maintenance", "restart", "reboot", "shutdown", "disarm", "x"]);
    let lrm = (mode, prop::sample::select(vec!["1795302400", "\"1795302400\"", "null", "0"]));
    let lrm = lrm.prop_map(|(mode, at)| {
        format!(r#"{{"results":{{"U":{{"sid":"vm:1","exit_code":0}}}},"mode":{mode},"timestamp":{at}}}"#)
    });
    let lrms = prop::collection::btree_map(node(), lrm, 0..3);
    let service = prop::collection::btree_map(
        prop::sample::select(vec!["node", "target", "maintenance_node", "state", "uid", "cmd"]),
        prop::sample::select(vec!["\"a\"", "\"b\"", "null", "7"]),
        0..6,
    );
    let sid = prop::sample::select(vec!["vm:1", "vm:\\u0032", "ct:3", "fa:4", "vm:x", "vm:5"]);
    let services = prop::collection::btree_map(sid, service.prop_map(|members| object(&members)), 0..4);
    let table = |members: String, full: bool| if full || members != "{}" { members } else { "[]".to_owned() };
    (states, requests, lrms, services, flag(), any::<bool>(), prop::sample::select(vec!["", r#","disarm":null"#, r#","disarm":{"mode":"freeze"}"#]))
        .prop_map(move |(states, requests, lrms, services, quorate, full, disarm)| {
            format!(
                r#"{{"data":{{"lrm_status":{},"quorum":{{"quorate":{quorate},"node":"a"}},"manager_status":{{
                "node_request":{},"service_status":{},"timestamp":1795302398,"node_status":{},"master_node":"a"{disarm}}}}}}}"#,
                table(object(&lrms), full),
                table(object(&requests), full),
                table(object(&services), full),
                table(object(&states), full),
            )
        })
}

fn object<V: std::fmt::Display>(members: &std::collections::BTreeMap<&str, V>) -> String {
    let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

proptest! {
    #[test]
    fn states_are_read_as_usual(body in answer()) {
        prop_assert_eq!(ha(body.as_bytes()).ok(), usual(body.as_bytes()).ok(), "{}", body);
    }

    #[test]
    fn a_spoilt_body_is_not_misread(body in answer(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut body = body.into_bytes();
        let at = at.index(body.len());
        body[at] = byte;
        if let (Ok(usual), ours) = (usual(&body), ha(&body)) {
            prop_assert_eq!(ours, Ok(usual), "{}", String::from_utf8_lossy(&body));
        }
    }

    #[test]
    fn a_body_that_is_cut_is_no_answer(body in answer(), at in any::<prop::sample::Index>()) {
        let at = at.index(body.len());
        prop_assert!(ha(&body.as_bytes()[..at]).is_err());
    }
}
