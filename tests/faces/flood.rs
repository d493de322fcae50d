//! A real service with hundreds of strangers on it: it goes on answering, and it does not grow.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::running::Service;

/// What strangers may cost, in MiB: 64 KiB of buffers for each of 256 connections, and the allocator's slack.
const GROWS_MAX_MIB: u64 = 48;

#[test]
fn strangers_cost_a_bounded_memory_and_nobody_his_answer() {
    let service = Service::start("");
    let at = service.url.trim_start_matches("http://").to_owned();
    let before = service.resident_mib();
    let began = Instant::now();
    let mut strangers = Vec::new();
    let mut most = before;
    // Each sends the beginning of a head and of a body, as much as it is let, and never the end; many are cut off at once.
    for n in 0..600 {
        let Ok(mut stream) = TcpStream::connect(&at) else { continue };
        let _ = stream.set_write_timeout(Some(Duration::from_millis(50)));
        let head = format!("POST /alerts/alertmanager HTTP/1.1\r\nhost: a\r\nx: {}\r\n", "y".repeat(30_000));
        let _ = stream.write_all(head.as_bytes());
        if n % 2 == 0 {
            let _ = stream.write_all(b"content-length: 60000000\r\n\r\n");
            let _ = stream.write_all(&[b'z'; 60_000]);
        }
        strangers.push(stream);
        most = most.max(service.resident_mib());
    }
    assert!(most - before <= GROWS_MAX_MIB, "{before} MiB became {most} MiB");
    // From another address people are heard all the while; this one's share comes back when the strangers are let go.
    while !service.probe("/livez").contains("200 OK") {
        assert!(began.elapsed() < Duration::from_secs(60), "the strangers are never let go");
        std::thread::yield_now();
    }
    for mut stream in strangers {
        let _ = stream.set_read_timeout(Some(Duration::from_secs(30)));
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(!String::from_utf8_lossy(&answer).contains("200 OK"), "a stranger was served");
    }
    assert_eq!(service.ask("read", &["cases"]).0, 0);
}
