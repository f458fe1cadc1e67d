# Sourced by ./dev: what the tests need besides: a container engine, what stands in for AWS, a driver for Python. Engine and
# network may be missing; then that part is left out, with its tests, whose modules or names carry its name: on_docker,
# on_ministack, on_moto, with_psycopg, with_pgbouncer, with_newer_pgbouncer.
#
# Sets `left_out`, `without` (modules to skip) and the ROWCALL_TEST_… variables.

# moto wants a newer botocore than ministack pins, hence two environments.
MINISTACK_PACKAGES="ministack==1.5.33 docker==7.2.0"
MOTO_PACKAGES="moto[server]==5.2.5"
PSYCOPG_PACKAGES="psycopg[binary]==3.3.9"

set_up_standins() {
    local directory="$PWD/target/standins"
    mkdir -p "$directory"
    if why_not=$(docker_is_there && test_images "$directory"); then
        export ROWCALL_TEST_IMAGE ROWCALL_TEST_SCRATCH_IMAGE ROWCALL_TEST_LOADER_IMAGE
        ROWCALL_TEST_IMAGE=$(busybox_image)
        ROWCALL_TEST_SCRATCH_IMAGE=$(scratch_image)
        ROWCALL_TEST_LOADER_IMAGE=$(loader_image)
        if why_not=$(python_environment "$directory/ministack" $MINISTACK_PACKAGES); then
            export ROWCALL_TEST_MINISTACK="$directory/ministack/bin/python"
        fi
    else
        left_out+=("tests on Docker: $why_not")
        without+=(--skip on_docker)
    fi
    if [ -z "${ROWCALL_TEST_MINISTACK:-}" ]; then
        left_out+=("tests on ministack: $why_not")
        without+=(--skip on_ministack)
    fi
    if why_not=$(python_environment "$directory/moto" $MOTO_PACKAGES); then
        export ROWCALL_TEST_MOTO="$directory/moto/bin/moto_server"
    else
        left_out+=("tests on moto: $why_not")
        without+=(--skip on_moto)
    fi
    if why_not=$(python_environment "$directory/psycopg" $PSYCOPG_PACKAGES); then
        export ROWCALL_TEST_PYTHON="$directory/psycopg/bin/python"
    else
        left_out+=("the documented task in Python: $why_not")
        without+=(--skip with_psycopg)
    fi
    set_up_poolers
    cargo build --quiet --example file_loader >&2 || fail "cargo build failed"
    export ROWCALL_TEST_LOADER="${CARGO_TARGET_DIR:-$PWD/target}/debug/examples/file_loader"
}

# The oldest PgBouncer in use, which follows no prepared statements, and the newest.
set_up_poolers() {
    if command -v pgbouncer >/dev/null || installed_packages pgbouncer >&2; then
        export ROWCALL_TEST_PGBOUNCER=pgbouncer
    else
        left_out+=("tests with PgBouncer: it is missing (apt-get install pgbouncer)")
        without+=(--skip with_pgbouncer)
    fi
    # shellcheck source=tests/support/standins/postgres_image.sh
    . tests/support/standins/postgres_image.sh
    if docker_is_there >/dev/null && ROWCALL_TEST_PGBOUNCER_IMAGE=$(pgbouncer_image trixie); then
        export ROWCALL_TEST_PGBOUNCER_IMAGE
    else
        left_out+=("tests with PgBouncer 1.24: no image of it can be made")
        without+=(--skip with_newer_pgbouncer)
    fi
}

# What lies to a daemon about the time, and a daemon of an earlier commit. Chaos is chaos without them, too.
set_up_chaos() {
    local library why_not
    [ -e "$(faketime_library)" ] || installed_packages faketime >&2 || true
    library=$(faketime_library)
    if [ -e "$library" ]; then
        export ROWCALL_TEST_FAKETIME=$library
    else
        left_out+=("clocks that are wrong: the package faketime is missing (apt-get install faketime)")
    fi
    # shellcheck source=tests/support/standins/older.sh
    . tests/support/standins/older.sh
    if why_not=$(older_build); then
        export ROWCALL_TEST_OLDER=$why_not
    else
        say "./dev: without a daemon of an earlier commit: $why_not"
    fi
}

faketime_library() {
    find /usr/lib -name libfaketimeMT.so.1 2>/dev/null | head -n 1
}

# Each of the following prints why it failed, if it did. They are called where bash stops at no failure (`if x=$(…)`,
# `… || fail`), so each step says for itself that it is the last.

docker_is_there() {
    command -v docker >/dev/null || { echo "Docker is missing"; return 1; }
    docker info >/dev/null 2>&1 || { echo "no Docker engine answers (docker info)"; return 1; }
}

# A directory that was not finished has no mark, and is made again.
python_environment() {
    local directory=$1
    shift
    [ "$(cat "$directory/packages" 2>/dev/null)" = "$*" ] && return
    say "./dev: installing $*…"
    rm -rf "$directory"
    python3 -m venv "$directory" >&2 || { echo "python3 -m venv failed (apt-get install python3-venv)"; return 1; }
    "$directory/bin/pip" install --quiet --disable-pip-version-check "$@" >&2 || { echo "pip install $* failed"; return 1; }
    echo "$*" >"$directory/packages"
}

