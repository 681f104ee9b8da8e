# Sourced by scripts/test-images and scripts/release: builds the image of images/Dockerfile by podman in a
# storage of its own, on base images that are made from Debian's packages if none are named.
. scripts/debian.sh

STORAGE=$CACHE/images
IMAGE=localhost/prometheus-elector-test
DEBIAN=${DEBIAN:-forky}
PODMAN=(podman --root "$STORAGE/storage" --runroot /run/prometheus-elector-test --runtime runc
    --cgroup-manager cgroupfs --events-backend file --network-config-dir "$STORAGE/networks")
# These work even if this machine does not allow to set cgroups and limits.
LIMITS=(--ulimit nofile=4096:4096 --ulimit nproc=4096:4096)

run_podman() { "${PODMAN[@]}" "$@"; }

# Be root, have the tools, and be the only script that uses the storage.
open_storage() {
    [ "$(id -u)" = 0 ] || die "base images and containers need root: run this as root"
    install_tools
    mkdir -p "$STORAGE"
    hold_lock "$STORAGE/lock"
}

install_tools() {
    local tool missing=()
    for tool in podman runc catatonit debootstrap; do
        command -v "$tool" >/dev/null || [ -x /usr/libexec/podman/$tool ] || missing+=("$tool")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || die "${missing[*]} not found: install them, then run this again"
    say "installing Debian's ${missing[*]}"
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >&2 ||
        die "${missing[*]} could not be installed: install them, then run this again"
}

# Set PYTHON_IMAGE and PROMETHEUS_IMAGE where they name none, and make what is missing; the tag of an image
# says what it was made from.
make_bases() {
    local parts version
    if [ -z "${PYTHON_IMAGE:-}" ]; then
        PYTHON_IMAGE=$IMAGE-python:$DEBIAN
        run_podman image exists "$PYTHON_IMAGE" || make_python_base
    fi
    [ -z "${PROMETHEUS_IMAGE:-}" ] || return 0
    parts=$(scripts/real-parts prometheus promtool)
    eval "$parts"
    version=$("$PROMETHEUS" --version 2>&1 | sed -n 's/^prometheus, version \([0-9.]*\).*/\1/p')
    [ -n "$version" ] || die "$PROMETHEUS --version names no version of Prometheus: correct or unset PROMETHEUS"
    PROMETHEUS_IMAGE=$IMAGE-prometheus:$version
    run_podman image exists "$PROMETHEUS_IMAGE" || make_prometheus_base "${version%%.*}"
}

# Debian with its Python, like Python's own slim image.
make_python_base() {
    local root=$STORAGE/root scripts=/usr/share/debootstrap/scripts mirror
    mirror=$(own_mirror) || exit 1
    say "making a base image of Debian $DEBIAN and its Python once: about 3 minutes"
    rm -rf --one-file-system "$root"
    # The script for sid is that of all releases, also of those newer than this debootstrap.
    debootstrap --variant=minbase --include=python3,python3-venv "$DEBIAN" "$root" \
        "$mirror" "$scripts/sid" >"$STORAGE/log" || die "debootstrap failed, see $STORAGE/log"
    import_root "$root" "$PYTHON_IMAGE" --exclude=./var/cache/apt --exclude=./var/lib/apt/lists \
        --exclude=./usr/share/doc --exclude=./usr/share/locale --exclude='./proc/*' --exclude='./sys/*'
}

# make_prometheus_base <major version>: Prometheus in the layout of its own image. Before 3.0 that has
# consoles, and before 3.13 the licences of its web interface in an archive.
make_prometheus_base() {
    local root=$STORAGE/root
    rm -rf --one-file-system "$root"
    mkdir -p "$root"/{bin,etc/prometheus,usr/share}
    cp -L "$PROMETHEUS" "$root/bin/prometheus"
    cp -L "$PROMTOOL" "$root/bin/promtool"
    cp LICENSE "$root/LICENSE" && touch "$root/NOTICE"
    if [ "$1" = 2 ]; then
        mkdir -p "$root"/usr/share/prometheus/{consoles,console_libraries}
        touch "$root"/usr/share/prometheus/consoles/index.html.example "$root/npm_licenses.tar.bz2"
        ln -s /usr/share/prometheus/{consoles,console_libraries} "$root/etc/prometheus/"
    fi
    cat >"$root/etc/prometheus/prometheus.yml" <<'YAML'
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: prometheus
    static_configs:
      - targets: ["localhost:9090"]
YAML
    import_root "$root" "$PROMETHEUS_IMAGE"
}

# import_root <folder> <image> <arguments of tar>…
import_root() {
    local root=$1 image=$2
    shift 2
    tar -C "$root" "$@" -c . | run_podman import --quiet - "$image" >/dev/null
    rm -rf --one-file-system "$root"
}

# build_image <folder of the checkout> <tag> <further arguments of podman build>…: pip in the build reaches
# the package index as pip here does, with the same certificates.
build_image() {
    local folder=$1 tag=$2 authorities
    shift 2
    authorities=${PIP_CERT:-/etc/ssl/certs/ca-certificates.crt}
    say "building the image: about a minute, or seconds if little has changed"
    printf '[global]\ncert = /run/secrets/ca.pem\n' >"$STORAGE/pip.conf"
    run_podman image prune --force --filter until=24h >/dev/null
    run_podman build --format docker --network host "${LIMITS[@]}" \
        --secret id=pip.conf,src="$STORAGE/pip.conf" --secret id=ca.pem,src="$authorities" \
        --build-arg PROMETHEUS_IMAGE="$PROMETHEUS_IMAGE" --build-arg PYTHON_IMAGE="$PYTHON_IMAGE" "$@" \
        --file "$folder/images/Dockerfile" --tag "$tag" "$folder" >"$STORAGE/log" 2>&1 ||
        die "the build failed: $(tail -n 20 "$STORAGE/log")"
    show_size "$tag" >&2
}

# show_size <image>: print the sizes of its parts.
show_size() {
    local root
    root=$(run_podman image mount "$1")
    (cd "$root" && du --summarize --apparent-size --si \
        bin/prometheus bin/promtool opt/prometheus-elector) | sed 's/^/    /'
    run_podman image unmount "$1" >/dev/null
    printf '    %s MB in total, of which the base is %s MB\n' "$(megabytes "$1")" "$(megabytes "$PYTHON_IMAGE")"
}

megabytes() { echo $(($(run_podman image inspect --format '{{.Size}}' "$1") / 1000000)); }
