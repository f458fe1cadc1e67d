//! What task definitions say that a launch must know: their containers, their network mode, where they log.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_ecs::types::{ContainerDefinition, LogDriver, NetworkMode, TaskDefinition, TaskDefinitionStatus};

use super::region::{Region, learn};
use super::settings::TaskSettings;
use crate::runners::LogPlace;
use crate::runners::aws::Fault;

/// A family means its latest revision, which changes; a revision never does, but memory is not endless.
const FRESH: Duration = Duration::from_mins(1);
const KEPT: usize = 1000;

/// What a launch must know of a task definition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Definition {
    /// Its containers, in its order.
    pub containers: Vec<Container>,
    /// Whether its tasks get network interfaces of their own, and so need subnets.
    pub needs_subnets: bool,
    /// Whether it was deregistered: it can be read, and not run.
    pub inactive: bool,
}

/// A container of a task definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    pub name: String,
    /// The task ends with it.
    pub essential: bool,
    /// Log group and stream prefix, where it logs to CloudWatch.
    pub log: Option<(String, Option<String>)>,
}

impl Definition {
    fn of(definition: &TaskDefinition) -> Self {
        Self {
            containers: definition.container_definitions().iter().map(Container::of).collect(),
            needs_subnets: definition.network_mode() == Some(&NetworkMode::Awsvpc),
            inactive: definition.status().is_some_and(|status| *status != TaskDefinitionStatus::Active),
        }
    }

    /// Whether settings name subnets where its tasks need some, and only there.
    pub fn check_subnets(&self, settings: &TaskSettings) -> Result<(), String> {
        match (self.needs_subnets, settings.subnets.is_empty()) {
            (true, true) => {
                Err("settings.subnets is missing: the task definition's network mode is awsvpc".to_owned())
            }
            (false, false) => {
                Err("settings.subnets must be absent: the task definition's network mode is not awsvpc"
                    .to_owned())
            }
            _ => Ok(()),
        }
    }

    /// The container that is the task: the one named, the only one, the only essential one.
    pub fn container(&self, named: Option<&str>) -> Result<&Container, String> {
        let all = || self.containers.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ");
        if let Some(name) = named {
            return self.containers.iter().find(|c| c.name == name).ok_or_else(|| {
                format!("settings.container: the task definition has no container {name}; it has {}", all())
            });
        }
        let mut essential = self.containers.iter().filter(|c| c.essential);
        match (self.containers.as_slice(), essential.next(), essential.next()) {
            ([only], ..) | (_, Some(only), None) => Ok(only),
            _ => Err(format!(
                "settings.container is missing: the task definition has several containers that could be the \
                 task: {}",
                all()
            )),
        }
    }
}

impl Container {
    fn of(container: &ContainerDefinition) -> Self {
        let log = container.log_configuration().filter(|log| *log.log_driver() == LogDriver::Awslogs);
        let option = |name: &str| log.and_then(|log| log.options()?.get(name).cloned());
        Self {
            name: container.name().unwrap_or_default().to_owned(),
            // The API leaves it out where it is true.
            essential: container.essential() != Some(false),
            log: option("awslogs-group").map(|group| (group, option("awslogs-stream-prefix"))),
        }
    }

    /// Where a task of this container logs. Without a prefix the stream has Docker's name for the container, which
    /// ECS does not tell.
    pub fn log_place(&self, task_arn: &str) -> Option<LogPlace> {
        let (group, prefix) = self.log.as_ref()?;
        let task = task_arn.rsplit('/').next().unwrap_or_default();
        let stream = prefix.as_ref().map(|prefix| format!("{prefix}/{}/{task}", self.name));
        Some(LogPlace { group: group.clone(), stream })
    }
}

/// Those read lately, by the name asked for.
#[derive(Debug, Default)]
pub struct Definitions {
    read: Mutex<HashMap<String, (Instant, Arc<Definition>)>>,
}

impl Definitions {
    fn known(&self, name: &str) -> Option<Arc<Definition>> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.get(name).filter(|(at, _)| at.elapsed() < FRESH).map(|(_, definition)| Arc::clone(definition))
    }

    fn keep(&self, name: &str, definition: &Arc<Definition>) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.len() >= KEPT {
            read.clear();
        }
        read.insert(name.to_owned(), (Instant::now(), Arc::clone(definition)));
    }
}

/// Reads a task definition, unless that was done lately.
pub async fn definition(region: &Region, name: &str) -> Result<Arc<Definition>, Fault> {
    if let Some(known) = region.definitions.known(name) {
        return Ok(known);
    }
    region.definition_reads.wait().await;
    let answer = region.ecs.describe_task_definition().task_definition(name).send().await;
    let answer = learn(&region.definition_reads, "DescribeTaskDefinition", answer)?;
    let definition = Arc::new(answer.task_definition().map(Definition::of).unwrap_or_default());
    region.definitions.keep(name, &definition);
    Ok(definition)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(containers: &[(&str, bool)]) -> Definition {
        let containers = containers
            .iter()
            .map(|(name, essential)| Container {
                name: (*name).to_owned(),
                essential: *essential,
                log: Some(("/jobs".to_owned(), Some("job".to_owned()))),
            })
            .collect();
        Definition { containers, needs_subnets: true, inactive: false }
    }

    #[test]
    fn the_task_is_the_named_or_only_or_only_essential_container() {
        let name = |d: &Definition, named| d.container(named).map(|c| c.name.clone());
        assert_eq!(name(&definition(&[("a", false)]), None), Ok("a".to_owned()));
        assert_eq!(name(&definition(&[("log", false), ("a", true)]), None), Ok("a".to_owned()));
        let two = definition(&[("a", true), ("b", true)]);
        assert_eq!(name(&two, Some("b")), Ok("b".to_owned()));
        assert!(name(&two, None).unwrap_err().contains("could be the task: a, b"));
        assert!(name(&two, Some("c")).unwrap_err().contains("no container c; it has a, b"));
    }

    #[test]
    fn the_stream_is_prefix_container_and_task() {
        let place =
            definition(&[("a", true)]).containers[0].log_place("arn:aws:ecs:r:1:task/jobs/0123").unwrap();
        assert_eq!(place, LogPlace { group: "/jobs".to_owned(), stream: Some("job/a/0123".to_owned()) });
    }
}
