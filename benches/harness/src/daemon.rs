//! Rowcall itself: its schema, one task, and the dispatcher of this process.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rowcall::database::migrate;
use rowcall::dispatcher::{Dispatcher, DispatcherError, Mode};
use rowcall::runners::Runners;
use rowcall::settings::{Settings, Sources, load};
use tokio_postgres::{Client, NoTls};
use tokio_util::sync::CancellationToken;

use crate::figures::Figures;
use crate::given::Given;
use crate::made_at;
use crate::worker::{self, Worker};

/// All replicas make it. A retry comes after a second, as the work is that short; all else is as for any task.
const TASK: &str = "insert into rowcall.parameters (name, description, on_status, runner, target, command, max_attempts, backoff)
    values ('harness', 'The work of the harness', 'REGISTERED', $1, 'harness', $2, $3, '1 second')
    on conflict (name) do nothing";

/// The harness allows five seconds from SIGTERM to the end.
const GRACE: &str = "3s";

/// Between two tries to begin.
const PAUSE: Duration = Duration::from_millis(500);

/// The dispatcher, and what another one in its place needs.
pub struct Daemon {
    settings: Settings,
    given: Arc<Given>,
    figures: Arc<Figures>,
    dispatcher: Dispatcher,
}

impl Daemon {
    /// Migrates the database and starts. Settings are the defaults, and whatever `ROWCALL_…` variables say.
    pub async fn start(given: &Arc<Given>, figures: &Arc<Figures>) -> anyhow::Result<Self> {
        let settings = load(&Sources::from_process(None).with_flag("dispatcher.shutdown_grace", GRACE))?;
        let mut client = connect(&given.database_url).await?;
        migrate(&mut client, |_| {}).await.context("the migration failed")?;
        let command = vec![made_at::TEMPLATE];
        let runner = worker::NAME.as_str();
        client.execute(TASK, &[&runner, &command, &given.max_attempts]).await?;
        let dispatcher = dispatcher(&settings, given, figures).await?;
        Ok(Self { settings, given: Arc::clone(given), figures: Arc::clone(figures), dispatcher })
    }

    /// The dispatcher of this process. It may be another one later.
    pub fn dispatcher(&self) -> &Dispatcher {
        &self.dispatcher
    }

    /// The version of Rowcall, as dispatchers tell it.
    pub async fn version(&self) -> anyhow::Result<String> {
        let client = connect(&self.given.database_url).await?;
        let sql = "select version from rowcall.dispatchers where id = $1";
        Ok(client.query_one(sql, &[&self.dispatcher.id().get()]).await?.try_get(0)?)
    }

    /// Dispatches until told to drain. A dispatcher that gives up is followed by another, as with any daemon that is watched over.
    pub async fn serve(mut self, drain: CancellationToken) -> anyhow::Result<()> {
        loop {
            let draining = self.dispatcher.draining();
            tokio::select! {
                () = draining.cancelled() => {}
                () = drain.cancelled() => {
                    self.dispatcher.drain();
                    return Ok(self.dispatcher.finish().await?);
                }
            }
            let next = async {
                tokio::time::sleep(PAUSE).await;
                dispatcher(&self.settings, &self.given, &self.figures).await
            };
            let before = self.dispatcher;
            let Err(error) = before.finish().await else { return Ok(()) };
            tracing::warn!(%error, "starting another dispatcher");
            self.dispatcher = tokio::select! {
                started = next => started?,
                () = drain.cancelled() => return Ok(()),
            };
        }
    }
}

/// One more; it waits for the database, as `rowcall serve` does.
async fn dispatcher(
    settings: &Settings,
    given: &Arc<Given>,
    figures: &Arc<Figures>,
) -> Result<Dispatcher, DispatcherError> {
    loop {
        let started = Dispatcher::start(settings.clone(), Mode::Serve, |_, ends| {
            Ok(Runners::default().with(Arc::new(Worker::new(ends, given, figures))))
        });
        match started.await {
            Err(error) if error.is_away() => tracing::warn!(%error, "waiting for the database"),
            other => return other,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn connect(url: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.context("cannot connect")?;
    tokio::spawn(connection);
    Ok(client)
}
