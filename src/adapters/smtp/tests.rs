//! What a letter looks like, whatever a label brought. The dialogue itself is tried against a real server.

use super::*;

fn post() -> Post {
    let config = PostConfig {
        host: "127.0.0.1".into(),
        port: 25,
        tls: MailTls::None,
        login: None,
        ca_pem: None,
        from: "pitlane@lab.example".into(),
        to: vec!["a@lab.example".into(), "b@lab.example".into()],
        limit: None,
    };
    Post::new(config).unwrap_or_else(|e| panic!("{e}"))
}

fn letter<'a>(subject: &'a str, body: &'a str) -> Letter<'a> {
    let at = "2026-01-01T12:00:00Z".parse().expect("a valid instant");
    Letter { key: "lab\ncase-7/died", thread: Some("lab\ncase-7"), subject, body, at, important: true }
}

fn written(letter: &Letter<'_>) -> String {
    let post = post();
    let text = post.written(letter, &post.message_id(letter.key)).unwrap_or_else(|e| panic!("{e}"));
    String::from_utf8(text).expect("letters are ASCII")
}

/// The lines before the body; folded ones belong to their first.
fn heads(text: &str) -> Vec<&str> {
    let head = text.split("\r\n\r\n").next().unwrap_or_default();
    head.lines().filter(|line| !line.starts_with(' ')).map(|line| line.split(':').next().unwrap()).collect()
}

#[test]
fn a_hostile_label_writes_no_header() {
    let good = written(&letter("pve2 died", "Look.\n"));
    let hostile = "FAN 3\r\nBcc: everybody@lab.example\r\n\r\nhello\u{2028}X: y \u{202e}drow\0";
    let bad = written(&letter(hostile, "one\r\n.\r\nMAIL FROM:<x@y.example>\rQUIT\0\n"));
    let expected = [
        "From",
        "Message-ID",
        "Date",
        "Subject",
        "Auto-Submitted",
        "Content-Type",
        "To",
        "In-Reply-To",
        "References",
        "Importance",
    ];
    for text in [&good, &bad] {
        let mut seen = heads(text);
        seen.retain(|name| !["MIME-Version", "Content-Transfer-Encoding"].contains(name));
        assert_eq!(seen, expected, "{text}");
        assert!(text.is_ascii() && !text.contains('\0'), "{text}");
        assert!(text.replace("\r\n", "").find(['\r', '\n']).is_none(), "a bare line end: {text:?}");
    }
    assert!(good.contains("\r\nSubject: pve2 died\r\n"), "{good}");
    assert!(good.contains("\r\nAuto-Submitted: auto-generated\r\n"), "{good}");
}

#[test]
fn the_same_key_is_the_same_letter() {
    let (post, other) = (post(), "lab\ncase-7/closed");
    let id = post.message_id("lab\ncase-7/died");
    assert_eq!(id, self::post().message_id("lab\ncase-7/died"));
    assert_ne!(id, post.message_id(other));
    assert!(id.starts_with("<pitlane.") && id.ends_with("@lab.example>"), "{id}");
    let text = written(&letter("Lüfter steht", "Lüfter 3 in pve2 steht.\n"));
    assert!(text.contains(&format!("Message-ID: {id}\r\n")), "{text}");
    let root = post.message_id("lab\ncase-7");
    assert!(
        text.contains(&format!("In-Reply-To: {root}\r\n"))
            && text.contains(&format!("References: {root}\r\n"))
    );
    let first = Letter { thread: Some("lab\ncase-7/died"), ..letter("a", "b") };
    assert!(!written(&first).contains("In-Reply-To"), "the root answers nobody");
}

#[test]
fn in_the_clear_beyond_loopback_is_refused_before_anything_is_sent() {
    for (host, may) in [
        ("127.0.0.1", true),
        ("::1", true),
        ("localhost", true),
        ("192.0.2.1", false),
        ("mail.example", false),
    ] {
        let config = PostConfig {
            host: host.into(),
            port: 25,
            tls: MailTls::None,
            login: None,
            ca_pem: None,
            from: "pitlane@lab.example".into(),
            to: vec!["a@lab.example".into()],
            limit: None,
        };
        assert_eq!(Post::new(config).is_ok(), may, "{host}");
    }
}
