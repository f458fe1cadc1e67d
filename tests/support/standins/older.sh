# Sourced by ./dev: the daemon as it was earlier, beside which the new one must work. It is built once.

# The last commit before there was a ./dev chaos.
OLDER=a9687270d8abbcd56b2d8fb9f379c09d0a99599b

# Prints the path of its rowcall, or why there is none. What both versions depend on is not built again: the older one begins with links
# to what this one has built. The example is not wanted: with it the libraries are those that the tests use.
older_build() {
    local built=${CARGO_TARGET_DIR:-$PWD/target} place
    place="$built/older"
    if [ ! -x "$place/$OLDER/rowcall" ]; then
        git cat-file -e "$OLDER^{commit}" 2>/dev/null || { echo "the history of this checkout does not go back to $OLDER"; return 1; }
        say "./dev: building the daemon of an earlier commit (a minute or two)…"
        { rm -rf "$place" && mkdir -p "$place/source" "$place/target"; } || { echo "$place cannot be made"; return 1; }
        git archive "$OLDER" | tar -x -C "$place/source" || { echo "git archive $OLDER failed"; return 1; }
        [ ! -d "$built/debug" ] || cp -al "$built/debug" "$place/target/debug" || { echo "cp of $built/debug failed"; return 1; }
        cargo build --quiet --locked --manifest-path "$place/source/Cargo.toml" --target-dir "$place/target" --bins --example file_loader >&2 ||
            { echo "cargo build of $OLDER failed"; return 1; }
        mkdir "$place/new" && cp "$place"/target/debug/rowcall "$place"/target/debug/rowcall-{supervisor,task} "$place/new" &&
            mv "$place/new" "$place/$OLDER" || { echo "the older programs cannot be copied"; return 1; }
        rm -rf "$place/target" "$place/source"
    fi
    echo "$place/$OLDER/rowcall"
}
