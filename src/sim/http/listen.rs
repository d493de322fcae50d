//! One TLS listener for each simulated member, with the manners of Proxmox's HTTP server: HTTP/1.1 only, an idle
//! connection is closed without a word, a connection serves a hundred requests, and an error closes it.
//!
//! A member without power takes no connection: what is open is dropped, what knocks is turned away at once. The listening
//! socket itself stays, so that nobody else on this machine can take the port meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::answer::Last;
use super::cert::Leaf;
use super::door::Door;
use crate::model::ids::NodeName;

/// Real seconds, whatever the world's speed: it is about sockets, and a client's pool counts real seconds, too.
const IDLE_MAX: Duration = Duration::from_secs(5);
/// Real seconds for a TLS handshake; a client that does not finish it holds a place for nothing.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
const REQUESTS_MAX: usize = 100;
/// For each member, as Proxmox has it.
const CONNECTIONS_MAX: usize = 500;

/// Accepts connections for `member` until `stop`.
pub(super) async fn accept(
    door: Arc<Door>,
    member: NodeName,
    listener: TcpListener,
    leaf: Leaf,
    stop: CancellationToken,
) {
    let tls = TlsAcceptor::from(leaf.tls);
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors: let some be given back before the next try.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        if !door.powered(&member) {
            continue;
        }
        let (door, member, tls, stop) = (Arc::clone(&door), member.clone(), tls.clone(), stop.clone());
        tokio::spawn(async move {
            let _place = place;
            tokio::select! {
                () = stop.cancelled() => {}
                () = door.dark(&member) => {}
                () = connection(&door, &member, stream, tls) => {}
            }
        });
    }
}

async fn connection(door: &Door, member: &NodeName, stream: TcpStream, tls: TlsAcceptor) {
    let mut first = [0; 1];
    let peeked = tokio::time::timeout(HANDSHAKE_MAX, stream.peek(&mut first)).await;
    // 0x16: a TLS handshake. Anything else is somebody who forgot the s of https.
    match peeked {
        Ok(Ok(1)) if first[0] == 0x16 => {}
        Ok(Ok(1)) => return redirect(stream).await,
        _ => return,
    }
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_MAX, tls.accept(stream)).await else { return };
    let (busy, idle) = watch::channel(0_usize);
    let served = AtomicUsize::new(0);
    let service = service_fn(|request: Request<Incoming>| {
        let last =
            if served.fetch_add(1, Ordering::Relaxed) + 1 >= REQUESTS_MAX { Last::Yes } else { Last::No };
        busy.send_modify(|count| *count += 1);
        let busy = &busy;
        async move {
            let response = respond(door, member, request, last).await;
            busy.send_modify(|count| *count -= 1);
            response
        }
    });
    let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    tokio::select! {
        // How a connection ends is the client's business; what was said on it is in the world.
        _ = serving.as_mut() => return,
        () = quiet(idle) => {}
    }
    serving.as_mut().graceful_shutdown();
    let _ = serving.await;
}

/// Returns when no request has been under way for [`IDLE_MAX`].
async fn quiet(mut busy: watch::Receiver<usize>) {
    loop {
        let idle = *busy.borrow_and_update() == 0;
        let changed = busy.changed();
        let closed = if idle {
            match tokio::time::timeout(IDLE_MAX, changed).await {
                Err(_) => return,
                Ok(changed) => changed.is_err(),
            }
        } else {
            changed.await.is_err()
        };
        if closed {
            return;
        }
    }
}

/// A machine without power says nothing, not even what it was about to say.
async fn respond(
    door: &Door,
    member: &NodeName,
    request: Request<Incoming>,
    last: Last,
) -> Result<Response<Full<Bytes>>, Dark> {
    let asked = super::ask::read(request).await;
    if !door.powered(member) {
        return Err(Dark);
    }
    let answer = match asked {
        Ok(ask) => door.answer(member, &ask),
        Err(refusal) => refusal,
    };
    tokio::time::sleep(door.real(answer.takes)).await;
    if door.powered(member) { Ok(answer.render(door.messages, last)) } else { Err(Dark) }
}

/// The member lost its power.
#[derive(Debug, thiserror::Error)]
#[error("the member has no power")]
struct Dark;

/// Plain HTTP on the TLS port.
async fn redirect(mut stream: TcpStream) {
    let mut head = [0; 8];
    let Ok(Ok(read)) = tokio::time::timeout(HANDSHAKE_MAX, stream.read(&mut head)).await else { return };
    let looks = head[..read].starts_with(b"GET ") || head[..read].starts_with(b"HEAD ");
    let status = if looks { "301 Moved Permanently" } else { "308 Permanent Redirect" };
    let place = stream.local_addr().map(|addr| addr.to_string()).unwrap_or_default();
    let text = format!(
        "HTTP/1.1 {status}\r\nLocation: https://{place}/\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    );
    // The client may be gone; there is nobody to tell.
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}
