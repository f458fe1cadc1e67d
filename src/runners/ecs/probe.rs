//! Whether a task could run, as far as AWS tells without starting one.

use super::definitions::definition;
use super::region::{Region, learn};
use super::settings::TaskSettings;

/// Reads what a launch would read, and looks into the cluster as following a task would.
pub async fn probe(region: &Region, target: &str, settings: &TaskSettings) -> Result<String, String> {
    let definition = definition(region, target)
        .await
        .map_err(|fault| format!("DescribeTaskDefinition {target}: {fault}"))?;
    if definition.inactive {
        return Err(format!("target {target}: the task definition is no longer active"));
    }
    let container = definition.container(settings.container.as_deref())?;
    definition.check_subnets(settings)?;
    region.read.wait().await;
    let answer = region.ecs.list_tasks().cluster(&settings.cluster).max_results(1).send().await;
    learn(&region.read, "ListTasks", answer)
        .map_err(|fault| format!("ListTasks of cluster {}: {fault}", settings.cluster))?;
    Ok(format!("container {} on cluster {}", container.name, settings.cluster))
}
