use std::collections::BTreeSet;

use super::*;

/// One line for each wait: as it is stored; what it is about; what a person can do.
const EVERY: &str = include_str!("../../../tests/data/waits.txt");

fn every() -> impl Iterator<Item = (Wait, [&'static str; 2])> {
    EVERY.lines().map(|line| {
        let parts: Vec<&str> = line.split(" | ").collect();
        let [stored, subject, remedy] = parts[..] else { panic!("three parts: {line}") };
        (serde_json::from_str(stored).unwrap_or_else(|why| panic!("{stored}: {why}")), [subject, remedy])
    })
}

/// `HaDisarmed` → `ha-disarmed`.
fn kebab(name: &str) -> String {
    let hump = |c: char| if c.is_uppercase() { format!("-{}", c.to_lowercase()) } else { c.to_string() };
    name.chars().map(hump).collect::<String>().trim_start_matches('-').to_owned()
}

#[test]
fn the_table_names_every_wait() {
    let code = include_str!("../wait.rs");
    let (_, kinds) = code.split_once("pub enum Wait {\n").expect("the waits");
    let (kinds, _) = kinds.split_once("\n}").expect("their end");
    let kinds = kinds.lines().filter_map(|line| line.trim().split(['{', '(', ',', ' ']).next());
    let kinds = kinds.filter(|word| word.starts_with(char::is_uppercase)).map(kebab).collect::<BTreeSet<_>>();
    assert!(kinds.len() > 100, "{kinds:?}");
    assert_eq!(every().map(|(wait, _)| wait.name()).collect::<BTreeSet<_>>(), kinds);
}

#[test]
fn every_wait_says_what_it_is_about_and_what_a_person_can_do() {
    for (wait, expected) in every() {
        assert_eq!([wait.subject(), wait.remedy()], expected, "{wait:?}");
    }
}

#[test]
fn commands_about_a_case_name_it() {
    assert_eq!(Wait::Technician.remedy_for(CaseId(7)), "pitlane done 7 when the work is done");
}
