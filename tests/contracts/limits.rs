//! The surface under those who do not play by the rules: half-open, slow, greedy, endless. Small bounds, real sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use pitlane::web::{Bounds, Listening, serve_within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;

const BOUNDS: Bounds = Bounds {
    connections_max: 16,
    per_address_max: 4,
    headers_within: Duration::from_millis(400),
    stuck_for: Duration::from_millis(600),
};

/// No wait in here takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

struct Surface {
    at: SocketAddr,
    /// Pieces of the endless answer that were asked for.
    pieces: Arc<AtomicUsize>,
    /// Endless answers that somebody still holds.
    held: Arc<AtomicUsize>,
    stop: CancellationToken,
}

impl Drop for Surface {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

struct Held(Arc<AtomicUsize>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn surface() -> Surface {
    let (pieces, held) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (count, open) = (pieces.clone(), held.clone());
    let endless = get(move || async move {
        open.fetch_add(1, Ordering::SeqCst);
        let state = (Held(open), count);
        let body = futures::stream::unfold(state, |(held, count)| async move {
            count.fetch_add(1, Ordering::SeqCst);
            Some((Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 64 << 10])), (held, count)))
        });
        Body::from_stream(body)
    });
    let router = Router::new().route("/", get(|| async { "ok" })).route("/endless", endless);
    let listening = Listening::bind(([127, 0, 0, 1], 0).into(), None).await.expect("binds");
    let (at, stop) = (listening.address, CancellationToken::new());
    tokio::spawn(serve_within(BOUNDS, listening, router, stop.clone()));
    Surface { at, pieces, held, stop }
}

/// From another address of loopback.
async fn from(last: u8, at: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, last], 0).into()).expect("all of 127/8 is ours");
    socket.connect(at).await.expect("the kernel takes it")
}

/// Everything until the other side closes.
async fn to_the_end(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    // A reset is an end as well.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut all)).await.expect("it is closed in time");
    String::from_utf8_lossy(&all).into_owned()
}

async fn honest(last: u8, at: SocketAddr) -> String {
    let mut stream = from(last, at).await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.expect("writable");
    to_the_end(&mut stream).await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_or_half_of_it_is_let_go() {
    let surface = surface().await;
    for said in ["", "G", "GET / HTTP/1.1\r\nhost: a\r\n", "GET / HTTP/1.1\r\nhost: a\r\n\r\n"] {
        let mut stream = from(2, surface.at).await;
        stream.write_all(said.as_bytes()).await.expect("writable");
        let answer = to_the_end(&mut stream).await;
        // The last one is a whole request, answered; then it is idle, and let go as well.
        assert_eq!(answer.contains("200 OK"), said.ends_with("\r\n\r\n"), "{said:?}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_does_not_shut_out_the_others() {
    let surface = surface().await;
    let mut greedy = Vec::new();
    for _ in 0..64 {
        greedy.push(from(3, surface.at).await);
        assert!(honest(4, surface.at).await.contains("200 OK"), "with {} silent ones", greedy.len());
    }
    // Those beyond its share were closed as they came, and so are the rest when they said nothing for long.
    for mut stream in greedy {
        assert_eq!(to_the_end(&mut stream).await, "");
    }
    assert!(honest(3, surface.at).await.contains("200 OK"), "its share comes back");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_nobody_takes_is_given_up() {
    let surface = surface().await;
    let mut deaf = Vec::new();
    for last in 5..9 {
        let mut stream = from(last, surface.at).await;
        stream.write_all(b"GET /endless HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("writable");
        deaf.push(stream);
    }
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while surface.pieces.load(Ordering::SeqCst) == 0 || surface.held.load(Ordering::SeqCst) > 0 {
        assert!(tokio::time::Instant::now() < deadline, "answers are held for those who do not read");
        tokio::task::yield_now().await;
    }
    // What was made for them is what the kernel took, and a little: the answers had no end.
    let made = surface.pieces.load(Ordering::SeqCst) * (64 << 10);
    assert!(made < 256 << 20, "{made} bytes were made for four who read nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_have_an_end() {
    let surface = surface().await;
    for head in [
        format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "y".repeat(64 << 10)),
        format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "x: y\r\n".repeat(100)),
        format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(64 << 10)),
    ] {
        let mut stream = from(9, surface.at).await;
        // It may be cut off before it has said all of it.
        let _ = stream.write_all(head.as_bytes()).await;
        let answer = to_the_end(&mut stream).await;
        assert!(!answer.contains("200 OK"), "{answer}");
    }
    // A length that contradicts itself is how one request is smuggled inside another.
    let mut stream = from(9, surface.at).await;
    let twice = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nabcd";
    stream.write_all(twice).await.expect("writable");
    assert!(!to_the_end(&mut stream).await.contains("200 OK"));
    assert!(honest(9, surface.at).await.contains("200 OK"));
}
