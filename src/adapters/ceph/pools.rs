//! What the pools promise: how many copies, how many of them suffice, and over what they are spread.

use super::command::Command;
use super::error::CephError;
use super::wire::{Dump, DumpPool, Rule, RuleStep};
use crate::model::observed::{Pool, PoolKind};

/// Written where a rule is built in a way that gives no single answer. No bucket type has this name, so whoever
/// compares with `host` finds that it is not.
const MIXED: &str = "mixed";

/// # Errors
/// A pool whose rule or profile is not in the map: guessing its copies could lose data.
pub fn pools(dump: &Dump, rules: &[Rule]) -> Result<Vec<Pool>, CephError> {
    dump.pools.iter().map(|pool| one(pool, dump, rules)).collect()
}

fn one(pool: &DumpPool, dump: &Dump, rules: &[Rule]) -> Result<Pool, CephError> {
    let garbled = |why: String| CephError::Garbled { command: Command::OsdDump.text(), why };
    let rule = rules.iter().find(|rule| rule.rule_id == pool.crush_rule).ok_or_else(|| {
        garbled(format!("pool {} has an unknown CRUSH rule {}", pool.pool_name, pool.crush_rule))
    })?;
    let kind = match pool.kind {
        1 => PoolKind::Replicated,
        3 => dump
            .erasure_code_profiles
            .get(&pool.erasure_code_profile)
            .and_then(|profile| profile.get("k"))
            .and_then(|k| k.parse().ok())
            .filter(|k| (1..=pool.size).contains(k))
            .map(|data| PoolKind::Erasure { data })
            .ok_or_else(|| garbled(format!("pool {} has no readable erasure profile", pool.pool_name)))?,
        other => return Err(garbled(format!("pool {} is of an unknown type {other}", pool.pool_name))),
    };
    let (failure_domain, per_host) = failure_domain(&rule.steps);
    Ok(Pool {
        name: pool.pool_name.clone(),
        kind,
        size: pool.size,
        min_size: pool.min_size,
        failure_domain,
        per_host,
    })
}

/// The bucket type of which no two copies share one.
///
/// `choose rack, chooseleaf host` spreads over hosts (several a rack); `choose host, choose 2 osd` puts two copies on
/// a host, so it is `osd`; `choose host, choose 1 osd` is `host` after all. A rule with several `take`s (fast disks for
/// the first copy, slow ones for the rest) chooses without knowing of its other half: two copies may share a host.
///
/// With it, how many copies one bucket of the step above may hold, where the rule says a number: `choose 3 host, choose
/// 2 osd` puts two on a host, however many OSDs it has.
fn failure_domain(steps: &[RuleStep]) -> (String, Option<u32>) {
    if steps.iter().filter(|s| s.op == "take").count() > 1 {
        return (MIXED.to_owned(), None);
    }
    let mut chosen = steps.iter().rev().filter(|s| s.op.starts_with("choose")).peekable();
    while let Some(step) = chosen.next() {
        // One of each is no spreading: the step above decides.
        if step.num != 1 || chosen.peek().is_none() {
            let kind = if step.kind.is_empty() { MIXED.to_owned() } else { step.kind.clone() };
            let number = u32::try_from(step.num).ok().filter(|n| *n > 0);
            return (kind, number.filter(|_| chosen.peek().is_some()));
        }
    }
    (MIXED.to_owned(), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (op, num, type)
    type Step = (&'static str, i64, &'static str);

    fn rule(steps: &[Step]) -> Vec<RuleStep> {
        steps.iter().map(|&(op, num, kind)| RuleStep { op: op.into(), num, kind: kind.into() }).collect()
    }

    #[test]
    fn the_failure_domain_is_where_copies_part() {
        let cases: [(&[Step], &str, Option<u32>); 7] = [
            (&[("take", 0, ""), ("chooseleaf_firstn", 0, "host"), ("emit", 0, "")], "host", None),
            (&[("take", 0, ""), ("choose_indep", 0, "osd"), ("emit", 0, "")], "osd", None),
            (
                &[("take", 0, ""), ("choose_firstn", 2, "rack"), ("chooseleaf_firstn", 2, "host")],
                "host",
                Some(2),
            ),
            (&[("take", 0, ""), ("choose_indep", 3, "host"), ("choose_indep", 2, "osd")], "osd", Some(2)),
            (&[("take", 0, ""), ("choose_firstn", 0, "rack"), ("choose_firstn", 1, "host")], "rack", None),
            (
                &[
                    ("take", 0, ""),
                    ("chooseleaf_firstn", 1, "host"),
                    ("emit", 0, ""),
                    ("take", 0, ""),
                    ("chooseleaf_firstn", -1, "host"),
                    ("emit", 0, ""),
                ],
                "mixed",
                None,
            ),
            (&[("take", 0, ""), ("emit", 0, "")], "mixed", None),
        ];
        for (steps, want, per_host) in cases {
            assert_eq!(failure_domain(&rule(steps)), (want.to_owned(), per_host), "{steps:?}");
        }
    }
}
