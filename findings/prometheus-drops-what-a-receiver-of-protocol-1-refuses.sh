#!/usr/bin/env bash
# Prometheus drops all samples where a receiver does not know protocol 2, and never tries protocol 1.
#
# Prometheus 3.16.0 (Go module github.com/prometheus/prometheus v0.316.0) as the sender, and as a
# receiver that accepts protocol 1 alone. The receiver does what the specification wants: 415, and
# the text names what it accepts. The specification lets a sender go back to protocol 1 then; this
# one takes 415 as it takes any 4xx: final. It goes on with protocol 2 for ever, each request is
# dropped, and its samples are counted as failed. Both are of one program, in one version.
. "$(dirname "$0")/lib.sh"
build_prometheus
port=$(free_port) receiver=$(free_port)
start_receiver "$receiver" \
    --web.remote-write-receiver.accepted-protobuf-messages=prometheus.WriteRequest
cat >"$folder/prometheus.yml" <<CONFIG
global: {scrape_interval: 200ms}
scrape_configs: [{job_name: self, static_configs: [{targets: ["127.0.0.1:$port"]}]}]
remote_write:
  - url: http://127.0.0.1:$receiver/api/v1/write
    protobuf_message: io.prometheus.write.v2.Request
    queue_config: {batch_send_deadline: 200ms}
CONFIG
start_prometheus "$port"
await "http://127.0.0.1:$port/-/ready"
await_value "$port" "prometheus_remote_storage_samples_total > 1000"
expect "statuses that the receiver answers" "$(
    curl -s "http://127.0.0.1:$receiver/metrics" | grep -v ' 0$' |
        sed -n 's/^prometheus_http_requests_total{code="\([0-9]*\)",handler="\/api\/v1\/write"}.*/\1/p'
)" 415
expect "what it says" "$(grep -o 'only accepts [a-zA-Z.]*' "$folder/log" | sort -u)" \
    "only accepts prometheus.WriteRequest"
expect "samples of the target that it has" "$(ask "$receiver" "count_over_time(up[5m])")" nothing
expect "the sender counts samples as failed" \
    "$(ask "$port" "prometheus_remote_storage_samples_failed_total > bool 0")" 1
expect "samples that it sends again" "$(ask "$port" prometheus_remote_storage_samples_retried_total)" 0
