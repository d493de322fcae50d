//! Sends bodies over connections that stay open, and takes the time of each answer. The clients' own CPU is nobody's.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Where requests go, and with which head.
#[derive(Clone)]
pub struct Target {
    pub address: SocketAddr,
    pub path: &'static str,
    pub token: Option<&'static str>,
}

/// One connection.
pub struct Line {
    stream: BufReader<TcpStream>,
    head: String,
}

impl Line {
    pub fn to(target: &Target) -> std::io::Result<Self> {
        let stream = TcpStream::connect(target.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let token =
            target.token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: Alertmanager/0.25.0\r\n{token}Content-Type: \
             application/json\r\nContent-Length: ",
            target.path
        );
        Ok(Self { stream: BufReader::new(stream), head })
    }

    /// The answer's status and its text.
    pub fn ask(&mut self, body: &str) -> std::io::Result<(u16, String)> {
        let request = format!("{}{}\r\n\r\n{body}", self.head, body.len());
        self.stream.get_mut().write_all(request.as_bytes())?;
        let bad = || std::io::Error::from(std::io::ErrorKind::InvalidData);
        let (mut status, mut length) = (0, 0);
        let mut line = String::new();
        loop {
            line.clear();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let text = line.trim_end();
            if text.is_empty() {
                break;
            } else if status == 0 {
                status = text.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(bad)?;
            } else if let Some((name, value)) = text.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().map_err(|_| bad())?;
            }
        }
        let mut text = String::new();
        (&mut self.stream).take(length).read_to_string(&mut text)?;
        Ok((status, text))
    }
}

/// What was seen of a load.
pub struct Seen {
    pub took: Duration,
    /// Sorted.
    pub answers: Vec<Duration>,
}

impl Seen {
    /// The time within which this share of all answers came.
    pub fn within(&self, share: f64) -> Duration {
        let at = (self.answers.len() as f64 * share).ceil() as usize;
        self.answers[at.clamp(1, self.answers.len()) - 1]
    }
}

/// Sends `count` bodies over `lines` connections at once. Every answer has to be 200.
pub fn send(
    target: &Target,
    lines: usize,
    count: usize,
    body: impl Fn(usize) -> String + Send + Sync + 'static,
) -> Seen {
    // Made before the clock runs, in pieces: the clients share the machine with the server.
    let bodies: Arc<Vec<String>> = Arc::new((0..count).map(body).collect());
    let next = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let threads: Vec<_> = (0..lines)
        .map(|_| {
            let (target, bodies, next) = (target.clone(), bodies.clone(), next.clone());
            std::thread::spawn(move || {
                let mut line = Line::to(&target).expect("the server listens");
                let mut answers = Vec::new();
                while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let asked = Instant::now();
                    let (status, _) = line.ask(body).expect("an answer");
                    assert_eq!(status, 200, "{} says {status}", target.path);
                    answers.push(asked.elapsed());
                }
                answers
            })
        })
        .collect();
    let mut answers: Vec<Duration> = threads.into_iter().flat_map(|t| t.join().expect("a sender")).collect();
    answers.sort_unstable();
    Seen { took: began.elapsed(), answers }
}
