#!/usr/bin/env bash
# promtool check config says SUCCESS to configurations with which Prometheus does not start.
#
# Prometheus 3.16.0 and its promtool (Go module github.com/prometheus/prometheus v0.316.0).
# Two entries of remote_write that differ in their passwords alone are duplicates to Prometheus:
# it compares them with their secrets hidden (storage/remote/write.go). A remote_write whose
# tls_config.ca_file is missing is refused as well. promtool has only parsed both.
# A pipeline that trusts promtool rolls out what ends every Prometheus that is started again.
. "$(dirname "$0")/lib.sh"
build_prometheus

# judged <name>: print promtool's status, then that of a Prometheus that is started.
judged() {
    local status=0
    "$folder/bin/promtool" check config "$folder/prometheus.yml" >"$folder/said" 2>&1 || status=$?
    expect "$1: promtool's exit status" "$status" 0
    status=0
    timeout 60 "$folder/bin/prometheus" --config.file="$folder/prometheus.yml" \
        --storage.tsdb.path="$folder/data" --web.listen-address="127.0.0.1:$(free_port)" \
        >"$folder/log" 2>&1 || status=$?
    expect "$1: Prometheus' exit status" "$status" 1
}

cat >"$folder/prometheus.yml" <<CONFIG
remote_write:
  - url: http://127.0.0.1:9/
    basic_auth: {username: a, password: one}
  - url: http://127.0.0.1:9/
    basic_auth: {username: a, password: two}
CONFIG
judged "two entries, two passwords"
expect "its reason" "$(grep -o 'duplicate remote write configs are not allowed' "$folder/log" | head -n 1)" \
    "duplicate remote write configs are not allowed"

cat >"$folder/prometheus.yml" <<CONFIG
remote_write:
  - url: https://127.0.0.1:9/
    tls_config: {ca_file: missing.pem}
CONFIG
judged "a missing CA file"
expect "its reason" "$(grep -o 'missing.pem: no such file or directory' "$folder/log" | head -n 1)" \
    "missing.pem: no such file or directory"
