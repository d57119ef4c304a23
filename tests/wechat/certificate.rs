//! Mutual TLS: a rustls server that demands the merchant's certificate, as WeChat does for refunds.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;

use buynow::wechat::pay::{CallError, ClientCertificate, PayClient, PayError, UnknownCause};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use secrecy::SecretString;

use crate::pay::{refund, refund_accepted};
use crate::stub::{merchant, number, pay_config};

/// An authority with certificates of a server and of a merchant.
struct Authority {
    ca: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { ca: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    fn root_pem(&self) -> Vec<u8> {
        self.ca.pem().into_bytes()
    }

    fn merchant(&self) -> ClientCertificate {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(Vec::new()).unwrap();
        let certificate = params.signed_by(&key, &self.ca).unwrap();
        ClientCertificate {
            cert_pem: certificate.pem().into_bytes(),
            key_pem: SecretString::from(key.serialize_pem()),
        }
    }

    fn server_config(&self) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.ca).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            );
        Arc::new(config.unwrap())
    }
}

/// What the server saw of one connection: the request's first line, or why there was none.
type Seen = Result<String, String>;

/// Serves one connection for each entry; `None` hangs up before the handshake.
fn serve(
    config: Arc<ServerConfig>,
    replies: Vec<Option<String>>,
) -> (String, JoinHandle<Vec<Seen>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let base = format!("https://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let serve_one = |reply: Option<String>| {
            let (socket, _) = listener.accept().unwrap();
            match reply {
                None => Err("hung up".to_owned()),
                Some(reply) => exchange(config.clone(), socket, &reply).map_err(|e| e.to_string()),
            }
        };
        replies.into_iter().map(serve_one).collect()
    });
    (base, server)
}

fn exchange(config: Arc<ServerConfig>, socket: TcpStream, reply: &str) -> std::io::Result<String> {
    let mut tls = StreamOwned::new(ServerConnection::new(config).unwrap(), socket);
    let mut request = String::new();
    let mut buffer = [0; 4096];
    while !request.ends_with("</xml>") {
        let read = tls.read(&mut buffer)?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        request.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    let length = reply.len();
    write!(tls, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{reply}")?;
    tls.flush()?;
    Ok(request.lines().next().unwrap_or_default().to_owned())
}

fn client(base: &str, authority: &Authority, certificate: Option<ClientCertificate>) -> PayClient {
    let mut config = pay_config(base);
    config.extra_root_pem = Some(authority.root_pem());
    config.certificate = certificate;
    PayClient::new(config).unwrap()
}

#[actix_web::test]
async fn a_refund_shows_the_merchants_certificate() {
    let authority = Authority::new();
    let (base, server) = serve(authority.server_config(), vec![Some(refund_accepted())]);
    let client = client(&base, &authority, Some(authority.merchant()));
    let accepted = client.refund(&merchant(), &refund()).await.unwrap();
    assert_eq!(accepted.refund_id, "5001");
    assert_eq!(server.join().unwrap(), [Ok("POST /secapi/pay/refund HTTP/1.1".to_owned())]);
}

#[actix_web::test]
async fn a_refund_without_certificate_is_refused_and_that_is_no_answer() {
    let authority = Authority::new();
    let (base, server) = serve(authority.server_config(), vec![Some(refund_accepted())]);
    let error = client(&base, &authority, None).refund(&merchant(), &refund()).await.unwrap_err();
    assert_eq!(error, PayError::Unknown(UnknownCause::Call(CallError::Broken)));
    let seen = server.join().unwrap().remove(0).unwrap_err();
    assert!(seen.contains("peer sent no certificates"), "{seen}");
}

#[actix_web::test]
async fn a_certificate_of_another_authority_is_refused() {
    let authority = Authority::new();
    let (base, server) = serve(authority.server_config(), vec![Some(refund_accepted())]);
    let foreign = Authority::new().merchant();
    let client = client(&base, &authority, Some(foreign));
    assert!(client.refund(&merchant(), &refund()).await.is_err());
    assert!(server.join().unwrap()[0].is_err());
}

#[actix_web::test]
async fn other_calls_do_not_show_the_certificate() {
    let authority = Authority::new();
    let (base, server) = serve(authority.server_config(), vec![Some(refund_accepted())]);
    let client = client(&base, &authority, Some(authority.merchant()));
    assert!(client.query_order(&merchant(), &number()).await.is_err());
    let seen = server.join().unwrap().remove(0).unwrap_err();
    assert!(seen.contains("peer sent no certificates"), "{seen}");
}

#[actix_web::test]
async fn a_connection_that_fails_once_is_tried_again_at_once() {
    let authority = Authority::new();
    let replies = vec![None, Some(refund_accepted())];
    let (base, server) = serve(authority.server_config(), replies);
    let client = client(&base, &authority, Some(authority.merchant()));
    assert!(client.refund(&merchant(), &refund()).await.is_ok());
    let seen = server.join().unwrap();
    assert!(seen[0].is_err() && seen[1].is_ok(), "{seen:?}");
}

#[actix_web::test]
async fn a_server_that_no_trusted_authority_vouches_for_gets_no_request() {
    let authority = Authority::new();
    let replies = vec![Some(refund_accepted()), Some(refund_accepted())];
    let (base, server) = serve(authority.server_config(), replies);
    let client = client(&base, &Authority::new(), Some(authority.merchant()));
    let error = client.refund(&merchant(), &refund()).await.unwrap_err();
    assert!(error.was_not_sent(), "{error}");
    assert!(server.join().unwrap().iter().all(Result::is_err));
}

#[actix_web::test]
async fn the_certificate_is_read_from_pem_files() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let merchants = authority.merchant();
    std::fs::write(&cert, &merchants.cert_pem).unwrap();
    std::fs::write(&key, secrecy::ExposeSecret::expose_secret(&merchants.key_pem)).unwrap();
    let (base, server) = serve(authority.server_config(), vec![Some(refund_accepted())]);
    let read = ClientCertificate::from_files(&cert, &key).unwrap();
    let client = client(&base, &authority, Some(read));
    assert!(client.refund(&merchant(), &refund()).await.is_ok());
    assert!(server.join().unwrap()[0].is_ok());
}
