#!/usr/bin/env bash
# Prometheus does not start if a pattern of rule_files is the folder of a mounted ConfigMap and *.
#
# Prometheus 3.16.0 (Go module github.com/prometheus/prometheus v0.316.0). A ConfigMap is mounted as
# links to files in a hidden folder, which ..data names (Kubernetes' AtomicWriter). The * of a shell
# matches no hidden names, but that of Go's filepath.Glob does. So Prometheus reads ..data and the
# folder behind it as files. The same holds for scrape_config_files. A * with an ending (*.yml)
# matches the links alone, so it has none of this.
. "$(dirname "$0")/lib.sh"
build_prometheus

mkdir -p "$folder/mounted/..2026_11_30_04_59_18.1"
ln -s ..2026_11_30_04_59_18.1 "$folder/mounted/..data"
ln -s ..data/one.yml "$folder/mounted/one.yml"

# started_with <key> <pattern>: print "ready", or the reason why Prometheus ended.
started_with() {
    local port pid reason=ready
    port=$(free_port)
    printf '%s: [%s]\n' "$1" "$2" >"$folder/prometheus.yml"
    "$folder/bin/prometheus" --config.file="$folder/prometheus.yml" --storage.tsdb.path="$folder/data" \
        --web.listen-address="127.0.0.1:$port" >"$folder/log" 2>&1 &
    pid=$!
    until curl -sf -o /dev/null "http://127.0.0.1:$port/-/ready"; do
        kill -0 "$pid" 2>/dev/null || { reason=$(grep -o 'is a directory' "$folder/log" | head -n 1) && break; }
        sleep 0.1
    done
    kill "$pid" 2>/dev/null || true
    wait "$pid" || true
    printf '%s\n' "$reason"
}

for key in rule_files scrape_config_files; do
    [ "$key" = rule_files ] && content='groups: []' || content='scrape_configs: []'
    printf '%s\n' "$content" >"$folder/mounted/..data/one.yml"
    expect "$key: [mounted/*.yml]" "$(started_with "$key" 'mounted/*.yml')" ready
    expect "$key: [mounted/*]" "$(started_with "$key" 'mounted/*')" 'is a directory'
done
