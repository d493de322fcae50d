//! Mail against a real mail server: notices and work orders reach mailboxes that wait, refuse, break off or say nothing.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pitlane::adapters::notify::MailChannel;
use pitlane::adapters::smtp::PostConfig;
use pitlane::adapters::store;
use pitlane::adapters::tickets::Mailed;
use pitlane::model::ids::CaseId;
use pitlane::model::mail::MailTls;
use pitlane::model::notice::{Notice, NoticeId, Urgency};
use pitlane::model::observed::WorkOrderStatus;
use pitlane::model::seen::{Seen, Trouble};
use pitlane::model::step::{StepId, WorkOrder};
use pitlane::ports::{Notifier, Tickets};
use serde_json::Value;

use crate::lab::{Lab, Now};

const CASE: CaseId = CaseId(7);

/// In the clear on loopback, as a relay on the same machine is.
fn relay() -> Lab {
    Lab::up("smtp-lab", &["--tls", "none"])
}

fn config(lab: &Lab, tls: MailTls, to: &[&str]) -> PostConfig {
    // The program does this first of all; a second time changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    PostConfig {
        host: "127.0.0.1".into(),
        port: lab.fact("port").parse().expect("a port"),
        tls,
        login: None,
        ca_pem: Some(std::fs::read(lab.fact("ca")).expect("the lab's certificate")),
        from: "pitlane@lab.example".into(),
        to: to.iter().map(|who| format!("{who}@lab.example")).collect(),
        limit: None,
    }
}

fn channel(lab: &Lab, to: &[&str]) -> MailChannel {
    MailChannel::new(config(lab, MailTls::None, to), "lab").expect("is made")
}

fn notice() -> Notice {
    Notice {
        id: NoticeId("case-7/died".into()),
        at: "2026-01-01T12:00:00Z".parse().expect("a valid instant"),
        urgency: Urgency::Page,
        title: "pve2 died with guests aboard".into(),
        body: "What to do:\n.\nlook at the Lüfter.\n".into(),
        node: Some("pve2".into()),
        case: Some(CASE),
        to: vec!["ops".into()],
    }
}

/// Everything that the server took, in order.
fn letters(lab: &Lab) -> Vec<Value> {
    let mut names: Vec<_> = std::fs::read_dir(lab.fact("mail"))
        .expect("the lab's directory")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .collect();
    names.sort();
    let read = |path: &std::path::PathBuf| {
        serde_json::from_slice(&std::fs::read(path).expect("readable")).expect("the lab writes JSON")
    };
    names.iter().map(read).collect()
}

/// Who got the letter, without the domain.
fn to(letter: &Value) -> String {
    let all = letter["to"].as_array().expect("a list").iter();
    all.map(|who| who.as_str().unwrap_or_default().replace("@lab.example", "")).collect::<Vec<_>>().join(" ")
}

fn head(letter: &Value, name: &str) -> String {
    let text = letter["text"].as_str().expect("a text");
    let head = text.split("\r\n\r\n").next().unwrap_or_default();
    let line = head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).to_owned()
}

fn kind(sent: &Result<(), Trouble>) -> &'static str {
    sent.as_ref().err().map_or("arrived", Trouble::kind)
}

#[tokio::test]
async fn who_was_told_to_wait_gets_it_later_and_the_others_once() {
    let lab = relay();
    let channel = channel(&lab, &["ann", "later", "gone", "bob"]);
    let first = channel.send(&notice()).await;
    assert!(matches!(&first, Err(Trouble::Refused(why)) if why.contains("later@lab.example: ")), "{first:?}");
    assert_eq!(kind(&channel.send(&notice()).await), "arrived");
    let letters = letters(&lab);
    assert_eq!(letters.iter().map(to).collect::<Vec<_>>(), ["ann bob", "later"]);
    assert_eq!(head(&letters[0], "Message-ID"), head(&letters[1], "Message-ID"));
    assert_eq!(head(&letters[0], "Subject"), "[pitlane lab] pve2 died with guests aboard");
    assert_eq!(head(&letters[0], "Auto-Submitted"), "auto-generated");
    assert_eq!(head(&letters[0], "Importance"), "high");
    assert_eq!(head(&letters[0], "References"), head(&letters[0], "In-Reply-To"));
}

