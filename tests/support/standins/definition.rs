//! Task definitions for the tests' containers.

use std::path::Path;

use aws_sdk_ecs::types::{
    ContainerDefinition, HostVolumeProperties, LogConfiguration, LogDriver, MountPoint, NetworkMode, Secret,
    Volume,
};

use super::{Ministack, unique, variable};
use crate::support::aws::REGION;

/// One container `main`, in the host's network so that it reaches Postgres on 127.0.0.1, which logs to
/// [`Ministack::LOG_GROUP`].
#[derive(Clone)]
pub struct Definition {
    image: String,
    volume: Option<String>,
    command: Vec<String>,
    secrets: Vec<(String, String)>,
    stop_timeout: i32,
}

impl Definition {
    pub const CONTAINER: &str = "main";

    /// Of busybox and nothing else.
    pub fn busybox() -> Self {
        Self::of(variable("ROWCALL_TEST_IMAGE"))
    }

    /// Of busybox, `rowcall-task`, the example `file_loader` and `/data/airports.csv`.
    pub fn loader() -> Self {
        Self::of(variable("ROWCALL_TEST_LOADER_IMAGE"))
    }

    pub fn of(image: impl Into<String>) -> Self {
        Self { image: image.into(), volume: None, command: Vec::new(), secrets: Vec::new(), stop_timeout: 2 }
    }

    /// What runs unless an override says otherwise.
    pub fn command(mut self, command: &[&str]) -> Self {
        self.command = command.iter().map(ToString::to_string).collect();
        self
    }

    /// A directory that the container sees at the same place.
    pub fn sees(mut self, directory: &Path) -> Self {
        self.volume = Some(directory.to_str().unwrap().to_owned());
        self
    }

    /// A variable with what a secret holds.
    pub fn secret(mut self, name: &str, arn: &str) -> Self {
        self.secrets.push((name.to_owned(), arn.to_owned()));
        self
    }

    /// Seconds between the asking and the killing.
    pub fn stop_timeout(mut self, seconds: i32) -> Self {
        self.stop_timeout = seconds;
        self
    }

    /// Makes it known under a new family; `family:revision`.
    pub async fn register(self, ministack: &Ministack, family: &str) -> String {
        self.register_as(ministack, &unique(family)).await
    }

    /// The same under this very family, which is new to the server.
    pub async fn register_as(self, ministack: &Ministack, family: &str) -> String {
        let mut container = ContainerDefinition::builder()
            .name(Self::CONTAINER)
            .image(self.image)
            .memory(64)
            .essential(true)
            .stop_timeout(self.stop_timeout)
            .set_command((!self.command.is_empty()).then_some(self.command))
            .log_configuration(to_the_log_group());
        for (name, arn) in self.secrets {
            container = container.secrets(Secret::builder().name(name).value_from(arn).build().unwrap());
        }
        let mut call = ministack.ecs().register_task_definition().family(family);
        if let Some(place) = self.volume {
            let host = HostVolumeProperties::builder().source_path(&place).build();
            call = call.volumes(Volume::builder().name("place").host(host).build());
            let mount = MountPoint::builder().source_volume("place").container_path(place).build();
            container = container.mount_points(mount);
        }
        call.network_mode(NetworkMode::Host).container_definitions(container.build()).send().await.unwrap();
        format!("{family}:1")
    }
}

fn to_the_log_group() -> LogConfiguration {
    LogConfiguration::builder()
        .log_driver(LogDriver::Awslogs)
        .options("awslogs-group", Ministack::LOG_GROUP)
        .options("awslogs-region", REGION)
        .options("awslogs-stream-prefix", "task")
        .build()
        .unwrap()
}
