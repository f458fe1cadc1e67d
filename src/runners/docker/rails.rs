//! The operator's guard rails: what a table may not make this daemon do.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use wildmatch::WildMatch;

use super::image_name::{check_target, host_and_rest};
use super::settings::{MountSetting, TaskSettings};
use crate::job::RunnerName;
use crate::runners::rails::outside;
use crate::settings::DockerSettings;

/// The whole machine's network: not within what a * allows.
const HOST_NETWORK: &str = "host";

/// Networks that give a container no more than it has without saying anything.
const FREE_NETWORKS: [&str; 2] = ["none", "bridge"];

/// Refuses what the daemon's own settings do not allow, naming the rule. `local`: the engine's machine is this one.
pub fn check(
    target: &str,
    task: &TaskSettings,
    settings: &DockerSettings,
    local: bool,
) -> Result<(), String> {
    check_target(target)?;
    let outside = |what: &str, value: &str, list: &str| Err(outside(what, value, RunnerName::Docker, list));
    if !settings.images.iter().any(|rule| allows_image(rule, target)) {
        return outside("target", target, "images");
    }
    if let Some(network) = task.network.as_deref()
        && !FREE_NETWORKS.contains(&network)
        && !settings.networks.iter().any(|rule| allows_network(rule, network))
    {
        return outside("settings.network", network, "networks");
    }
    for mount in &task.mounts {
        if !allows(&settings.mounts, mount, local)? {
            let what = if mount.read_only { "settings.mounts:" } else { "settings.mounts: for writing," };
            return outside(what, &mount.source, "mounts");
        }
        if mount.is_path() {
            check_fixed(&settings.mounts, mount, local)?;
        }
    }
    Ok(())
}

/// A rule for images without a host must not let one in: `loader-*` is not meant for `loader-x.example/anything`. Nor
/// for `loader-x/anything`, which is an image of the Docker Hub user `loader-x`.
fn allows_image(rule: &str, image: &str) -> bool {
    if rule == "*" {
        return true;
    }
    let ((rule_host, rule_rest), (host, rest)) = (host_and_rest(rule), host_and_rest(image));
    let same_host = match (rule_host, host) {
        (None, None) => rule_rest.contains('/') || !rest.contains('/'),
        (Some(rule), Some(host)) => WildMatch::new(rule).matches(host),
        _ => false,
    };
    same_host && WildMatch::new(rule_rest).matches(rest)
}

fn allows_network(rule: &str, network: &str) -> bool {
    rule == network || network != HOST_NETWORK && WildMatch::new(rule).matches(network)
}

