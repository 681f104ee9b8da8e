#!/usr/bin/env bash
# VictoriaMetrics answers 204 to remote write in protocol 2, and stores nothing of it.
#
# VictoriaMetrics 1.151.0 (Go module github.com/VictoriaMetrics/VictoriaMetrics v1.151.0) as the
# receiver, Prometheus 3.16.0 (Go module github.com/prometheus/prometheus v0.316.0) as the sender.
# The receiver does not look at the content type; it reads the body as protocol 1, in which nothing
# of protocol 2 has a place, and takes an empty request for a good one. The specification wants 415
# from a receiver that does not know the message. The sender misses the counts of what was written: it counts
# the samples as failed and logs it, but goes on with protocol 2 and does not send them again.
. "$(dirname "$0")/lib.sh"
build_prometheus
say "building VictoriaMetrics 1.151.0 from its Go module"
GOBIN="$folder/bin" GOFLAGS=-modcacherw \
    go install github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics@v1.151.0
port=$(free_port) receiver=$(free_port)
"$folder/bin/victoria-metrics" -storageDataPath="$folder/received" -memory.allowedBytes=128MB \
    -httpListenAddr="127.0.0.1:$receiver" >"$folder/receiver.log" 2>&1 &
pids+=("$!")
await "http://127.0.0.1:$receiver/health"

# sends <protobuf message>: send 1000 samples or more.
sends() {
    port=$(free_port)
    rm -rf "$folder/data"
    cat >"$folder/prometheus.yml" <<CONFIG
global: {scrape_interval: 200ms}
scrape_configs: [{job_name: self, static_configs: [{targets: ["127.0.0.1:$port"]}]}]
remote_write:
  - url: http://127.0.0.1:$receiver/api/v1/write
    protobuf_message: $1
    queue_config: {batch_send_deadline: 200ms}
CONFIG
    start_prometheus "$port"
    await "http://127.0.0.1:$port/-/ready"
    await_value "$port" "prometheus_remote_storage_samples_total > 1000"
    expect "the sender counts samples as failed" \
        "$(ask "$port" "prometheus_remote_storage_samples_failed_total > bool 0")" "$2"
    expect "it sends samples again" \
        "$(ask "$port" "prometheus_remote_storage_samples_retried_total > bool 0")" 0
    kill -KILL "${pids[-1]}"
    wait "${pids[-1]}" 2>/dev/null || true
}

say "protocol 2:"
sends io.prometheus.write.v2.Request 1
expect "what the sender logs" "$(grep -oE 'got 2xx, but PRW 2.0 response header[a-z ]*' "$folder/log" | sort -u)" \
    "got 2xx, but PRW 2.0 response header statistics indicate "
expect "requests that the receiver answers by an error" \
    "$(counted "$receiver" 'vm_protoparser_read_errors_total.type="promremotewrite".')" 0
expect "samples that it has" "$(counted "$receiver" 'vm_rows_inserted_total.type="promremotewrite".')" 0
say "protocol 1:"
sends prometheus.WriteRequest 0
expect "the receiver has 1000 samples, or more" \
    "$(($(counted "$receiver" 'vm_rows_inserted_total.type="promremotewrite".') >= 1000))" 1
