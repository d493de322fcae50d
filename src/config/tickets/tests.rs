//! What `tickets:` and a template may get wrong, each with its place; and what good ones mean.

use super::*;
use crate::config::{Config, load as load_config};

const RT: &str = "name: lab
tickets:
  kind: rt
  url: https://rt.example.org/
  token_file: robot
  queue: Hardware
";

const HTTP: &str = "name: lab
tickets:
  kind: http
  url: https://desk.example.org/
  template: desk.yaml
  values: {project: OPS}
  secret_files: {token: robot}
";

const DESK: &str = r#"system: Desk
headers: {Authorization: "Bearer {{ secrets.token }}"}
find:
  request: {path: "/tickets?q={{ id }}"}
  list: /tickets
  ticket: {number: /id, title: /title, status: /state, id: /external_id}
create:
  request:
    method: POST
    path: /tickets
    body: |
      {"project": {{ values.project }}, "title": {{ title }}, "body": {{ body }}, "external_id": {{ id }}}
  number: /id
read:
  request: {path: "/tickets/{{ ticket }}"}
  ticket: {number: /id, title: /title, status: /state, id: /external_id}
comment: {method: POST, path: "/tickets/{{ ticket }}/notes", body: '{"text": {{ text }}, "key": {{ receipt }}}'}
reopen: {method: PUT, path: "/tickets/{{ ticket }}", body: '{"state": "open"}'}
close: {method: PUT, path: "/tickets/{{ ticket }}", body: '{"state": "closed"}'}
cancel: {method: PUT, path: "/tickets/{{ ticket }}", body: '{"state": "refused"}'}
statuses: {open: [open], done: [closed], cancelled: [refused]}
"#;

fn read_all(config: &str, desk: &str) -> Result<Config, Mistakes> {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, text) in
        [("pitlane.yaml", config), ("desk.yaml", desk), ("robot", "1-23-abc\n"), ("bell", "short\n")]
    {
        std::fs::write(dir.path().join(name), text).expect("writable");
    }
    load_config(&dir.path().join("pitlane.yaml"))
}

#[test]
fn the_address_of_request_tracker_is_its_own_and_not_that_of_its_interface() {
    for address in [
        "https://rt.example.org/REST/2.0",
        "https://rt.example.org/rt/REST/2.0/",
        "https://rt.example.org/rest/1.0",
    ] {
        let wrong = read_all(&RT.replace("https://rt.example.org/", address), "").expect_err("REST is added");
        let own = &address[..address.to_lowercase().find("rest/").expect("it is in it")];
        let told = format!(
            "pitlane.yaml:4:8: tickets.url: pitlane adds REST/2.0 itself; write the address of Request Tracker, {own}"
        );
        assert!(
            wrong.to_string().lines().any(|line| line.ends_with(told.trim_start_matches("pitlane.yaml:"))),
            "{wrong}"
        );
    }
    read_all(&RT.replace("https://rt.example.org/", "https://rest.example.org/rt"), "")
        .unwrap_or_else(|m| panic!("{m}"));
}

#[test]
fn secrets_of_the_ticket_system_that_everybody_may_read_are_hinted_at() {
    use std::os::unix::fs::PermissionsExt;
    let hints_of = |config: &str| {
        let dir = tempfile::tempdir().expect("a directory");
        for (name, text) in [("pitlane.yaml", config), ("desk.yaml", DESK), ("robot", "1-23-abc\n")] {
            std::fs::write(dir.path().join(name), text).expect("writable");
        }
        let mode = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(dir.path().join("robot"), mode).expect("ours");
        let good = load_config(&dir.path().join("pitlane.yaml")).unwrap_or_else(|m| panic!("{m}"));
        crate::config::hints(&good)
            .into_iter()
            .filter(|hint| hint.contains("(mode 0644)"))
            .collect::<Vec<_>>()
    };
    let mail = "name: lab\ntickets: {kind: mail, smtp: {host: mail.example.org, user: u, password_file: robot, from: a@example.org, to: [b@example.org]}}\n";
    for (config, key) in [
        (RT, "tickets.token_file"),
        (HTTP, "tickets.secret_files.token"),
        (mail, "tickets.smtp.password_file"),
    ] {
        let hints = hints_of(config);
        assert!(hints.len() == 1 && hints[0].starts_with(&format!("{key}: everybody")), "{key}: {hints:?}");
    }
}

