//! A bad network: a proxy in front of one address that passes bytes on, or does what cables, firewalls and tired machines do.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What the network does, from now on and to connections that are open already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    Passes,
    /// Takes connections and every byte, and never answers: a half-open connection, a firewall that forgets.
    Swallows,
    /// Answers one byte a second.
    Drips,
    /// Cuts each answer off after its first bytes, with a reset.
    Resets,
    /// Turns connections away and drops those that are open.
    Refuses,
}

pub const BAD: [Manner; 4] = [Manner::Swallows, Manner::Drips, Manner::Resets, Manner::Refuses];

/// Bytes that a reset lets through: TLS's greeting on a new connection, less than one answer on an open one.
const RESET_AFTER: usize = 1_000;

/// Closed when it is dropped.
pub struct Proxy {
    pub address: SocketAddr,
    manner: watch::Sender<Manner>,
    stop: CancellationToken,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Proxy {
    pub async fn before(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (manner, watched) = watch::channel(Manner::Passes);
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(accept(listener, target, watched)));
        Self { address, manner, stop }
    }

    pub fn now(&self, manner: Manner) {
        self.manner.send_replace(manner);
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, manner: watch::Receiver<Manner>) {
    let mut open = tokio::task::JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let manner = manner.clone();
        open.spawn(async move {
            if *manner.borrow() == Manner::Refuses {
                return reset(client);
            }
            let Ok(server) = TcpStream::connect(target).await else { return };
            carry(client, server, manner).await;
        });
        while open.try_join_next().is_some() {}
    }
}

/// RST instead of FIN.
fn reset(stream: TcpStream) {
    let _ = stream.set_zero_linger();
}

async fn carry(mut client: TcpStream, mut server: TcpStream, mut manner: watch::Receiver<Manner>) {
    let (mut asked, mut answered) = (vec![0; 16 << 10], vec![0; 16 << 10]);
    let mut said = 0;
    loop {
        let now = *manner.borrow_and_update();
        if now == Manner::Refuses {
            return reset(client);
        }
        tokio::select! {
            _ = manner.changed() => said = 0,
            read = client.read(&mut asked) => match read {
                Ok(0) | Err(_) => return,
                Ok(_) if now == Manner::Swallows => {}
                Ok(n) => if server.write_all(&asked[..n]).await.is_err() { return },
            },
            read = server.read(&mut answered), if now != Manner::Swallows => match read {
                Ok(0) | Err(_) => return,
                Ok(n) if now == Manner::Drips => {
                    for byte in &answered[..n] {
                        if client.write_all(&[*byte]).await.is_err() { return }
                        tokio::select! {
                            () = tokio::time::sleep(Duration::from_secs(1)) => {}
                            _ = manner.changed() => return,
                        }
                    }
                }
                Ok(n) if now == Manner::Resets && said + n > RESET_AFTER => {
                    let _ = client.write_all(&answered[..n / 2]).await;
                    return reset(client);
                }
                Ok(n) => {
                    said += n;
                    if client.write_all(&answered[..n]).await.is_err() { return }
                }
            },
        }
    }
}
