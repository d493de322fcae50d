//! Real controllers: OpenIPMI's simulator asked by FreeIPMI, and sushy-static serving DMTF's shape. What the machine
//! lists, what it lists when a power supply is out, its fans, its power, its LED, and its silence.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pitlane::adapters::bmc::{BmcConfig, Bmcs, IpmiConfig, RedfishConfig, Trust};
use pitlane::model::observed::{Inventory, LocateTarget, PartKey, PartKind};
use pitlane::model::seen::{Seen, Trouble};
use pitlane::model::step::Switch;
use pitlane::ports::Bmc;

use crate::lab::{Lab, Now, until};

const SOON: Duration = Duration::from_secs(20);

/// `pve1` speaks IPMI, `pve2` Redfish, and both are the lab's one machine.
fn bmcs(lab: &Lab, private: PathBuf) -> Bmcs {
    let (user, password) = (lab.fact("user"), lab.fact("password"));
    let ipmi = IpmiConfig {
        address: lab.fact("ipmi"),
        user: user.clone(),
        password: password.clone(),
        workarounds: vec!["opensesspriv".to_owned()],
        programs: None,
    };
    let redfish = RedfishConfig {
        url: lab.fact("redfish").parse().expect("an address"),
        user,
        password,
        trust: Trust::System,
        system: None,
    };
    let nodes = [("pve1".into(), BmcConfig::Ipmi(ipmi)), ("pve2".into(), BmcConfig::Redfish(redfish))];
    Bmcs::new(nodes.into(), private, Arc::new(Now)).expect("a good configuration")
}

fn listed(seen: &Seen<Inventory>, kind: PartKind, slot: &str) -> Option<Option<bool>> {
    seen.any_age()?.parts.get(&PartKey::new(kind, slot)).map(|part| part.good)
}

#[tokio::test]
async fn ipmi_lists_what_is_there_and_a_supply_that_was_pulled_out_is_not() {
    let lab = Lab::up("bmc-lab", &[]);
    let private = tempfile::tempdir().expect("a directory");
    let bmcs = bmcs(&lab, private.path().to_owned());
    let node = "pve1".into();
    let whole = bmcs.inventory(&node).await;
    for (kind, slot) in
        [(PartKind::Fan, "FAN4"), (PartKind::PowerSupply, "PS2 Status"), (PartKind::Disk, "Drive 1")]
    {
        assert_eq!(listed(&whole, kind, slot), Some(Some(true)), "{slot}: {whole:?}");
    }
    let board = PartKey::new(PartKind::Board, "Default FRU Device");
    let serial = whole.any_age().and_then(|parts| parts.parts[&board].serial.as_deref());
    assert_eq!(serial, Some("SER-BOARD-1"));

    // The trap: its sensor is still listed, in state Nominal.
    assert!(lab.run("psu", &["1", "absent"]).status.success());
    let out = until(
        "PS1 is gone",
        SOON,
        || bmcs.inventory(&node),
        |seen| seen.any_age().is_some() && listed(seen, PartKind::PowerSupply, "PS1 Status").is_none(),
    );
    assert_eq!(listed(&out.await, PartKind::PowerSupply, "PS2 Status"), Some(Some(true)));
    assert!(lab.run("psu", &["1", "failed"]).status.success());
    let bad = |seen: &Seen<Inventory>| listed(seen, PartKind::PowerSupply, "PS1 Status") == Some(Some(false));
    until("PS1 is there and bad", SOON, || bmcs.inventory(&node), bad).await;
    assert!(lab.run("fan", &["3", "0"]).status.success());
    let still = |seen: &Seen<Inventory>| listed(seen, PartKind::Fan, "FAN3") == Some(Some(false));
    until("FAN3 stands still", SOON, || bmcs.inventory(&node), still).await;
}

#[tokio::test]
async fn ipmi_tells_the_power_and_lights_no_lamp_that_it_cannot_read_back() {
    let lab = Lab::up("bmc-lab", &[]);
    let private = tempfile::tempdir().expect("a directory");
    let bmcs = bmcs(&lab, private.path().to_owned());
    let view = bmcs.look(&"pve1".into()).await;
    let view = view.any_age().unwrap_or_else(|| panic!("not seen: {view:?}"));
    // The simulated chassis was never switched on, and its controller knows no identify.
    assert_eq!((view.power, view.lit.len()), (Some(Switch::Off), 0));
    let lit = bmcs.locate(&"pve1".into(), &LocateTarget::Chassis, Switch::On).await;
    assert!(matches!(lit, Err(Trouble::Refused(_))), "{lit:?}");
}

#[tokio::test]
async fn redfish_lists_the_same_machine_in_both_shapes() {
    for shape in ["new", "old"] {
        let lab = Lab::up("bmc-lab", &["--shape", shape]);
        let private = tempfile::tempdir().expect("a directory");
        let bmcs = bmcs(&lab, private.path().to_owned());
        let node = "pve2".into();
        let whole = bmcs.inventory(&node).await;
        for (kind, slot) in
            [(PartKind::Fan, "FAN4"), (PartKind::PowerSupply, "PS1"), (PartKind::Disk, "Bay 1")]
        {
            assert_eq!(listed(&whole, kind, slot), Some(Some(true)), "{shape}, {slot}: {whole:?}");
        }
        let view = bmcs.look(&node).await;
        let view = view.any_age().unwrap_or_else(|| panic!("not seen: {view:?}"));
        assert_eq!(view.power, Some(Switch::On));
        assert_eq!(view.lit.get(&LocateTarget::Chassis), Some(&Switch::Off), "{shape}");
        assert!(lab.run("psu", &["1", "absent"]).status.success());
        let gone = bmcs.inventory(&node).await;
        assert_eq!(listed(&gone, PartKind::PowerSupply, "PS1"), None, "{shape}: {gone:?}");
        assert_eq!(listed(&gone, PartKind::PowerSupply, "PS2"), Some(Some(true)), "{shape}");
        // This one says yes to every change and changes nothing: that is why a lamp is read back.
        bmcs.locate(&node, &LocateTarget::Chassis, Switch::On).await.expect("it says yes");
        let dark = bmcs.look(&node).await;
        let lit = dark.any_age().and_then(|view| view.lit.get(&LocateTarget::Chassis));
        assert_eq!(lit, Some(&Switch::Off), "{shape}: {dark:?}");
    }
}

#[tokio::test]
async fn a_controller_that_hangs_is_unknown_and_answers_again() {
    let lab = Lab::up("bmc-lab", &[]);
    let private = tempfile::tempdir().expect("a directory");
    let bmcs = bmcs(&lab, private.path().to_owned());
    assert!(lab.run("hang", &[]).status.success());
    for node in ["pve1".into(), "pve2".into()] {
        let seen = bmcs.inventory(&node).await;
        assert!(matches!(&seen, Seen::Unknown { why: Trouble::TooSlow(_) }), "{node}: {seen:?}");
    }
    assert!(lab.run("wake", &[]).status.success());
    for node in ["pve1".into(), "pve2".into()] {
        until("it answers again", SOON, || bmcs.inventory(&node), |seen| seen.any_age().is_some()).await;
    }
}
