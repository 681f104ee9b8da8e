#!/usr/bin/env bash
# A Prometheus that cannot read the write-ahead log of a newer one starts as if there were none.
#
# Prometheus 3.16.0 (Go module github.com/prometheus/prometheus v0.316.0), with
# --storage.tsdb.wal-compression-type=zstd, then 2.42.0 (Debian 12) on the same data folder, as when
# an upgrade is taken back. 2.42.0 knows snappy alone. It reads each segment, is ready, counts no
# corruption and logs no warning; but the samples since the last block, of up to three hours, are
# not there. With snappy it reads what 3.16.0 has written.
. "$(dirname "$0")/lib.sh"
debian_prometheus
mv "$folder/bin" "$folder/old"
build_prometheus
mv "$folder/bin" "$folder/new"

# rolled_back <compression>: run 3.16.0 until it has 10 samples, then 2.42.0 on the same folder.
rolled_back() {
    port=$(free_port)
    cat >"$folder/prometheus.yml" <<CONFIG
global: {scrape_interval: 200ms}
scrape_configs: [{job_name: self, static_configs: [{targets: ["127.0.0.1:$port"]}]}]
CONFIG
    rm -rf "$folder/data"
    ln -sfn new "$folder/bin"
    start_prometheus "$port" --storage.tsdb.wal-compression-type="$1"
    await "http://127.0.0.1:$port/-/ready"
    await_value "$port" "count_over_time(up[1m]) >= 10"
    at=$(date +%s)
    kill "${pids[-1]}"
    wait "${pids[-1]}" || true
    ln -sfn old "$folder/bin"
    start_prometheus "$port"
    await "http://127.0.0.1:$port/-/ready"
}

rolled_back snappy
expect "snappy: 2.42.0 has 9 samples of before, or more" \
    "$(ask "$port" "count_over_time(up[1m]) >= bool 9" "$at")" 1
kill -KILL "${pids[-1]}"
wait "${pids[-1]}" 2>/dev/null || true
rolled_back zstd
expect "zstd: samples of before that it has" "$(ask "$port" "count_over_time(up[1m])" "$at")" nothing
expect "segments that it says it has read" \
    "$(($(grep -c 'WAL segment loaded' "$folder/log") > 0))" 1
expect "corruptions that it counts" "$(counted "$port" prometheus_tsdb_wal_corruptions_total)" 0
expect "warnings and errors that it logs" "$(grep -cE 'level=(warn|error)' "$folder/log" || true)" 0
