//! Encryption with rustls, as strict as `sslmode` says.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::DatabaseError;
use super::address::{Roots, SslMode, Tls, libpqs_roots};

/// What Postgres is called where protocols are negotiated, which `sslnegotiation=direct` insists on.
const PROTOCOL: &[u8] = b"postgresql";

/// Who the signers are where no file names them.
pub const SYSTEM: &str = "the system";

/// Whom a connection believes, and in whose name an error may speak of it.
#[derive(Clone)]
pub struct Encryption {
    /// For the driver.
    pub make: MakeRustlsConnect,
    /// Where the trusted signers came from; none if the server is not verified.
    pub signers: Option<String>,
}

/// Reads the files that these wishes name.
pub fn encryption(tls: &Tls) -> Result<Encryption, DatabaseError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let (verifier, signers): (Arc<dyn ServerCertVerifier>, _) = if tls.mode < SslMode::VerifyCa {
        (Arc::new(Lenient { provider: Arc::clone(&provider), signers: None }), None)
    } else {
        let (roots, from) = roots(&tls.roots)?;
        let strict = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|error| unusable(format!("the trusted certificates from {from}: {error}")))?;
        let verifier: Arc<dyn ServerCertVerifier> = match tls.mode {
            SslMode::VerifyCa => Arc::new(Lenient { provider: Arc::clone(&provider), signers: Some(strict) }),
            _ => strict,
        };
        (verifier, Some(from))
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match &tls.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(certificate, "sslcert")?;
            let secret = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| unusable(format!("sslkey {}: {error}", key.display())))?;
            builder.with_client_auth_cert(chain, secret).map_err(|error| {
                unusable(format!("sslcert {} with sslkey {}: {error}", certificate.display(), key.display()))
            })?
        }
    };
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(Encryption { make: MakeRustlsConnect::new(config), signers })
}

fn unusable(what: String) -> DatabaseError {
    DatabaseError::Tls(what)
}

fn roots(named: &Roots) -> Result<(RootCertStore, String), DatabaseError> {
    match named {
        Roots::File(path) => from_file(path),
        Roots::System => from_system(),
        Roots::Usual => match libpqs_roots() {
            Some(path) => from_file(&path),
            None => from_system(),
        },
    }
}

fn from_file(path: &Path) -> Result<(RootCertStore, String), DatabaseError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(path, "sslrootcert")? {
        store
            .add(certificate)
            .map_err(|error| unusable(format!("sslrootcert {}: {error}", path.display())))?;
    }
    Ok((store, path.display().to_string()))
}

fn certificates(path: &Path, key: &str) -> Result<Vec<CertificateDer<'static>>, DatabaseError> {
    let wrong = |error: rustls::pki_types::pem::Error| unusable(format!("{key} {}: {error}", path.display()));
    let found =
        CertificateDer::pem_file_iter(path).map_err(wrong)?.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    if found.is_empty() {
        return Err(unusable(format!(
            "{key} {}: there is no certificate in it (the form is PEM)",
            path.display()
        )));
    }
    Ok(found)
}

fn from_system() -> Result<(RootCertStore, String), DatabaseError> {
    let mut store = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    store.add_parsable_certificates(found.certs);
    if store.is_empty() {
        return Err(unusable(
            "there are no trusted certificates on this system: name a file with sslrootcert (or PGSSLROOTCERT), such \
             as AWS' global-bundle.pem for RDS"
                .to_owned(),
        ));
    }
    Ok((store, SYSTEM.to_owned()))
}

/// Weaker than `verify-full`: the server proves that it has the key of the certificate which it shows.
#[derive(Debug)]
struct Lenient {
    provider: Arc<CryptoProvider>,
    /// `verify-ca`: one of our signers has signed that certificate, for any name. None below that: no signer is needed.
    signers: Option<Arc<WebPkiServerVerifier>>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(signers) = &self.signers else { return Ok(ServerCertVerified::assertion()) };
        // The name is checked last: a certificate that fails by its name has passed all other checks.
        match signers.verify_server_cert(certificate, between, name, ocsp, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
