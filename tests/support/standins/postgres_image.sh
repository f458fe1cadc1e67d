# Sourced by ./dev: images with programs of other Debian releases than this machine's, for machines that cannot pull any. Needs
# root, debootstrap, and Debian's packages. Each function prints the image's name, made if it is not there.

# A Postgres server; a release holds one version each: bullseye 13, bookworm 15, trixie 17, forky 18. What the image is given is
# as with Docker's official one: POSTGRES_PASSWORD, and settings as arguments.
postgres_image() {
    debian_image "rowcall-test-postgres:$1" "$1" postgresql tests/support/standins/serve_postgres \
        --change 'ENTRYPOINT ["/usr/local/bin/serve_postgres"]' --change 'EXPOSE 5432'
}

# PgBouncer: bookworm 1.18, trixie 1.24.
pgbouncer_image() {
    debian_image "rowcall-test-pgbouncer:$1" "$1" pgbouncer "" --change 'ENTRYPOINT ["pgbouncer"]' --change 'USER nobody'
}

# An image of a name: a release with one package more, a program of ours, and what `docker import` is told of it.
debian_image() {
    local image=$1 release=$2 package=$3 program=$4 root mirror id
    shift 4
    docker image inspect "$image" >/dev/null 2>&1 && { echo "$image"; return; }
    command -v debootstrap >/dev/null || installed_packages debootstrap >&2 || { say "debootstrap is missing"; return 1; }
    mirror=$(debian_mirror) || { say "apt names no source of Debian's packages"; return 1; }
    root=$(mktemp -d)
    say "./dev: making $image from Debian's packages…"
    # A release that is newer than debootstrap is made like the newest it knows.
    local script=/usr/share/debootstrap/scripts/$release
    [ -e "$script" ] || script=/usr/share/debootstrap/scripts/sid
    if ! debootstrap --variant=minbase --include="$package" "$release" "$root" "$mirror" "$script" >"$root.log" 2>&1; then
        tail -n 5 "$root.log" >&2
        rm -rf "$root" "$root.log"
        return 1
    fi
    [ -z "$program" ] || install "$program" "$root/usr/local/bin/"
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
    # Named at last: half an image under that name would be taken for the whole one by the next call.
    if ! id=$(set -o pipefail; tar -C "$root" -c . | docker import "$@" -); then
        say "tar or docker import failed for $image"
        rm -rf "$root" "$root.log"
        return 1
    fi
    rm -rf "$root" "$root.log"
    docker tag "$id" "$image" || { say "docker tag failed for $image"; return 1; }
    echo "$image"
}

# Where this machine's own apt gets Debian from.
debian_mirror() {
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | sort -u | grep -v security | head -n 1 | grep .
}
