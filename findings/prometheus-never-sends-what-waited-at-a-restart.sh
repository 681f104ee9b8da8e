#!/usr/bin/env bash
# A Prometheus that is restarted never sends what it had not sent before, and counts no loss.
#
# Prometheus 3.16.0 (Go module github.com/prometheus/prometheus v0.316.0).
# The receiver is away; the sender is killed, and started again with the same data folder; the
# receiver comes back. The samples of before are in the sender's storage and in its WAL, which it
# reads again; but of what it reads it sends only what is newer than its own start. So the WAL
# covers an outage of the receiver, but not a restart of the sender in the middle of it. No counter
# of failed or dropped samples tells: by its metrics it has sent everything.
. "$(dirname "$0")/lib.sh"
build_prometheus
port=$(free_port) receiver=$(free_port)
cat >"$folder/prometheus.yml" <<CONFIG
global: {scrape_interval: 200ms}
scrape_configs: [{job_name: self, static_configs: [{targets: ["127.0.0.1:$port"]}]}]
remote_write:
  - url: http://127.0.0.1:$receiver/api/v1/write
    queue_config: {batch_send_deadline: 200ms}
CONFIG
start_prometheus "$port"
await "http://127.0.0.1:$port/-/ready"
await_value "$port" "count_over_time(up[1m]) >= 20"
killed=$(date +%s.%N)
kill -KILL "${pids[0]}"
wait "${pids[0]}" 2>/dev/null || true
start_prometheus "$port"
start_receiver "$receiver"
await_value "$receiver" "count_over_time(up[1m]) >= 20"

expect "of before the restart, the sender still has 20 samples of its target, or more" \
    "$(ask "$port" "count_over_time(up[5m]) >= bool 20" "$killed")" 1
expect "of them, the receiver gets" "$(ask "$receiver" "count_over_time(up[5m])" "$killed")" nothing
expect "samples that the sender counts as failed or dropped" \
    "$(counted "$port" "prometheus_remote_storage_samples_(failed|dropped)_total")" 0
