//! The real program behind a bad network: connections that are swallowed, drip, break in the middle, or are refused, in front
//! of every member at once; and members whose certificate has expired. What cannot be seen is not touched.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pitlane::sim::World;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::hardship::{begins_nothing, draining, ends_well, members, not_ready, probe, ready, world};
use crate::proxy::{BAD, Manner, Proxy};
use crate::site::{SOON, Site};

/// A site whose members are reached through a proxy each.
pub async fn behind_proxies(world: World) -> (Site, Vec<Proxy>) {
    let mut site = Site::open(world, 8.0).await;
    let mut proxies = Vec::new();
    for url in site.door.endpoints.values_mut() {
        let target: SocketAddr = url.trim_start_matches("https://").parse().expect("an address");
        let proxy = Proxy::before(target).await;
        *url = format!("https://{}", proxy.address);
        proxies.push(proxy);
    }
    (site, proxies)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_manner_of_a_bad_network_makes_it_guess() {
    let (mut site, proxies) = behind_proxies(world()).await;
    draining(&mut site, "").await;
    for manner in BAD {
        proxies.iter().for_each(|proxy| proxy.now(manner));
        not_ready(&site, "the cluster cannot be seen").await;
        let said = site.said("bob", &["status"]).await;
        assert!(said.code == 4 && said.out.contains("BLIND"), "{manner:?}: {said:?}");
        begins_nothing(&site, &format!("begun while the network {manner:?}")).await;
        proxies.iter().for_each(|proxy| proxy.now(Manner::Passes));
        ready(&site).await;
        assert_eq!(site.door.violation(), None, "{manner:?}\n{}", site.log_tail());
    }
    ends_well(&site).await;
    site.kill().await;
}

/// One member's way is bad: two others can still be asked, and the drain goes on. (Of three, one of which is drained, the
/// one that is left is no second witness; then it waits.)
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_member_behind_a_bad_network_holds_nothing_up() {
    let (mut site, proxies) = behind_proxies(members(4)).await;
    draining(&mut site, "").await;
    for manner in BAD {
        // pve3: neither drained, nor the one with our Ceph client.
        proxies[2].now(manner);
        let turned = async || probe(&site).await;
        site.until("it is ready all the same", SOON, turned, |(code, _)| *code == 200).await;
    }
    proxies[2].now(Manner::Swallows);
    site.phase(1, "handed-over", Duration::from_secs(240)).await;
    proxies[2].now(Manner::Passes);
    ends_well(&site).await;
    site.kill().await;
}

/// An authority of our own: the cluster's key is not ours to borrow.
struct Authority(Issuer<'static, KeyPair>, String);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("an authority").pem();
        Self(Issuer::new(params, key), pem)
    }

    /// Good until so many days from now; negative: it has expired.
    fn leaf(&self, days: i32) -> Arc<rustls::ServerConfig> {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
        let now = std::time::SystemTime::now();
        let day = Duration::from_secs(24 * 3600);
        params.not_before = (now - day * 400).into();
        params.not_after = match u32::try_from(days) {
            Ok(days) => (now + day * days).into(),
            Err(_) => (now - day * days.unsigned_abs()).into(),
        };
        let key = KeyPair::generate().expect("a key");
        let leaf: CertificateDer<'static> = params.signed_by(&key, &self.0).expect("a leaf").into();
        let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let tls = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![leaf], secret);
        Arc::new(tls.expect("a certificate"))
    }
}

/// Speaks TLS with one certificate to whoever comes, and with the member behind.
async fn with_certificate(
    tls: tokio::sync::watch::Receiver<Arc<rustls::ServerConfig>>,
    target: SocketAddr,
    ca: String,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let mut roots = rustls::RootCertStore::empty();
    for root in rustls_pemfile_of(&ca) {
        roots.add(root).expect("an authority");
    }
    let client = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let client = tokio_rustls::TlsConnector::from(Arc::new(client));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, client) = (TlsAcceptor::from(tls.borrow().clone()), client.clone());
            tokio::spawn(async move {
                let Ok(mut outer) = acceptor.accept(stream).await else { return };
                let Ok(inner) = TcpStream::connect(target).await else { return };
                let name = rustls::pki_types::ServerName::try_from("127.0.0.1").expect("a name");
                let Ok(mut inner) = client.connect(name, inner).await else { return };
                let _ = tokio::io::copy_bidirectional(&mut outer, &mut inner).await;
            });
        }
    });
    address
}

fn rustls_pemfile_of(pem: &str) -> Vec<CertificateDer<'static>> {
    use rustls::pki_types::pem::PemObject;
    CertificateDer::pem_slice_iter(pem.as_bytes()).map(|one| one.expect("a certificate")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn expired_certificates_are_named_and_new_ones_are_taken_by_themselves() {
    let mut site = Site::open(world(), 8.0).await;
    let authority = Authority::new();
    let (good, expired) = (authority.leaf(30), authority.leaf(-1));
    let (certificate, presented) = tokio::sync::watch::channel(good.clone());
    let ca = site.door.ca_pem.clone();
    for url in site.door.endpoints.values_mut() {
        let target: SocketAddr = url.trim_start_matches("https://").parse().expect("an address");
        *url = format!("https://{}", with_certificate(presented.clone(), target, ca.clone()).await);
    }
    site.put("ca.pem", &format!("{ca}{}", authority.1));
    draining(&mut site, "").await;

    certificate.send_replace(expired);
    // Connections that are open stay good, as they do in life; new ones are not made.
    site.kill().await;
    site.spawn();
    not_ready(&site, "the cluster cannot be seen").await;
    let said = site.said("bob", &["status"]).await;
    assert!(said.code == 4 && said.out.to_lowercase().contains("expired"), "{said:?}");
    begins_nothing(&site, "begun with members whose certificate has expired").await;
    certificate.send_replace(good);
    ready(&site).await;
    ends_well(&site).await;
    site.kill().await;
}
