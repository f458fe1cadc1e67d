//! Exit codes of containers.

/// What shells and container engines mean by the higher exit codes.
#[must_use]
pub fn signal(code: i32) -> Option<String> {
    let meaning = match code {
        126 => "the command cannot be executed".to_owned(),
        127 => "the command was not found".to_owned(),
        129..=192 => {
            let signal = nix::sys::signal::Signal::try_from(code - 128).ok()?;
            format!("killed by signal {} {}", code - 128, signal.as_str())
        }
        _ => return None,
    };
    Some(format!("{meaning} (exit code {code})"))
}
