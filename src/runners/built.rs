//! Which runners this build has: cargo's features decide, all of them on by default.

use crate::job::RunnerName;

/// Those built in, in the order of their names.
#[must_use]
pub fn built_in() -> Vec<RunnerName> {
    RunnerName::ALL.iter().copied().filter(|name| is_built_in(*name)).collect()
}

/// Whether this build has the runner. Its feature has its name.
#[must_use]
pub fn is_built_in(name: RunnerName) -> bool {
    match name {
        RunnerName::Process => cfg!(feature = "process"),
        RunnerName::Docker => cfg!(feature = "docker"),
        RunnerName::Ecs => cfg!(feature = "ecs"),
        RunnerName::Lambda => cfg!(feature = "lambda"),
    }
}

/// What is said to one that asks for a runner that is not there.
#[must_use]
pub fn not_built_in(name: RunnerName) -> String {
    let has: Vec<&str> = built_in().iter().map(|name| name.as_str()).collect();
    let has = if has.is_empty() { "no runner".to_owned() } else { has.join(", ") };
    format!(
        "this rowcall was built without the runner {name} (it has {has}): \
         use a build with cargo's feature {name}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_runner_is_told_with_those_that_are_there() {
        assert!(RunnerName::ALL.iter().all(|name| is_built_in(*name) == built_in().contains(name)));
        let told = not_built_in(RunnerName::Ecs);
        assert!(built_in().iter().all(|name| told.contains(name.as_str())), "{told}");
        assert!(told.ends_with("use a build with cargo's feature ecs"), "{told}");
    }
}
