//! What stands before RDS where IAM signs people in: it speaks TLS, asks for a password in the clear (under TLS), and
//! lets in. Behind it is a server that trusts.

use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

use super::Authority;

/// What somebody said of themselves.
#[derive(Debug, Clone)]
pub struct SignIn {
    pub user: String,
    pub password: String,
}

/// Listens until it is dropped.
pub struct TlsFront {
    pub port: u16,
    shown: Arc<Mutex<Vec<SignIn>>>,
    _serving: AbortOnDropHandle<()>,
}

impl TlsFront {
    /// With a certificate for `localhost`, before the server of this URL.
    pub async fn start(authority: &Authority, url: &str) -> Self {
        let (certificate, key) = authority.sign("localhost");
        let chain = CertificateDer::pem_file_iter(&certificate).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(&key).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let behind: tokio_postgres::Config = url.split('?').next().unwrap().parse().unwrap();
        let behind = behind.get_ports()[0];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shown = Arc::<Mutex<Vec<SignIn>>>::default();
        let seen = Arc::clone(&shown);
        let serving = AbortOnDropHandle::new(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
                // Who hangs up half-way has only themselves to tell.
                tokio::spawn(async move { pass(stream, &acceptor, &seen, behind).await.ok() });
            }
        }));
        Self { port, shown, _serving: serving }
    }

    /// All who came so far.
    pub fn shown(&self) -> Vec<SignIn> {
        self.shown.lock().unwrap().clone()
    }
}

async fn pass(
    mut stream: TcpStream,
    acceptor: &TlsAcceptor,
    seen: &Mutex<Vec<SignIn>>,
    behind: u16,
) -> std::io::Result<()> {
    // SSLRequest; libpq may ask for GSSAPI first, which is not had here.
    loop {
        let mut request = [0; 8];
        stream.read_exact(&mut request).await?;
        match u32::from_be_bytes(request[4..].try_into().unwrap()) {
            80_877_103 => break,
            _ => stream.write_all(b"N").await?,
        }
    }
    stream.write_all(b"S").await?;
    let mut stream = acceptor.accept(stream).await?;
    let length = stream.read_u32().await?;
    let mut startup = vec![0; length as usize - 4];
    stream.read_exact(&mut startup).await?;
    let words: Vec<_> = startup[4..].split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    let user = words.chunks(2).find(|pair| pair[0] == "user").unwrap()[1].to_string();
    // AuthenticationCleartextPassword
    stream.write_all(&[b'R', 0, 0, 0, 8, 0, 0, 0, 3]).await?;
    assert_eq!(stream.read_u8().await?, b'p');
    let length = stream.read_u32().await?;
    let mut password = vec![0; length as usize - 4];
    stream.read_exact(&mut password).await?;
    let password = String::from_utf8_lossy(&password).trim_end_matches('\0').to_owned();
    seen.lock().unwrap().push(SignIn { user, password });
    let mut server = TcpStream::connect(("127.0.0.1", behind)).await?;
    server.write_u32(startup.len() as u32 + 4).await?;
    server.write_all(&startup).await?;
    copy_bidirectional(&mut stream, &mut server).await?;
    Ok(())
}
