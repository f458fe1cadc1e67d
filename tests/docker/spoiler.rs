//! An engine that answers nonsense: its answers to one kind of call are changed on their way.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, UnixStream};
use tokio::task::JoinHandle;

/// Listens on a port of its own, in front of this machine's engine.
pub struct Spoiler {
    port: u16,
    state: Arc<Mutex<State>>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    /// What is changed in the answers to calls whose path ends like this.
    spoiled: Option<(String, Change)>,
    /// How many answers were changed so.
    times: usize,
}

type Change = Arc<dyn Fn(&mut Value) + Send + Sync>;
type Body = Either<Full<Bytes>, Incoming>;

impl Spoiler {
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State::default()));
        let theirs = Arc::clone(&state);
        let accepting = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let state = Arc::clone(&theirs);
                let service = service_fn(move |call| answer(Arc::clone(&state), call));
                let serving = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(client), service);
                tokio::spawn(serving);
            }
        });
        Self { port, state, accepting }
    }

    pub fn host(&self) -> String {
        format!("tcp://127.0.0.1:{}", self.port)
    }

    /// From now on the answers to calls whose path ends like this are changed.
    pub fn spoil(&self, path: &str, change: impl Fn(&mut Value) + Send + Sync + 'static) {
        *self.state.lock().unwrap() = State { spoiled: Some((path.to_owned(), Arc::new(change))), times: 0 };
    }

    /// The engine answers right again; says how many of its answers were changed.
    pub fn mend(&self) -> usize {
        std::mem::take(&mut *self.state.lock().unwrap()).times
    }
}

async fn answer(state: Arc<Mutex<State>>, call: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let path = call.uri().path().to_owned();
    let Ok(response) = passed_on(call).await else {
        let gone = Response::builder().status(StatusCode::BAD_GATEWAY);
        return Ok(gone.body(Either::Left(Full::default())).unwrap());
    };
    let spoiled = state.lock().unwrap().spoiled.clone().filter(|(end, _)| path.ends_with(end.as_str()));
    let Some((_, change)) = spoiled.filter(|_| response.status().is_success()) else {
        return Ok(response.map(Either::Right));
    };
    let (mut head, body) = response.into_parts();
    let mut body: Value = serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
    change(&mut body);
    state.lock().unwrap().times += 1;
    head.headers.remove(hyper::header::CONTENT_LENGTH);
    head.headers.remove(hyper::header::TRANSFER_ENCODING);
    Ok(Response::from_parts(head, Either::Left(Full::from(body.to_string()))))
}

/// What the engine itself answers to a question.
pub async fn honest(path: &str) -> Value {
    let question = Request::get(path).header("host", "engine").body(Full::<Bytes>::default()).unwrap();
    let answer = passed_on(question).await.unwrap().collect().await.unwrap();
    serde_json::from_slice(&answer.to_bytes()).unwrap()
}

async fn passed_on<B>(call: Request<B>) -> hyper::Result<Response<Incoming>>
where
    B: hyper::body::Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let engine = UnixStream::connect("/var/run/docker.sock").await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(engine)).await?;
    tokio::spawn(connection);
    sender.send_request(call).await
}

impl Drop for Spoiler {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