fn allows(rules: &[String], mount: &MountSetting, local: bool) -> Result<bool, String> {
    for rule in rules {
        if allows_mount(rule, mount, local)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn allows_mount(rule: &str, mount: &MountSetting, local: bool) -> Result<bool, String> {
    let (place, read_only) = rule.strip_suffix(":ro").map_or((rule, false), |place| (place, true));
    if read_only && !mount.read_only {
        return Ok(false);
    }
    Ok(match (place.starts_with('/'), mount.is_path()) {
        (true, true) => {
            let source = Path::new(&mount.source);
            // A link must not lead out of an allowed directory; where it leads on another machine is not known here.
            within(place, source, Path::new(place), read_only)
                && (!local || within(place, &resolved(source)?, &resolved(Path::new(place))?, read_only))
        }
        (false, false) => WildMatch::new(place).matches(&mount.source),
        _ => false,
    })
}

/// Refuses a source that lies in a directory which another task may have for writing: it could exchange the source for
/// a link to anywhere, after this look and before the engine's.
fn check_fixed(rules: &[String], mount: &MountSetting, local: bool) -> Result<(), String> {
    let source = Path::new(&mount.source);
    let mut above: Vec<PathBuf> = source.ancestors().skip(1).map(Path::to_owned).collect();
    if local {
        above.extend(resolved(source)?.ancestors().skip(1).map(Path::to_owned));
    }
    for place in above {
        if may_be_written(rules, &place, local)? {
            return Err(format!(
                "settings.mounts: {} lies in {}, which runners.docker.mounts gives tasks for writing, so that a task could \
                 exchange it; mount {1} itself, or a directory beside it",
                mount.source,
                place.display()
            ));
        }
    }
    Ok(())
}

/// Whether some rule gives tasks this place for writing, by the path as it is written or by where links lead.
fn may_be_written(rules: &[String], place: &Path, local: bool) -> Result<bool, String> {
    for rule in rules.iter().filter(|rule| rule.starts_with('/') && !rule.ends_with(":ro")) {
        let leads_here = local && within(rule, place, &resolved(Path::new(rule))?, false);
        if leads_here || within(rule, place, Path::new(rule), false) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a rule covers a source: the place itself, or for a rule that ends in / what is in it; what is deeper, and the
/// directory itself, only for reading.
fn within(rule: &str, source: &Path, place: &Path, read_only: bool) -> bool {
    match (rule.ends_with('/'), read_only) {
        (false, _) => source == place,
        (true, true) => source.starts_with(place),
        (true, false) => source.parent() == Some(place),
    }
}

/// Where links lead. The part of a path that this machine does not have (the daemon may run in a container of its own)
/// stays as it is written. A path that this daemon may not look at is refused: the engine may, and would follow a link
/// there.
fn resolved(path: &Path) -> Result<PathBuf, String> {
    let unknown = |at: &Path, error: &dyn std::fmt::Display| {
        format!("where {} leads is not known: {error}", at.display())
    };
    for there in path.ancestors() {
        match std::fs::canonicalize(there) {
            Ok(place) => {
                let rest = path.strip_prefix(there).unwrap_or(Path::new(""));
                // Joined with nothing, it would end in a /.
                return Ok(if rest.as_os_str().is_empty() { place } else { place.join(rest) });
            }
            // Also said of a link to what is not there, which may be there when the container starts.
            Err(e) if e.kind() == ErrorKind::NotFound && there.is_symlink() => {
                return Err(unknown(there, &e));
            }
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(unknown(there, &e)),
        }
    }
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Sources, load};
    use serde_json::{Value, json};

    fn settings() -> DockerSettings {
        DockerSettings {
            images: vec!["loader-*".into(), "acme/tool:7".into(), "*.acme.example/tasks/*".into()],
            mounts: vec!["/data/".into(), "/ref/:ro".into(), "/etc/app.toml:ro".into(), "cache-*".into()],
            networks: vec!["backend".into(), "job*".into()],
            ..load(&Sources::default()).unwrap().runners.docker
        }
    }

    fn refusal(target: &str, more: &Value) -> Option<String> {
        check(target, &TaskSettings::read(more).unwrap(), &settings(), false).err()
    }

    #[test]
    fn what_is_allowed_passes() {
        for target in ["loader-csv:7", "acme/tool:7", "eu.acme.example/tasks/a/b:1"] {
            assert_eq!(refusal(target, &json!({})), None, "{target}");
        }
        let mount = |source: &str, read_only: bool| json!({"mounts": [{"source": source, "target": "/x", "read_only": read_only}]});
        for more in [
            json!({"network": "none"}),
            json!({"network": "bridge"}),
            json!({"network": "backend"}),
            json!({"network": "jobs"}),
            mount("/data/a", false),
            mount("/ref", true),
            mount("/ref/a/b", true),
            mount("/etc/app.toml", true),
            mount("cache-7", false),
        ] {
            assert_eq!(refusal("loader-csv", &more), None, "{more}");
        }
    }

    #[test]
    fn what_is_not_allowed_is_refused_by_the_name_of_its_rule() {
        for target in [
            "loader",
            "acme/tool",
            "acme/tool:8",
            "loader-x.example/anything:1",
            "loader-x/anything:1",
            "acme.example/tasks/a",
            "eu.acme.example/other",
        ] {
            let refused = refusal(target, &json!({})).unwrap();
            assert!(refused.contains("runners.docker.images"), "{target}: {refused}");
        }
        let mount = |source: &str, read_only: bool| json!({"mounts": [{"source": source, "target": "/x", "read_only": read_only}]});
        for (more, rule) in [
            (json!({"network": "host"}), "runners.docker.networks"),
            (json!({"network": "other"}), "runners.docker.networks"),
            (mount("/dat", true), "runners.docker.mounts"),
            // From within it a task could exchange what another mounts.
            (mount("/data", false), "runners.docker.mounts"),
            (mount("/data/a/b", false), "runners.docker.mounts"),
            (mount("/data/a/b", true), "runners.docker.mounts"),
            (mount("/ref/a", false), "runners.docker.mounts"),
            (mount("/database", true), "runners.docker.mounts"),
            (mount("/", true), "runners.docker.mounts"),
            (mount("/etc/app.toml", false), "runners.docker.mounts"),
            (mount("/etc/app.toml/x", true), "runners.docker.mounts"),
            (mount("/var/run/docker.sock", true), "runners.docker.mounts"),
            (mount("volume", false), "runners.docker.mounts"),
        ] {
            let refused = refusal("loader-csv", &more).unwrap();
            assert!(refused.contains(rule), "{more}: {refused}");
        }
    }

    #[test]
    fn what_a_task_could_exchange_is_not_mounted() {
        let rules = |rules: &[&str]| DockerSettings {
            mounts: rules.iter().map(|rule| (*rule).to_owned()).collect(),
            ..settings()
        };
        let mount = |source: &str| {
            TaskSettings::read(&json!({"mounts": [{"source": source, "target": "/x", "read_only": true}]}))
                .unwrap()
        };
        let both = rules(&["/share", "/share/d:ro"]);
        let refused = check("loader-csv", &mount("/share/d"), &both, false).unwrap_err();
        assert!(refused.contains("/share/d lies in /share, which runners.docker.mounts gives"), "{refused}");
        assert_eq!(check("loader-csv", &mount("/share/d"), &rules(&["/share/:ro"]), false), Ok(()));
    }

    #[test]
    fn the_host_network_needs_its_own_word() {
        let rules = |rule: &str| DockerSettings { networks: vec![rule.into()], ..settings() };
        let host = TaskSettings::read(&json!({"network": "host"})).unwrap();
        assert!(check("loader-csv", &host, &rules("*"), true).is_err());
        assert_eq!(check("loader-csv", &host, &rules("host"), true), Ok(()));
    }

    #[test]
    fn a_link_leads_out_of_no_allowed_directory() {
        let dir = tempfile::tempdir().unwrap();
        let (inside, outside) = (dir.path().join("in"), dir.path().join("out"));
        std::fs::create_dir(&inside).unwrap();
        std::fs::create_dir(&outside).unwrap();
        std::os::unix::fs::symlink(&outside, inside.join("link")).unwrap();
        let rules = DockerSettings { mounts: vec![format!("{}/:ro", inside.display())], ..settings() };
        let mount = |path: PathBuf| {
            let more =
                json!({"mounts": [{"source": path.to_str().unwrap(), "target": "/x", "read_only": true}]});
            check("loader-csv", &TaskSettings::read(&more).unwrap(), &rules, true)
        };
        std::fs::create_dir(inside.join("own")).unwrap();
        assert_eq!(mount(inside.join("own")), Ok(()));
        assert!(mount(inside.join("link")).is_err());
        assert_eq!(mount(inside.join("not-yet")), Ok(()));
        assert!(mount(inside.join("link/not/yet")).is_err(), "also below what is not there");
        std::os::unix::fs::symlink(dir.path().join("none"), inside.join("later")).unwrap();
        assert!(mount(inside.join("later")).is_err(), "a link to what may come");
        // Any error but that it is not there; root may look everywhere.
        std::os::unix::fs::symlink("round", inside.join("round")).unwrap();
        let refused = mount(inside.join("round/x")).unwrap_err();
        assert!(refused.contains("round/x leads is not known: "), "{refused}");
    }
}
