//! What goes on behind a stand-in's back.

use tokio::process::Command;

/// The containers of one server.
pub struct Containers<'a>(&'a str);

impl<'a> Containers<'a> {
    pub fn of(label: &'a str) -> Self {
        Self(label)
    }

    /// Ids of all of them, also of those that have ended.
    pub async fn all(&self) -> Vec<String> {
        self.list(&[]).await
    }

    /// Ids of a task's.
    pub async fn of_task(&self, arn: &str) -> Vec<String> {
        self.list(&["--filter", &of(arn)]).await
    }

    /// Ids of those of a task's that have not ended.
    pub async fn running_of_task(&self, arn: &str) -> Vec<String> {
        self.list(&["--filter", "status=running", "--filter", &of(arn)]).await
    }

    /// Sends a task's container a signal.
    pub async fn kill(&self, arn: &str, signal: &str) {
        docker(&["kill", "--signal", signal, &self.one(arn).await]).await;
    }

    /// Takes memory away from a task's container, such as `8m`.
    pub async fn limit_memory(&self, arn: &str, limit: &str) {
        docker(&["update", "--memory", limit, "--memory-swap", limit, &self.one(arn).await]).await;
    }

    /// Removes a task's container.
    pub async fn remove(&self, arn: &str) {
        docker(&["rm", "--force", &self.one(arn).await]).await;
    }

    async fn one(&self, arn: &str) -> String {
        let found = self.of_task(arn).await;
        assert_eq!(found.len(), 1, "containers of {arn}: {found:?}");
        found[0].clone()
    }

    async fn list(&self, filter: &[&str]) -> Vec<String> {
        let label = format!("label={}", self.0);
        let all = ["ps", "--all", "--quiet", "--no-trunc", "--filter", &label];
        docker(&[&all, filter].concat()).await.lines().map(ToOwned::to_owned).collect()
    }
}

fn of(arn: &str) -> String {
    format!("label=com.amazonaws.ecs.task-arn={arn}")
}

async fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().await.unwrap();
    assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
