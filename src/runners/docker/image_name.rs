//! Names of images.

use std::sync::LazyLock;

use regex_lite::Regex;

/// `[host[:port]/]path[:tag][@digest]`; `sql/functions/checks/target_error.sql` has the same.
const FORM: &str = r"^([A-Za-z0-9.-]+(:[0-9]{1,5})?/)?[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?$";

/// Refuses a target that is no name of an image.
pub fn check_target(target: &str) -> Result<(), String> {
    // The form is ours and fits.
    static IMAGE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(FORM).ok());
    if IMAGE.as_ref().is_some_and(|form| form.is_match(target)) {
        return Ok(());
    }
    Err(format!(
        "target {target:?} must be the name of an image: name, name:tag, name@sha256:…, with a registry before it or not"
    ))
}

/// The registry that an image's name begins with, and the rest. Docker's rule: what stands before the first / is a host
/// if it has a dot or a port, or is localhost.
#[must_use]
pub fn host_and_rest(image: &str) -> (Option<&str>, &str) {
    match image.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => (Some(host), rest),
        _ => (None, image),
    }
}

/// Repository, and tag or digest, as the engine wants them for a pull. Without a tag it would pull all there are.
#[must_use]
pub fn repository_and_tag(image: &str) -> (&str, &str) {
    if let Some((repository, digest)) = image.split_once('@') {
        // A tag beside a digest says nothing more.
        let repository = split_tag(repository).map_or(repository, |(repository, _)| repository);
        return (repository, digest);
    }
    split_tag(image).unwrap_or((image, "latest"))
}

/// The colon of a port has a / behind it.
fn split_tag(image: &str) -> Option<(&str, &str)> {
    image.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_of_images_have_a_form() {
        let digest = format!("loader@sha256:{}", "0a".repeat(32));
        let good = [
            "loader",
            "loader:7",
            "acme/loader",
            "localhost:5000/a/b:c",
            "Registry.example/a__b",
            &digest,
            "r.example:5000/loader:v1",
        ];
        for target in good {
            check_target(target).unwrap();
        }
        for target in [
            "",
            "a b",
            "Loader",
            "loader:",
            "/loader",
            "loader@sha256:12",
            "a//b",
            "-a",
            "http://a/b",
            "loader\n",
        ] {
            assert!(check_target(target).is_err(), "{target}");
        }
    }

    #[test]
    fn hosts_and_tags_are_told_apart() {
        assert_eq!(host_and_rest("loader.v1:7"), (None, "loader.v1:7"));
        assert_eq!(host_and_rest("acme/loader"), (None, "acme/loader"));
        assert_eq!(host_and_rest("localhost/loader"), (Some("localhost"), "loader"));
        assert_eq!(host_and_rest("acme.example/loader"), (Some("acme.example"), "loader"));
        assert_eq!(repository_and_tag("loader"), ("loader", "latest"));
        assert_eq!(repository_and_tag("r:5000/loader"), ("r:5000/loader", "latest"));
        assert_eq!(repository_and_tag("r:5000/loader:7"), ("r:5000/loader", "7"));
        assert_eq!(repository_and_tag("r:5000/loader:7@sha256:0a"), ("r:5000/loader", "sha256:0a"));
    }

    proptest! {
        #[test]
        fn a_name_comes_apart_and_together(host in prop_oneof!["", "[a-z]{1,5}\\.[a-z]{2}(:[0-9]{2,4})?/"], path in "[a-z0-9]{1,6}(/[a-z0-9]{1,6})?", tag in prop_oneof!["", ":[A-Za-z0-9_][A-Za-z0-9_.-]{0,9}"]) {
            let name = format!("{host}{path}{tag}");
            prop_assert_eq!(check_target(&name), Ok(()));
            let (repository, found) = repository_and_tag(&name);
            prop_assert_eq!(repository, format!("{host}{path}"));
            prop_assert_eq!(found, if tag.is_empty() { "latest" } else { &tag[1..] });
            let (registry, rest) = host_and_rest(&name);
            prop_assert_eq!(registry.map_or(rest.to_owned(), |registry| format!("{registry}/{rest}")), name);
        }

        #[test]
        fn what_is_no_name_is_refused_by_name(text in ".{0,60}") {
            if let Err(refused) = check_target(&text) {
                let named = format!("{text:?}");
                prop_assert!(refused.contains(&named));
            }
            let (_, _) = (host_and_rest(&text), repository_and_tag(&text));
        }
    }
}