#[test]
fn a_good_one_means_what_it_says() {
    let config = read_all(RT, "").unwrap_or_else(|m| panic!("{m}"));
    let tickets = config.tickets.as_ref().expect("a ticket system");
    assert_eq!((tickets.cluster.as_str(), tickets.poll), ("lab", POLL));
    let TicketSystem::Rt { field, statuses, .. } = &tickets.system else { panic!("{tickets:?}") };
    assert_eq!((field.as_str(), statuses), ("CorrelationId", &StatusWords::request_tracker()));
    assert!(!format!("{config:?}").contains("1-23-abc"), "a secret shows itself");
    let config = read_all(HTTP, DESK).unwrap_or_else(|m| panic!("{m}"));
    assert!(matches!(config.tickets.map(|t| t.system), Some(TicketSystem::Http { .. })));
    assert!(read_all("tickets: {kind: board}\n", "").is_ok_and(|config| config.tickets.is_none()));
}

#[test]
fn every_mistake_has_its_place_and_its_remedy() {
    let mut wrong = Vec::new();
    for (from, to, expected) in [
        ("name: lab\n", "", "2:3: name is missing; tickets are found again by the cluster's name"),
        ("name: lab", "name: my lab", "1:7: name: \"my lab\" cannot stand in a ticket; write letters"),
        ("  queue: Hardware\n", "", "tickets.queue is missing; kind rt needs it"),
        ("https://rt", "http://rt", "4:8: tickets.url would send the token in the clear; write https://"),
        ("kind: rt", "kind: rtt", "3:9: tickets.kind cannot be \"rtt\"; did you mean rt?"),
        (
            "kind: rt",
            "kind: board",
            "4:8: tickets.url says nothing for kind board; take it out, or write kind: rt",
        ),
        (
            "  queue",
            "  template: desk.yaml\n  queue",
            "tickets.template says nothing for kind rt; take it out",
        ),
        (
            "  queue",
            "  hook_secret_file: bell\n  queue",
            "the secret stands in a URL; write 16 or more letters",
        ),
        (
            "  queue",
            "  statuses: {open: [new], done: [new]}\n  queue",
            "tickets.statuses: \"new\" stands there twice",
        ),
        ("token_file: robot", "token: abc", "secrets do not stand in this file"),
        ("token_file: robot", "token_file: nowhere", "5:15: cannot read"),
    ] {
        let text = RT.replace(from, to);
        assert_ne!(text, RT, "{from} is not there");
        let said = read_all(&text, "").expect_err(expected).to_string();
        if !said.contains(expected) {
            wrong.push(format!("{to:?} gives\n{said}\nnot {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn a_template_that_cannot_be_filled_is_told_when_it_is_read() {
    let mut wrong = Vec::new();
    for (from, to, expected) in [
        (
            "{{ secrets.token }}",
            "{{ secrets.tokne }}",
            "desk.yaml:2:26: headers.Authorization cannot be filled",
        ),
        ("values.project", "values.queue", "create.request.body cannot be filled"),
        ("{{ title }}", "\"{{ title }}\"", "create.request.body is no JSON when it is filled"),
        ("q={{ id }}", "q={{ title }}", "find.request.path cannot be filled"),
        ("q={{ id }}", "q={{ id", "find.request.path cannot be filled"),
        ("list: /tickets", "list: tickets", "desk.yaml:5:9: find.list: \"tickets\" is no JSON pointer"),
        (", \"key\": {{ receipt }}", "", "comment.body must use receipt"),
        ("cancelled: [refused]", "cancelled: [closed]", "statuses: \"closed\" stands there twice"),
        ("reopen:", "reopn:", "reopn is not known; did you mean reopen?"),
        ("status: /state, id", "staet: /state, id", "find.ticket.staet is not known"),
    ] {
        let text = DESK.replacen(from, to, 1);
        assert_ne!(text, DESK, "{from} is not there");
        let said = read_all(HTTP, &text).expect_err(expected).to_string();
        if !said.contains(expected) {
            wrong.push(format!("{to:?} gives\n{said}\nnot {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
