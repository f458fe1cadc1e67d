//! An image registry on this machine's loopback, which engines trust without TLS: it has one image, for those who may.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

pub struct Registry {
    port: u16,
    state: Arc<Content>,
    serving: JoinHandle<()>,
}

struct Content {
    /// What a caller must show, if anything.
    password: Option<String>,
    manifest: Vec<u8>,
    blobs: BTreeMap<String, Vec<u8>>,
    /// Who has asked for the image, and fetched parts of it.
    asked: Mutex<u32>,
    fetched: Mutex<u32>,
    /// Answers 503 to everything.
    broken: Mutex<bool>,
}

fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

impl Registry {
    /// With the image `tool:1`, which is busybox and a file that no other image has.
    pub async fn start(password: Option<&str>) -> Self {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("bin")).unwrap();
        std::fs::copy(busybox(), place.path().join("bin/sh")).unwrap();
        std::fs::write(place.path().join("mark"), format!("{:x}", rand::random::<u128>())).unwrap();
        let layer = std::process::Command::new("tar")
            .arg("-C")
            .arg(place.path())
            .args(["-c", "."])
            .output()
            .unwrap()
            .stdout;
        let config = json!({"architecture": "amd64", "os": "linux", "config": {"Entrypoint": ["/bin/sh"]},
            "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]}});
        let config = config.to_string().into_bytes();
        let described = |media: &str, bytes: &[u8]| json!({"mediaType": media, "size": bytes.len(), "digest": digest(bytes)});
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST,
            "config": described("application/vnd.docker.container.image.v1+json", &config),
            "layers": [described("application/vnd.docker.image.rootfs.diff.tar.gzip", &layer)]});
        let blobs = [config, layer].map(|bytes| (digest(&bytes), bytes)).into();
        let state = Arc::new(Content {
            password: password.map(str::to_owned),
            manifest: manifest.to_string().into_bytes(),
            blobs,
            asked: Mutex::new(0),
            fetched: Mutex::new(0),
            broken: Mutex::new(false),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let app = Router::new().fallback(answer).with_state(Arc::clone(&state));
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { port, state, serving }
    }

    /// `127.0.0.1:port`
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn image(&self) -> String {
        format!("{}/tool:1", self.host())
    }

    /// How often somebody has asked what the image is.
    pub fn asked(&self) -> u32 {
        *self.state.asked.lock().unwrap()
    }

    /// How often somebody has fetched one of its two parts.
    pub fn fetched(&self) -> u32 {
        *self.state.fetched.lock().unwrap()
    }

    /// Answers nobody any more, or again.
    pub fn break_down(&self, broken: bool) {
        *self.state.broken.lock().unwrap() = broken;
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.serving.abort();
        let _ = std::process::Command::new("docker").args(["image", "rm", "--force", &self.image()]).output();
    }
}

/// The static one of which the test images are made.
fn busybox() -> std::path::PathBuf {
    std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .map(|dir| dir.join("busybox"))
        .find(|file| file.is_file())
        .unwrap()
}

async fn answer(State(content): State<Arc<Content>>, request: Request) -> Response {
    if *content.broken.lock().unwrap() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if let Some(password) = &content.password {
        use base64::Engine as _;
        let wanted =
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("me:{password}")));
        let shown = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        if shown != Some(wanted.as_str()) {
            let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"test\"")];
            let body = json!({"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]})
                .to_string();
            return (StatusCode::UNAUTHORIZED, challenge, body).into_response();
        }
    }
    let path = request.uri().path().to_owned();
    if path == "/v2/" {
        return ([("Docker-Distribution-Api-Version", "registry/2.0")], "{}").into_response();
    }
    if let Some(reference) = path.strip_prefix("/v2/tool/manifests/")
        && (reference == "1" || reference == digest(&content.manifest))
    {
        *content.asked.lock().unwrap() += 1;
        let head = [
            (header::CONTENT_TYPE.as_str(), MANIFEST.to_owned()),
            ("Docker-Content-Digest", digest(&content.manifest)),
        ];
        return (head, content.manifest.clone()).into_response();
    }
    if let Some(blob) = path.strip_prefix("/v2/tool/blobs/").and_then(|name| content.blobs.get(name)) {
        *content.fetched.lock().unwrap() += 1;
        return ([(header::CONTENT_TYPE, "application/octet-stream")], blob.clone()).into_response();
    }
    let body = json!({"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}).to_string();
    (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
