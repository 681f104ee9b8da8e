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

# build_kube_apiserver: kube-apiserver 1.37.2 and etcd 3.7.0 from their Go modules into $folder/bin; ten minutes
# on two cores the first time, half a minute with a warm build cache.
build_kube_apiserver() {
    command -v go >/dev/null || { say "this needs Go 1.26" && exit 1; }
    say "building kube-apiserver 1.37.2 and etcd 3.7.0 from their Go modules: ten minutes on two cores the first time"
    local module
    module=$(cd "$folder" && go mod download -json k8s.io/kubernetes@v1.37.2 |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["GoMod"])')
    mkdir "$folder/build"
    (
        export GOFLAGS=-mod=mod
        cd "$folder/build"
        printf 'module parts\n\nrequire k8s.io/kubernetes v1.37.2\nrequire go.etcd.io/etcd/server/v3 v3.7.0\n' >go.mod
        grep -E '^(go|godebug) ' "$module" >>go.mod
        # Kubernetes replaces its own modules by folders, which its module does not have.
        sed -nE 's#^\s*(replace )?(k8s.io/\S+) => \./staging/src/.*#replace \2 => \2 v0.37.2#p' "$module" >>go.mod
        go build -trimpath -buildvcs=false -ldflags "-s -w" -o "$folder/bin/kube-apiserver" k8s.io/kubernetes/cmd/kube-apiserver
        go build -trimpath -buildvcs=false -ldflags "-s -w" -o "$folder/bin/etcd" go.etcd.io/etcd/server/v3
    ) 2>"$folder/build.log" || { cat "$folder/build.log" && exit 1; }
}

# start_etcd: it keeps what kube-apiserver stores, and is at $etcd.
start_etcd() {
    local peer
    etcd=http://127.0.0.1:$(free_port) peer=http://127.0.0.1:$(free_port)
    "$folder/bin/etcd" --data-dir "$folder/etcd" --listen-client-urls "$etcd" --advertise-client-urls "$etcd" \
        --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" --initial-cluster "default=$peer" \
        >"$folder/etcd.log" 2>&1 &
    pids+=("$!")
    await "$etcd/health"
}

# start_kube_apiserver <port>: with what $etcd has; its log is $folder/log.
start_kube_apiserver() {
    local _
    api_server=https://127.0.0.1:$1
    echo 'secret,admin,admin,"system:masters"' >"$folder/tokens.csv"
    [ -e "$folder/accounts.key" ] || openssl genrsa -out "$folder/accounts.key" 2048 2>/dev/null
    "$folder/bin/kube-apiserver" --etcd-servers "$etcd" --bind-address 127.0.0.1 --advertise-address 127.0.0.1 \
        --secure-port "$1" --cert-dir "$folder/certificates" --service-cluster-ip-range 10.0.0.0/24 \
        --token-auth-file "$folder/tokens.csv" --authorization-mode RBAC --endpoint-reconciler-type none \
        --service-account-issuer "$api_server" --service-account-key-file "$folder/accounts.key" \
        --service-account-signing-key-file "$folder/accounts.key" >"$folder/log" 2>&1 &
    pids+=("$!")
    for _ in $(seq 600); do
        [ "$(request GET /readyz) $(request GET /api/v1/namespaces/default)" != "200 200" ] || return 0
        sleep 0.2
    done
    say "kube-apiserver does not answer"
    exit 1
}

# request <method> <path> [body]: print the status of the API server's answer, which is in $folder/answer.
request() {
    curl -s --cacert "$folder/certificates/apiserver.crt" -H 'Authorization: Bearer secret' \
        -o "$folder/answer" -w '%{http_code}' -X "$1" -H 'Content-Type: application/json' ${3:+--data "$3"} \
        "$api_server$2" || true
}

# of_answer <subscripts>: print what they give of the answer's JSON, as '["metadata"]["uid"]'.
of_answer() { python3 -c "import json; print(json.load(open('$folder/answer'))$1)"; }
