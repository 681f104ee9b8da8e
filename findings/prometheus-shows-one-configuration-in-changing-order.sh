#!/usr/bin/env bash
# /api/v1/status/config shows one and the same loaded configuration in an order that changes by itself.
#
# Prometheus 3.16.0 (Go module github.com/prometheus/prometheus v0.316.0); 2.42.0 (Debian 12) does the same (tried
# by hand).
# The configuration is written anew for each answer, and Go's maps have no order of their own, so that the YAML
# library sorts the keys: numbers by their value, then by their length, and a digit before a letter. By these rules
# rack1 is before rack01, rack01 before rack0b, and rack0b before rack1: what comes out depends on where sorting
# begins. A hash of the answer, or a comparison of two answers, then reports a change where nothing was loaded.
. "$(dirname "$0")/lib.sh"
build_prometheus
port=$(free_port)

# shown: ask for the configuration 100 times; print how many different answers there were.
shown() {
    for _ in $(seq 100); do curl -s "http://127.0.0.1:$port/api/v1/status/config" | cksum; done | sort -u | wc -l
}
loaded() { curl -s "http://127.0.0.1:$port/metrics" | grep '^prometheus_config_last_reload_success_timestamp_seconds'; }

echo 'global: {external_labels: {rack1: a, rack01: b}}' >"$folder/prometheus.yml"
start_prometheus "$port"
await "http://127.0.0.1:$port/-/ready"
expect "different answers of 100, with rack1 and rack01" "$(shown)" 1
echo 'global: {external_labels: {rack1: a, rack01: b, rack0b: c}}' >"$folder/prometheus.yml"
expect "a reload with rack0b besides" \
    "$(curl -s -X POST -o "$folder/answer" -w '%{http_code}' "http://127.0.0.1:$port/-/reload")" 200
before=$(loaded)
expect "answers of 100 differ" "$(($(shown) > 1))" 1
expect "a reload since then" "$([ "$(loaded)" = "$before" ] && echo none)" none
