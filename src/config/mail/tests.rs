//! What `smtp:` may get wrong, in a channel and for work orders, and what a good one means.

use super::*;
use crate::config::notify::Channel;
use crate::config::{Config, TicketSystem, load as load_config};

const GOOD: &str = "name: lab
notify:
  channels:
    ops:
      smtp:
        host: mail.example.org
        user: pitlane
        password_file: secret
        from: pitlane@example.org
        to: [ann@example.org, bob@example.org]
  tell: [ops]
tickets:
  kind: mail
  smtp: {host: 127.0.0.1, tls: none, from: pitlane@example.org, to: [hands@example.org]}
";

fn read_all(config: &str) -> Result<Config, Mistakes> {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, text) in [("pitlane.yaml", config), ("secret", "a b c\n"), ("empty", "\n")] {
        std::fs::write(dir.path().join(name), text).expect("writable");
    }
    load_config(&dir.path().join("pitlane.yaml"))
}

#[test]
fn a_good_one_means_what_it_says() {
    let config = read_all(GOOD).unwrap_or_else(|m| panic!("{m}"));
    let Some(Channel::Smtp(ops)) = config.channels.get(&"ops".into()) else { panic!("{config:?}") };
    assert_eq!((ops.host.as_str(), ops.port, ops.tls), ("mail.example.org", 587, MailTls::Starttls));
    assert_eq!(ops.login, Some(("pitlane".to_owned(), Secret("a b c".to_owned()))));
    assert!(!format!("{config:?}").contains("a b c"), "a secret shows itself");
    let Some(TicketSystem::Mail(hands)) = config.tickets.map(|t| t.system) else { panic!("no work orders") };
    assert_eq!((hands.port, hands.tls, hands.to.len()), (25, MailTls::None, 1));
}

#[test]
fn every_mistake_has_its_place_and_its_remedy() {
    let mut wrong = Vec::new();
    for (from, to, expected) in [
        (
            "        host: mail.example.org\n",
            "        host: mail.example.org\n        tls: none\n",
            "7:14: notify.channels.ops.smtp.tls: none is for a server on this machine; write starttls or tls",
        ),
        ("        user: pitlane\n", "", "notify.channels.ops.smtp.password_file needs user beside it"),
        (
            "        password_file: secret\n",
            "",
            "notify.channels.ops.smtp.user needs password_file beside it",
        ),
        ("file: secret", "file: empty", "must hold the password in one line"),
        ("file: secret", "file: nowhere", "8:24: "),
        (
            "from: pitlane@example.org",
            "from: pitlane",
            "9:15: notify.channels.ops.smtp.from: \"pitlane\" is no",
        ),
        (
            "bob@",
            "bob <b>@",
            "10:31: notify.channels.ops.smtp.to.1: \"bob <b>@example.org\" is no mail address",
        ),
        ("      smtp:\n", "      token_file: secret\n      smtp:\n", "token_file is a webhook's"),
        ("      smtp:\n", "      webhook: https://a.example\n      smtp:\n", "it is a webhook or mail"),
        ("        host: mail.example.org\n", "", "notify.channels.ops.smtp.host"),
        (
            "kind: mail",
            "kind: board",
            "tickets.smtp says nothing for kind board; take it out, or write kind: mail",
        ),
        ("kind: mail\n", "kind: mail\n  url: https://a.example\n", "tickets.url says nothing for kind mail"),
        ("smtp: {host", "queue: {host", "tickets.smtp is missing; kind mail needs it"),
        ("name: lab\n", "", "name is missing; tickets are found again by the cluster's name"),
    ] {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD, "{from} is not there");
        let said = read_all(&text).expect_err(expected).to_string();
        if !said.contains(expected) {
            wrong.push(format!("{to:?} gives\n{said}\nnot {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn a_channel_is_one_thing_and_all_mistakes_are_told_at_once() {
    let text =
        "notify:\n  channels:\n    a: {}\n    b: {smtp: {host: '', from: x, to: []}}\n  page: [a, b, c]\n";
    let said = read_all(text).expect_err("mistakes").to_string();
    for expected in [
        "notify.channels.a: write webhook or smtp",
        "notify.channels.b.smtp.host: write the mail server's name",
        "notify.channels.b.smtp.from: \"x\" is no mail address",
        "notify.channels.b.smtp.to: write 1 to 50 addresses",
        "notify.page: there is no channel c; the channels are a, b",
    ] {
        assert!(said.contains(expected), "{said}\nlacks {expected}");
    }
}
