//! What anybody may send to the listener for agents, and what a host that has gone wrong may say: all of it is bounded, and the others
//! do not notice.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;

use crate::api::PATIENCE;
use crate::at_rest;
use crate::faults::{deploy, deployed};
use crate::stand::Stand;

type Tls = StreamOwned<ClientConnection, TcpStream>;

/// RFC 6455, section 4.1.
const UPGRADE: &str = "GET /agent/v1 HTTP/1.1\r\nhost: hub\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Who connects.
#[derive(Clone, Copy, PartialEq, Eq)]
enum As {
    Stranger,
    Host,
}

/// A connection to the listener.
fn connect(stand: &Stand, who: As) -> Tls {
    let identity: Value = serde_json::from_slice(&std::fs::read(stand.site().join("host.json")).unwrap()).unwrap();
    let pem = |name: &str| identity[name].as_str().unwrap().as_bytes();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(pem("ca_pem")).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match who {
        As::Stranger => builder.with_no_client_auth(),
        As::Host => {
            let certificate = CertificateDer::from_pem_slice(pem("certificate_pem")).unwrap();
            let key = PrivateKeyDer::from_pem_file(stand.site().join("host.key")).unwrap();
            builder.with_client_auth_cert(vec![certificate], key).unwrap()
        }
    };
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let stream = TcpStream::connect(stand.front.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream)
}

/// Everything until the hub ends the connection, however it does.
fn until_the_end(stream: &mut impl std::io::Read) -> String {
    let mut told = Vec::new();
    if let Err(error) = stream.read_to_end(&mut told) {
        let late = matches!(
            error.kind(),
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
        );
        assert!(!late, "the hub does not end it: {}", String::from_utf8_lossy(&told));
    }
    String::from_utf8_lossy(&told).into_owned()
}

/// What is answered to these bytes, when the hub has ended the connection.
fn answer(stand: &Stand, who: As, bytes: &[u8]) -> String {
    let mut stream = connect(stand, who);
    // Whoever sends too much may be cut off while it does.
    let _ = stream.write_all(bytes).and_then(|()| stream.flush());
    until_the_end(&mut stream)
}

fn join(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /join HTTP/1.1\r\nhost: hub\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// A frame of a client, its mask all zeros.
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    assert!(payload.len() < 126);
    [&[0x80 | kind, 0x80 | payload.len() as u8, 0, 0, 0, 0], payload].concat()
}

#[test]
fn what_is_sent_to_the_listener_for_agents_is_bounded() {
    let stand = Stand::start(1, None);
    deployed(&stand, &deploy(&stand, "before"));
    let is = |status: &str, bytes: &[u8]| {
        let told = answer(&stand, As::Stranger, bytes);
        assert!(told.starts_with(&format!("HTTP/1.1 {status}")), "{status}: {told}");
    };
    std::thread::scope(|scope| {
        // Those who send too little are given up. They take their time, at the same time.
        let slow = join(&[b' '; 40]);
        scope.spawn(move || is("408", &slow[..slow.len() - 1]));
        scope.spawn(|| assert_eq!(answer(&stand, As::Stranger, b"GET /agent/v1 HTTP/1.1\r\nx-slow: "), ""));
        scope.spawn(|| {
            let mut silent = TcpStream::connect(stand.front.address()).unwrap();
            silent.set_read_timeout(Some(PATIENCE)).unwrap();
            assert_eq!(until_the_end(&mut silent), "");
        });
        scope.spawn(|| {
            let told = answer(&stand, As::Host, UPGRADE.as_bytes());
            assert!(told.starts_with("HTTP/1.1 101"), "a host that says nothing: {told}");
        });
    });
    let mut garbage = TcpStream::connect(stand.front.address()).unwrap();
    garbage.set_read_timeout(Some(PATIENCE)).unwrap();
    garbage.write_all(&[0xff; 4096]).unwrap();
    until_the_end(&mut garbage);
    is("401", UPGRADE.as_bytes());
    // It is refused before all of it has come. Who is still sending then may lose the answer (RFC 9112, section 9.6).
    let told = answer(&stand, As::Stranger, &join(&vec![b' '; 1 << 20]));
    assert!(told.is_empty() || told.starts_with("HTTP/1.1 413"), "{told}");
    is("400", &join("[".repeat(60_000).as_bytes()));
    is("400", &join(format!("{{\"token\":{}", "[".repeat(60_000)).as_bytes()));
    is("400", &join(b"{\"token\":\"\xff\"}"));
    is(
        "404",
        b"GET /api/v1/vms HTTP/1.1\r\nhost: hub\r\nconnection: close\r\n\r\n",
    );
    // A host's own certificate allows to speak, not to say anything at all.
    let huge = [0x81, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let (text, binary) = (1, 2);
    for wrong in [
        frame(text, b"{"),
        frame(text, b"\xff\xfe"),
        frame(text, b"{\"report\":{}}"),
        frame(binary, b"{}"),
        huge.to_vec(),
        // Not masked, as a server's.
        vec![0x81, 0x02, b'{', b'}'],
        // A kind that there is not.
        frame(7, b"x"),
    ] {
        let told = answer(&stand, As::Host, &[UPGRADE.as_bytes(), &wrong].concat());
        assert!(told.starts_with("HTTP/1.1 101"), "{wrong:?}: {told}");
    }
    // The real agent comes back, and the hub has taken no harm.
    deployed(&stand, &deploy(&stand, "after"));
    at_rest::administration_is_content(&stand);
    at_rest::nobody_panicked(&stand);
}
