//! Whether a task could run, as far as the engine tells without starting one.

use super::Core;
use super::image_name::host_and_rest;
use super::settings::{Pull, TaskSettings};

/// Asks the engine for the image and the network, and the registry for what would have to be pulled.
pub async fn probe(core: &Core, target: &str, settings: &TaskSettings) -> Result<String, String> {
    let engine = &core.engine;
    if let Some(network) = settings.network.as_deref() {
        let looked = engine.call("looking for a network", |docker| async move {
            docker.inspect_network(network, None).await
        });
        looked.await.map_err(|fault| format!("settings.network {network}: {fault}"))?;
    }
    let there = engine
        .call("looking for the image", |docker| async move { docker.inspect_image(target).await })
        .await;
    let pull = core.pull(settings);
    match there {
        Ok(_) if pull != Pull::Always => {
            return Ok(format!("the image is on the engine {}", engine.endpoint.url));
        }
        Err(fault) if !fault.is_missing() => return Err(fault.message),
        Err(_) if pull == Pull::Never => {
            return Err(format!(
                "target {target}: the image is not on the engine, and settings.pull is never"
            ));
        }
        _ => {}
    }
    let (host, _) = host_and_rest(target);
    let usual = engine.usual_registry().await.map_err(|fault| fault.message)?;
    let credentials = core.logins.find(host, &usual).await?;
    let asked = engine.call("asking the registry", |docker| async move {
        docker.inspect_registry_image(target, credentials).await
    });
    asked.await.map_err(|fault| format!("target {target}: {fault}"))?;
    Ok("the image can be pulled".to_owned())
}