#[tokio::test]
async fn one_mailbox_that_is_gone_loses_nobody_else_theirs_and_a_test_tells_of_it() {
    let lab = relay();
    let some = channel(&lab, &["ann", "gone", "bob"]);
    assert_eq!(kind(&some.send(&notice()).await), "arrived");
    assert_eq!(letters(&lab).iter().map(to).collect::<Vec<_>>(), ["ann bob"]);
    let told = some.try_out(&notice()).await.expect_err("one of them is gone").to_string();
    assert!(told.contains("gone@lab.example: ") && told.contains("nobody of that name"), "{told}");
    let nobody = channel(&lab, &["gone"]).send(&notice()).await;
    assert!(
        matches!(&nobody, Err(Trouble::Refused(why)) if why.contains("no mailbox takes it")),
        "{nobody:?}"
    );
    assert_eq!(letters(&lab).len(), 2);
}

#[tokio::test]
async fn a_letter_that_may_have_arrived_is_sent_again_as_the_same_letter() {
    let lab = relay();
    let first = channel(&lab, &["ann", "cut"]).send(&notice()).await;
    assert_eq!(kind(&first), "too_slow", "{first:?}");
    // Another process: nothing is remembered but the notice.
    assert_eq!(kind(&channel(&lab, &["ann", "cut"]).send(&notice()).await), "arrived");
    let letters = letters(&lab);
    assert_eq!(letters.len(), 2);
    assert_eq!(letters[0]["text"], letters[1]["text"], "the same to the last byte");
    let later = Notice { at: "2027-01-01T12:00:00Z".parse().expect("a valid instant"), ..notice() };
    channel(&lab, &["ann"]).send(&later).await.expect("arrives");
    let again = self::letters(&lab);
    assert_ne!(
        head(&again[2], "Message-ID"),
        head(&letters[0], "Message-ID"),
        "of another life of the state"
    );
}

#[tokio::test]
async fn a_server_that_says_nothing_is_not_waited_for() {
    let lab = relay();
    let hasty =
        PostConfig { limit: Some(Duration::from_millis(800)), ..config(&lab, MailTls::None, &["slow"]) };
    let sent = MailChannel::new(hasty, "lab").expect("is made").send(&notice()).await;
    assert_eq!(kind(&sent), "too_slow", "{sent:?}");
    let nowhere = PostConfig { port: 1, ..config(&lab, MailTls::None, &["ann"]) };
    let sent = MailChannel::new(nowhere, "lab").expect("is made").send(&notice()).await;
    assert_eq!(kind(&sent), "unreachable", "{sent:?}");
}

#[tokio::test]
async fn passwords_travel_encrypted_or_not_at_all() {
    for (way, tls) in [("starttls", MailTls::Starttls), ("tls", MailTls::Tls)] {
        let lab = Lab::up("smtp-lab", &["--tls", way, "--password", "s3cret"]);
        let login = |password: &str| Some(("pitlane".to_owned(), password.to_owned()));
        let send = async |config: PostConfig| {
            MailChannel::new(config, "lab").expect("is made").send(&notice()).await
        };
        let good = PostConfig { login: login("s3cret"), ..config(&lab, tls, &["ann"]) };
        let wrong = send(PostConfig { login: login("guessed"), ..good.clone() }).await;
        assert!(matches!(&wrong, Err(Trouble::Refused(why)) if why.contains("login")), "{way}: {wrong:?}");
        let stranger = send(PostConfig { login: None, ..good.clone() }).await;
        assert_eq!(kind(&stranger), "refused", "{way}: {stranger:?}");
        let unbelieved = send(PostConfig { ca_pem: None, ..good.clone() }).await;
        assert_eq!(kind(&unbelieved), "unreachable", "{way}: {unbelieved:?}");
        assert!(letters(&lab).is_empty(), "{way}: something was sent");
        assert_eq!(kind(&send(good).await), "arrived", "{way}");
        let letters = letters(&lab);
        assert_eq!(
            (letters.len(), &letters[0]["tls"], &letters[0]["login"]),
            (1, &true.into(), &true.into())
        );
    }
}

