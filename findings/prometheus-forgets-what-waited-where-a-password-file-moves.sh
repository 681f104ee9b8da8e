#!/usr/bin/env bash
# A reload that moves a password_file loses all that waits for the receiver; a new password does not.
#
# Prometheus 3.16.0 (Go module github.com/prometheus/prometheus v0.316.0); 2.42.0 loses it as well
# (tried by hand). The receiver is away while the configuration is loaded again. Where the inline
# password of a remote_write has changed, its queue goes on with the new one, for entries are
# compared with their secrets hidden. The path of a password_file is not hidden: the queue is ended
# and another begins with what is scraped from then on. The password may be the same, and the
# answer to the reload is 200; no counter of failed or dropped samples tells of the loss, for those
# of the queue that has ended are gone with it.
. "$(dirname "$0")/lib.sh"
build_prometheus

# configure <password option>: write to $receiver with it.
configure() {
    cat >"$folder/prometheus.yml" <<CONFIG
global: {scrape_interval: 200ms}
scrape_configs: [{job_name: self, static_configs: [{targets: ["127.0.0.1:$port"]}]}]
remote_write:
  - url: http://127.0.0.1:$receiver/api/v1/write
    basic_auth: {username: a, $1}
    queue_config: {batch_send_deadline: 200ms}
CONFIG
}

# reloaded <before> <after>: reload while the receiver is away, then start it.
reloaded() {
    port=$(free_port) receiver=$(free_port)
    rm -rf "$folder/data" "$folder"/received.*
    configure "$1"
    start_prometheus "$port" --storage.remote.flush-deadline=1s
    await "http://127.0.0.1:$port/-/ready"
    await_value "$port" "count_over_time(up[1m]) >= 20"
    configure "$2"
    at=$(date +%s.%N)
    expect "the reload is answered by" \
        "$(curl -s -o /dev/null -w '%{http_code}' -X POST "http://127.0.0.1:$port/-/reload")" 200
    start_receiver "$receiver"
    await_value "$receiver" "count_over_time(up[1m]) >= 20"
    expect "of before the reload, the sender has 20 samples of its target, or more" \
        "$(ask "$port" "count_over_time(up[5m]) >= bool 20" "$at")" 1
}

say "another inline password:"
reloaded "password: one" "password: two"
expect "the receiver gets as many" \
    "$(ask "$receiver" "count_over_time(up[5m])" "$at")" "$(ask "$port" "count_over_time(up[5m])" "$at")"

echo one >"$folder/one"
cp "$folder/one" "$folder/two"
say "another password_file, with the same password:"
reloaded "password_file: one" "password_file: two"
expect "of them, the receiver gets" "$(ask "$receiver" "count_over_time(up[5m])" "$at")" nothing
expect "samples that the sender counts as failed or dropped" \
    "$(counted "$port" "prometheus_remote_storage_samples_(failed|dropped)_total")" 0
