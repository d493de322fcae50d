//! How fast it could be at all: no schedule beats this.

use super::instance::{Instance, Kind, Role, Way};

/// Seconds, over the guests for which `counts` says yes.
pub fn bound(inst: &Instance, counts: impl Fn(usize) -> bool) -> f64 {
    let p = &inst.params;
    let back = inst.kind == Kind::Return;
    let slots = if back { p.slots_in } else { p.slots_out }.max(1) as f64;
    let open = || inst.nodes.iter().filter(|node| node.role == Role::Open);
    let fastest = open().map(|node| node.nic).fold(0.0, f64::max);
    let mut sides: Vec<Option<Side>> = vec![None; inst.nodes.len()];
    for at in inst.leavers().filter(|at| inst.guests[*at].way != Way::No && counts(*at)) {
        let guest = &inst.guests[at];
        let Some(side) = (if back { guest.home } else { Some(guest.node) }) else { continue };
        let far = match &guest.allowed {
            _ if back => inst.nodes[guest.node].nic,
            None => fastest,
            Some(allowed) => {
                let open = allowed.iter().map(|n| &inst.nodes[*n]).filter(|n| n.role == Role::Open);
                open.map(|n| n.nic).fold(0.0, f64::max)
            }
        };
        let nic = inst.nodes[side].nic;
        let rate = if far > 0.0 { p.stream.min(nic).min(far) } else { nic };
        let work = inst.work(guest);
        sides[side].get_or_insert_with(Side::default).add(work.bits(rate), work.fixed, rate);
    }
    let mut best = 0.0_f64;
    let mut bits = 0.0;
    for (node, side) in sides.iter().enumerate() {
        let Some(side) = side else { continue };
        let wire = side.bits / inst.nodes[node].nic + if side.bits > 0.0 { side.fixed_min } else { 0.0 };
        best = best.max(wire).max(side.slot_secs / slots).max(side.longest);
        bits += side.bits;
    }
    let into: f64 = open().map(|node| node.nic).sum();
    if !back && into > 0.0 { best.max(bits / into) } else { best }
}

#[derive(Clone, Debug)]
struct Side {
    bits: f64,
    slot_secs: f64,
    longest: f64,
    fixed_min: f64,
}

impl Default for Side {
    fn default() -> Self {
        Self { bits: 0.0, slot_secs: 0.0, longest: 0.0, fixed_min: f64::INFINITY }
    }
}

impl Side {
    fn add(&mut self, bits: f64, fixed: f64, rate: f64) {
        let secs = fixed + bits / rate;
        self.bits += bits;
        self.slot_secs += secs;
        self.longest = self.longest.max(secs);
        self.fixed_min = self.fixed_min.min(fixed);
    }
}