#[tokio::test]
async fn a_server_without_starttls_hears_nothing() {
    let lab = relay();
    let sent = MailChannel::new(config(&lab, MailTls::Starttls, &["ann"]), "lab").expect("is made");
    let sent = sent.send(&notice()).await;
    assert!(matches!(&sent, Err(Trouble::Refused(why)) if why.contains("no STARTTLS")), "{sent:?}");
    assert!(letters(&lab).is_empty());
}

fn mailed(lab: &Lab, state: &Path, to: &[&str]) -> (Mailed, store::SqliteStore) {
    let store = store::open(state, Arc::new(Now)).expect("a fresh store");
    let post = config(lab, MailTls::None, to);
    let mailed = Mailed::new(Arc::new(store.board()), post, "lab", Arc::new(Now)).expect("is made");
    (mailed, store)
}

#[tokio::test]
async fn a_work_order_by_mail_is_one_thread_and_the_board_carries_it() {
    let (lab, dir) = (relay(), tempfile::tempdir().expect("a directory"));
    let (mailed, store) = mailed(&lab, dir.path(), &["hands", "gone", "cut"]);
    let order = WorkOrder {
        node: "pve2".into(),
        title: "pve2: fan".into(),
        body: "Fan 3 stands still.".into(),
        checklist: vec!["Ask pitlane before you begin.".into()],
    };
    let key = |what: &str| StepId::new(CASE, what);
    let broken = mailed.open(&key("work-order"), CASE, &order).await.expect_err("the connection was cut");
    assert_eq!(broken.kind(), "too_slow", "{broken}");
    let ticket = mailed.open(&key("work-order"), CASE, &order).await.expect("the second time it arrives");
    mailed.reopen(&key("reopen/1"), CASE, "It stands still again.").await.expect("arrives");
    mailed.close(&key("work-order-closed"), CASE, "Called off.").await.expect("arrives");

    let letters = letters(&lab);
    let ids: Vec<String> = letters.iter().map(|letter| head(letter, "Message-ID")).collect();
    assert_eq!(letters.len(), 4);
    assert_eq!(ids[0], ids[1], "the second try is the same letter");
    assert!(ids[1] != ids[2] && ids[2] != ids[3] && ids[1] != ids[3], "{ids:?}");
    for later in &letters[2..] {
        assert_eq!((head(later, "In-Reply-To"), head(later, "References")), (ids[0].clone(), ids[0].clone()));
    }
    assert_eq!(head(&letters[0], "Subject"), "pve2: fan [pitlane:lab:case-7]");
    let text = letters[0]["text"].as_str().expect("a text");
    assert!(text.contains("- Ask pitlane before you begin.") && text.contains("pitlane done 7"), "{text}");
    assert!(!text.contains("In-Reply-To"), "the first one answers nobody: {text}");

    let sheet = store.board().sheet(CASE).await.expect("readable").expect("it is there");
    assert_eq!(sheet.ticket, ticket);
    let missed = sheet.comments.iter().filter(|comment| comment.text.contains("did not reach gone@")).count();
    assert_eq!(missed, 3, "{sheet:?}");
    let Seen::Known { value, .. } = mailed.look(CASE).await else { panic!("the board is there") };
    assert_eq!((value.ticket, value.status), (ticket, WorkOrderStatus::Cancelled));
}

#[tokio::test]
async fn a_mail_server_that_is_down_leaves_the_work_order_on_the_board() {
    let (lab, dir) = (relay(), tempfile::tempdir().expect("a directory"));
    let store = store::open(dir.path(), Arc::new(Now)).expect("a fresh store");
    let post = PostConfig { port: 1, ..config(&lab, MailTls::None, &["hands"]) };
    let mailed = Mailed::new(Arc::new(store.board()), post, "lab", Arc::new(Now)).expect("is made");
    let order =
        WorkOrder { node: "pve2".into(), title: "fan".into(), body: "Fan 3.".into(), checklist: Vec::new() };
    let key = StepId::new(CASE, "work-order");
    for _ in 0..2 {
        let down = mailed.open(&key, CASE, &order).await.expect_err("nobody is there");
        assert_eq!(down.kind(), "unreachable", "{down}");
    }
    assert_eq!(store.board().sheets(10).await.expect("readable").len(), 1);
}