# Of busybox alone; a change of process 1, or of how it is made, makes it another image.
busybox_image() {
    echo "rowcall-test-busybox:$(cat tests/support/standins/init tests/support/standins/set_up.sh | cksum | cut -d ' ' -f 1)"
}

# Of one static program and nothing else: no shell, no /tmp, no /etc.
scratch_image() {
    echo "rowcall-test-scratch:$(cksum <tests/support/standins/set_up.sh | cut -d ' ' -f 1)"
}

# One for each checkout.
loader_image() {
    echo "rowcall-test-loader:$(pwd | cksum | cut -d ' ' -f 1)"
}

test_images() {
    local root="$1/image"
    if ! docker image inspect "$(busybox_image)" >/dev/null 2>&1; then
        need_busybox || return 1
        busybox_root "$root" || return 1
        imported "$(busybox_image)" "$root" . --change 'ENV PATH=/bin' || return 1
    fi
    test_scratch_image || return 1
    loader_is_fresh "$root"
}

test_scratch_image() {
    docker image inspect "$(scratch_image)" >/dev/null 2>&1 && return
    need_busybox || return 1
    imported "$(scratch_image)" "$(dirname "$(command -v busybox)")" busybox --change 'ENTRYPOINT ["/busybox"]'
}

# An image of a name, from what a directory holds under another. Named at last: half an image under that name would be
# taken for the whole one by the next call.
imported() {
    local name=$1 directory=$2 what=$3 id
    shift 3
    id=$(set -o pipefail; tar -C "$directory" -c "$what" | docker import "$@" -) ||
        { echo "tar or docker import failed for $name"; return 1; }
    docker tag "$id" "$name" || { echo "docker tag failed for $name"; return 1; }
}

# Our programs as they are, with the libraries that they load from this machine: building them statically would
# be a second build of every dependency.
loader_is_fresh() {
    local root=$1 programs="target/debug/rowcall-task target/debug/examples/file_loader" of old
    cargo build --quiet --bins --example file_loader >&2 || { echo "cargo build failed"; return 1; }
    of=$(set -o pipefail; cat $programs examples/data/airports.csv tests/support/standins/{init,set_up.sh} | sha256sum | cut -d ' ' -f 1) ||
        { echo "what the image is made of cannot be read"; return 1; }
    old=$(docker image inspect --format '{{.Id}} {{index .Config.Labels "of"}}' "$(loader_image)" 2>/dev/null) || old=""
    [ "${old#* }" = "$of" ] && return
    need_busybox || return 1
    busybox_root "$root" || return 1
    install_with_libraries "$root" $programs || return 1
    install -D -m 644 -t "$root/data" examples/data/airports.csv || { echo "examples/data cannot be copied"; return 1; }
    imported "$(loader_image)" "$root" . --change 'ENV PATH=/bin' --change "LABEL of=$of" || return 1
    rm -rf "$root"
    # In use by somebody still, perhaps.
    if [ -n "$old" ]; then docker image rm "${old%% *}" >/dev/null 2>&1 || true; fi
}

install_with_libraries() {
    local root=$1 libraries library
    shift
    install -s "$@" "$root/bin" 2>/dev/null || install "$@" "$root/bin" || { echo "the programs cannot be copied"; return 1; }
    # Lines such as "libc.so.6 => /lib/… (0x…)" and "/lib64/ld-linux-x86-64.so.2 (0x…)".
    libraries=$(set -o pipefail; ldd "$@" | grep -o '/[^ ]* (0x' | cut -d ' ' -f 1 | sort -u) ||
        { echo "ldd does not tell the libraries of $*"; return 1; }
    for library in $libraries; do
        install -D "$(readlink -f "$library")" "$root$library" || { echo "$library cannot be copied"; return 1; }
    done
}

busybox_root() {
    local applets applet
    { rm -rf "$1" && mkdir -p "$1/bin" "$1/tmp"; } || { echo "$1 cannot be made"; return 1; }
    install "$(command -v busybox)" "$1/bin/busybox" || { echo "busybox cannot be copied"; return 1; }
    applets=$(busybox --list) || { echo "busybox --list failed"; return 1; }
    for applet in $applets; do
        [ "$applet" = busybox ] || ln -s busybox "$1/bin/$applet" || { echo "$1/bin/$applet cannot be made"; return 1; }
    done
    install tests/support/standins/init "$1/init" || { echo "tests/support/standins/init cannot be copied"; return 1; }
}

# Statically linked, so that it runs where there is nothing else.
need_busybox() {
    have_busybox && return
    installed_packages busybox-static >&2 && have_busybox && return
    echo "a static busybox is missing (apt-get install busybox-static)"
    return 1
}

have_busybox() {
    command -v busybox >/dev/null && ! ldd "$(command -v busybox)" >/dev/null 2>&1
}
