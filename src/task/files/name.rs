//! Names of files below a directory, which never lead out of it.

/// The longest step that Linux file systems take.
const LONGEST: usize = 255;

/// Says what is wrong with a relative path that comes from outside; `a/b.nc` is well.
pub fn check(name: &str) -> Result<(), String> {
    let wrong = name.split('/').find_map(|step| match step {
        "" => Some("has an empty step, as // or a / at the beginning or end make one"),
        "." | ".." => Some("has a step . or .., and could lead out of the directory"),
        step if step.contains('\0') => Some("holds a NUL character"),
        step if step.len() > LONGEST => Some("has a step of more than 255 bytes"),
        _ => None,
    });
    wrong.map_or(Ok(()), |why| Err(format!("the file name {:?} {why}", short(name))))
}

/// For an error message.
fn short(name: &str) -> &str {
    match name.char_indices().nth(200) {
        Some((end, _)) => &name[..end],
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_the_directory() {
        for well in ["a", "a.nc", "...", "a/b/c..d", ".hidden", "ü b/%2e%2e", &"x".repeat(255)] {
            assert_eq!(check(well), Ok(()), "{well}");
        }
        for ill in [
            "",
            "/",
            "/etc/passwd",
            "a/",
            "a//b",
            "..",
            "../a",
            "a/../b",
            "a/..",
            ".",
            "a\0b",
            &"x".repeat(256),
        ] {
            assert!(check(ill).unwrap_err().contains("the file name"), "{ill}");
        }
    }
}
