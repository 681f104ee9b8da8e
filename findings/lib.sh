# Sourced by the findings beside it: a temporary folder that goes with the script, pinned parts in
# it, and what holds an observation against what was seen.
set -euo pipefail
folder=$(mktemp -d)
pids=()

leave_nothing() {
    for pid in "${pids[@]}"; do
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$folder"
}
trap leave_nothing EXIT

say() { printf '%s\n' "$*"; }

# expect <what> <seen> <wanted>: say what was seen; fail where it is not what was seen before.
expect() {
    say "$1: $2"
    [ "$2" = "$3" ] || {
        say "this has changed: it was \"$3\""
        exit 1
    }
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# await <url>: wait until it answers 200, for a minute at most.
await() {
    local _
    for _ in $(seq 600); do
        [ "$(curl -s -o /dev/null -w '%{http_code}' "$1")" != 200 ] || return 0
        sleep 0.1
    done
    say "$1 does not answer"
    exit 1
}

# build_prometheus: prometheus and promtool 3.16.0 from its Go module into $folder/bin; ten minutes
# on two cores the first time, seconds with a warm build cache.
build_prometheus() {
    say "building Prometheus 3.16.0 from its Go module (v0.316.0)"
    mkdir "$folder/build"
    (
        cd "$folder/build"
        printf 'module parts\n\ngo 1.26\n\nrequire github.com/prometheus/prometheus v0.316.0\n' >go.mod
        printf '//go:build tools\n\npackage tools\n\nimport (\n\t_ "github.com/prometheus/prometheus/cmd/prometheus"\n\t_ "github.com/prometheus/prometheus/cmd/promtool"\n)\n' >tools.go
        go mod tidy 2>"$folder/build.log" || { cat "$folder/build.log" && exit 1; }
        go build -buildvcs=false -o "$folder/bin/" github.com/prometheus/prometheus/cmd/prometheus \
            github.com/prometheus/prometheus/cmd/promtool
    )
}

# debian_prometheus: prometheus 2.42.0 of Debian 12 into $folder/bin; it is not installed.
debian_prometheus() {
    local package=prometheus=2.42.0+ds-5+deb12u1
    say "unpacking Debian's $package"
    (cd "$folder" && apt-get -qq -o APT::Sandbox::User=root download "$package") || {
        say "apt does not have it: run apt-get update; only Debian 12 has this version"
        exit 1
    }
    dpkg-deb -x "$folder"/prometheus_*.deb "$folder/debian"
    mv "$folder/debian/usr/bin" "$folder/bin"
}

# start_prometheus <port> <flag>…: with $folder/prometheus.yml; its log is $folder/log.
start_prometheus() {
    local port=$1
    shift
    "$folder/bin/prometheus" --config.file="$folder/prometheus.yml" \
        --storage.tsdb.path="$folder/data" --web.listen-address="127.0.0.1:$port" \
        --web.enable-lifecycle "$@" >"$folder/log" 2>&1 &
    pids+=("$!")
}

# start_receiver <port> <flag>…: a Prometheus that takes remote writes, with nothing else to do.
start_receiver() {
    local port=$1
    shift
    echo '{}' >"$folder/receiver.yml"
    "$folder/bin/prometheus" --config.file="$folder/receiver.yml" \
        --storage.tsdb.path="$folder/received.$port" --web.listen-address="127.0.0.1:$port" \
        --web.enable-remote-write-receiver "$@" >"$folder/receiver.log" 2>&1 &
    pids+=("$!")
    await "http://127.0.0.1:$port/-/ready"
}

# ask <port> <query> [time]: print the first value of the answer, or "nothing".
ask() {
    curl -s "http://127.0.0.1:$1/api/v1/query" --data-urlencode "query=$2" ${3:+--data-urlencode "time=$3"} |
        python3 -c '
import json, sys
found = json.load(sys.stdin)["data"]["result"]
print(found[0]["value"][1] if found else "nothing")'
}

# await_value <port> <query>: wait until the answer has a value, for a minute at most.
await_value() {
    local _
    for _ in $(seq 300); do
        [ "$(ask "$1" "$2")" = nothing ] || return 0
        sleep 0.2
    done
    say "127.0.0.1:$1 has nothing for $2"
    exit 1
}

# counted <port> <pattern>: print the sum of the sender's metrics whose names match.
counted() {
    curl -s "http://127.0.0.1:$1/metrics" |
        awk -v name="^$2[{ ]" '$0 ~ name { sum += $NF } END { print sum + 0 }'
}
