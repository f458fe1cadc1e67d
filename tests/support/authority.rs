//! Certificates of the tests' own authority.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// Signs certificates, and keeps all in files.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    place: tempfile::TempDir,
    signed: AtomicU32,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("ca.pem"), issuer.pem()).unwrap();
        // The server runs as another user, and reads its certificate here.
        allow(place.path(), 0o755);
        Self { issuer, place, signed: AtomicU32::new(0) }
    }

    /// The file with the authority's own certificate.
    pub fn certificate(&self) -> PathBuf {
        self.place.path().join("ca.pem")
    }

    /// A certificate for a host, or in the name of a user, and its key.
    pub fn sign(&self, name: &str) -> (PathBuf, PathBuf) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let number = self.signed.fetch_add(1, Ordering::Relaxed);
        let file = |ending: &str| self.place.path().join(format!("{name}-{number}.{ending}"));
        std::fs::write(file("pem"), certificate.pem()).unwrap();
        std::fs::write(file("key"), key.serialize_pem()).unwrap();
        allow(&file("key"), 0o600);
        (file("pem"), file("key"))
    }

    /// The same for a Postgres server, which takes only a key of its own.
    pub fn sign_for_server(&self, name: &str) -> (PathBuf, PathBuf) {
        let (certificate, key) = self.sign(name);
        if nix::unistd::geteuid().is_root() {
            assert!(Command::new("chown").arg("postgres").arg(&key).status().unwrap().success());
        }
        (certificate, key)
    }

    /// A certificate for a Postgres server that is its own signer, as the manual of Postgres makes one, and its key.
    pub fn self_signed_for_server(&self, name: &str) -> (PathBuf, PathBuf) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let (pem, secret) =
            (self.file("own.pem", &certificate.pem()), self.file("own.key", &key.serialize_pem()));
        allow(&secret, 0o600);
        if nix::unistd::geteuid().is_root() {
            assert!(Command::new("chown").arg("postgres").arg(&secret).status().unwrap().success());
        }
        (pem, secret)
    }

    /// A file beside the certificates that the server may read.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.place.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

fn allow(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
