//! What Fargate sells: sizes of whole tasks, as AWS documents them under "Task CPU and memory" of Fargate task definitions.

use super::settings::TaskSettings;

/// CPU units, and for each the least and the most memory in MiB, and the steps between.
const SIZES: [(u32, u32, u32, u32); 7] = [
    (256, 512, 2048, 512),
    (512, 1024, 4096, 1024),
    (1024, 2048, 8192, 1024),
    (2048, 4096, 16384, 1024),
    (4096, 8192, 30720, 1024),
    (8192, 16384, 61440, 4096),
    (16384, 32768, 122_880, 8192),
];

/// Refuses a size that Fargate does not have, where the settings say that it is to run there and name one.
pub fn check_size(task: &TaskSettings) -> Result<(), String> {
    let providers = &task.capacity_provider_strategy;
    let on_fargate = task.launch_type.as_deref() == Some("FARGATE")
        || providers.iter().any(|provider| provider.capacity_provider.starts_with("FARGATE"));
    let number = |units: &Option<super::settings::Units>| units.as_ref()?.0.parse::<u32>().ok();
    let (Some(cpu), true) = (number(&task.cpu), on_fargate) else { return Ok(()) };
    let Some((_, least, most, step)) = SIZES.iter().find(|(units, ..)| *units == cpu) else {
        let sizes = SIZES.map(|(units, ..)| units.to_string()).join(", ");
        return Err(format!("settings.cpu is {cpu}, and Fargate has {sizes} CPU units (1024 are one vCPU)"));
    };
    match number(&task.memory) {
        // 256 units have 512, 1024 and 2048.
        Some(memory)
            if !(least..=most).contains(&&memory) || memory % step != 0 || cpu == 256 && memory == 1536 =>
        {
            Err(format!(
                "settings.memory is {memory}, and Fargate has {least} to {most} MiB in steps of {step} for {cpu} CPU units"
            ))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(mut more: Value) -> Result<(), String> {
        more["cluster"] = json!("jobs");
        check_size(&TaskSettings::read(&more).unwrap())
    }

    #[test]
    fn sizes_that_fargate_does_not_have_are_refused() {
        for fits in [
            json!({"launch_type": "FARGATE", "cpu": 256, "memory": 512}),
            json!({"launch_type": "FARGATE", "cpu": 4096, "memory": 30720}),
            json!({"launch_type": "FARGATE", "cpu": 1024}),
            json!({"launch_type": "FARGATE", "memory": 333}),
            json!({"launch_type": "EC2", "cpu": 246, "memory": 333}),
            json!({"cpu": 246}),
        ] {
            assert_eq!(check(fits.clone()), Ok(()), "{fits}");
        }
        let spot = json!([{"capacity_provider": "FARGATE_SPOT", "weight": 1}]);
        for (more, said) in [
            (
                json!({"launch_type": "FARGATE", "cpu": 246}),
                "settings.cpu is 246, and Fargate has 256, 512, 1024",
            ),
            (json!({"capacity_provider_strategy": spot, "cpu": 246}), "settings.cpu is 246"),
            (json!({"launch_type": "FARGATE", "cpu": 256, "memory": 4096}), "has 512 to 2048 MiB"),
            (json!({"launch_type": "FARGATE", "cpu": 256, "memory": 1536}), "settings.memory is 1536"),
            (json!({"launch_type": "FARGATE", "cpu": 8192, "memory": 17000}), "in steps of 4096"),
        ] {
            let refused = check(more).unwrap_err();
            assert!(refused.contains(said), "{refused}");
        }
    }
}
