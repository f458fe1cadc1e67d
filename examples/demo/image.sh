# Sourced by ./dev: the image of the demo's tasks, with the two tasks, rowcall-task, psql and a shell, all as this machine
# has them. A Dockerfile would fetch its base from a registry, which not every machine can reach.

# One for each checkout.
demo_image() {
    echo "rowcall-demo:$(pwd | cksum | cut -d ' ' -f 1)"
}

# Prints why it failed, if it did.
demo_image_is_fresh() {
    local root=$1 of old psql
    psql=$(demo_psql) || { echo "the program psql is nowhere"; return 1; }
    local programs="target/debug/rowcall-task target/debug/examples/file_loader $psql"
    local files="examples/data/airports.csv examples/file_download.sh examples/demo/image.sh tests/support/standins/set_up.sh"
    of=$(set -o pipefail; cat $programs $files | sha256sum | cut -d ' ' -f 1) || { echo "what the image is made of cannot be read"; return 1; }
    old=$(docker image inspect --format '{{.Id}} {{index .Config.Labels "of"}}' "$(demo_image)" 2>/dev/null) || old=""
    [ "${old#* }" = "$of" ] && return
    say "./dev: making the image $(demo_image)…"
    need_busybox || return 1
    busybox_root "$root" || return 1
    install_with_libraries "$root" $programs || return 1
    { install -D -m 644 examples/data/airports.csv "$root/work/examples/data/airports.csv" &&
        install -D -m 755 examples/file_download.sh "$root/work/examples/file_download.sh"; } ||
        { echo "the examples cannot be copied"; return 1; }
    imported "$(demo_image)" "$root" . --change 'ENV PATH=/bin' --change 'WORKDIR /work' --change "LABEL of=$of" || return 1
    rm -rf "$root"
    # A container may still use it.
    if [ -n "$old" ]; then docker image rm "${old%% *}" >/dev/null 2>&1 || true; fi
}

# The program itself: Debian puts a script before it.
demo_psql() {
    local found
    found=$(ls /usr/lib/postgresql/*/bin/psql 2>/dev/null | sort -V | tail -n 1)
    [ -n "$found" ] || found=$(command -v psql) || return
    readlink -f "$found"
}
