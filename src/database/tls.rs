//! Encryption with rustls, as strict as `sslmode` says.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
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
        let lenient =
            Lenient { provider: Arc::clone(&provider), signers: None, own: Vec::new(), names: false };
        (Arc::new(lenient), None)
    } else {
        let (roots, own, from) = roots(&tls.roots)?;
        let strict = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|error| unusable(format!("the trusted certificates from {from}: {error}")))?;
        let names = tls.mode != SslMode::VerifyCa;
        (Arc::new(Lenient { provider: Arc::clone(&provider), signers: Some(strict), own, names }), Some(from))
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

/// Signers, and the certificates that a file names, each of which may be a server's own; with where they are from.
type Trusted = (RootCertStore, Vec<CertificateDer<'static>>, String);

fn roots(named: &Roots) -> Result<Trusted, DatabaseError> {
    match named {
        Roots::File(path) => from_file(path),
        Roots::System => from_system(),
        Roots::Usual => match libpqs_roots() {
            Some(path) => from_file(&path),
            None => from_system(),
        },
    }
}

fn from_file(path: &Path) -> Result<Trusted, DatabaseError> {
    let mut store = RootCertStore::empty();
    let found = certificates(path, "sslrootcert")?;
    for certificate in &found {
        store
            .add(certificate.clone())
            .map_err(|error| unusable(format!("sslrootcert {}: {error}", path.display())))?;
    }
    Ok((store, found, path.display().to_string()))
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

fn from_system() -> Result<Trusted, DatabaseError> {
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
    Ok((store, Vec::new(), SYSTEM.to_owned()))
}

/// As libpq does it. The server always proves that it has the key of the certificate which it shows.
#[derive(Debug)]
struct Lenient {
    provider: Arc<CryptoProvider>,
    /// From `verify-ca` on: one of our signers has signed that certificate. None below that: no signer is needed.
    signers: Option<Arc<WebPkiServerVerifier>>,
    /// Certificates that are trusted as they stand. A server may show one of these itself: the manual of Postgres makes such
    /// a one, which is its own signer, and for the library that is no certificate of a server.
    own: Vec<CertificateDer<'static>>,
    /// `verify-full`: the certificate is for the name of the host.
    names: bool,
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
            )) if !self.names => Ok(ServerCertVerified::assertion()),
            // Its dates are looked at before that.
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(other)))
                if other.to_string().contains("CaUsedAsEndEntity")
                    && self.own.iter().any(|own| own.as_ref() == certificate.as_ref()) =>
            {
                if self.names {
                    verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                }
                Ok(ServerCertVerified::assertion())
            }
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
