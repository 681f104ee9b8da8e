#!/usr/bin/env bash
# By protocol 2 Prometheus refuses each exemplar that a Prometheus of the same version sends it: 400.
#
# Prometheus 3.16.0 (Go module github.com/prometheus/prometheus v0.316.0) as the sender, with send_exemplars, and
# as the receiver; both have --enable-feature=exemplar-storage.
# The sender puts an exemplar into a series of its own, without the sample that it belongs to, as in protocol 1.
# Protocol 2 wants a sample or a histogram in each series, and the receiver insists on it. What else is in the
# request is stored: the sender counts no sample as failed, only the exemplars, all of them. By protocol 1 they
# arrive. The sender's part is reported, and not corrected in this version:
# https://github.com/prometheus/prometheus/issues/17857.
. "$(dirname "$0")/lib.sh"
build_prometheus
cat >"$folder/target.py" <<'PYTHON'
import http.server, sys, time

class Target(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        done = int(time.time() * 10)
        self.send_response(200)
        self.send_header("Content-Type", "application/openmetrics-text; version=1.0.0")
        self.end_headers()
        self.wfile.write(b'# TYPE work counter\nwork_total %d # {trace_id="%d"} 1\n# EOF\n' % (done, done))

http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Target).serve_forever()
PYTHON
target=$(free_port)
python3 "$folder/target.py" "$target" 2>/dev/null &
pids+=("$!")
await "http://127.0.0.1:$target"
receiver=$(free_port)
start_receiver "$receiver" --enable-feature=exemplar-storage

# sends <protobuf message>: have a new sender send ten exemplars, or more.
sends() {
    port=$(free_port)
    rm -rf "$folder/data"
    cat >"$folder/prometheus.yml" <<CONFIG
global: {scrape_interval: 200ms, external_labels: {message: $1}}
scrape_configs: [{job_name: work, static_configs: [{targets: ["127.0.0.1:$target"]}]}]
remote_write:
  - url: http://127.0.0.1:$receiver/api/v1/write
    protobuf_message: $1
    send_exemplars: true
    queue_config: {batch_send_deadline: 200ms}
CONFIG
    start_prometheus "$port" --enable-feature=exemplar-storage
    await "http://127.0.0.1:$port/-/ready"
    for _ in $(seq 300); do
        [ "$(counted "$port" prometheus_remote_storage_exemplars_total)" -lt 10 ] || return 0
        sleep 0.2
    done
    say "the sender sends no exemplars"
    exit 1
}

# received <protobuf message>: print how many exemplars the receiver has of those that came by it.
received() {
    curl -s "http://127.0.0.1:$receiver/api/v1/query_exemplars" --data-urlencode "query=work_total{message=\"$1\"}" \
        --data-urlencode "start=$(($(date +%s) - 600))" --data-urlencode "end=$(($(date +%s) + 600))" |
        python3 -c 'import json, sys; print(sum(len(each["exemplars"]) for each in json.load(sys.stdin)["data"]))'
}

say "protocol 1:"
sends prometheus.WriteRequest
expect "the receiver has nine exemplars, or more" "$(($(received prometheus.WriteRequest) >= 9))" 1
expect "exemplars that the sender counts as failed" "$(counted "$port" prometheus_remote_storage_exemplars_failed_total)" 0
kill -KILL "${pids[-1]}"
wait "${pids[-1]}" 2>/dev/null || true
say "protocol 2:"
sends io.prometheus.write.v2.Request
expect "exemplars that the receiver has" "$(received io.prometheus.write.v2.Request)" 0
expect "the sender counts nine as failed, or more" \
    "$(($(counted "$port" prometheus_remote_storage_exemplars_failed_total) >= 9))" 1
expect "what it logs" "$(grep -oE 'status 400 [a-zA-Z :]*' "$folder/log" | sort -u)" \
    "status 400 Bad Request: TimeSeries must contain at least one sample or histogram for series "
expect "samples that it counts as failed" "$(counted "$port" prometheus_remote_storage_samples_failed_total)" 0
expect "the receiver has nine samples of the series, or more" \
    "$(ask "$receiver" 'count_over_time(work_total{message="io.prometheus.write.v2.Request"}[10m]) >= bool 9')" 1
