#!/usr/bin/env bash
# /api/v1/status/config shows a configuration that a reload has refused, while the old one sends on.
#
# Prometheus 3.16.0 (Go module github.com/prometheus/prometheus v0.316.0).
# A reload whose remote_write names a missing CA file is answered by 500, and
# prometheus_config_last_reload_successful is 0. The API shows the new configuration all the same,
# and samples go on to the URL that is in it no more. Who asks the API what is in force is misled;
# only a success in the metrics says that what is shown is what works.
. "$(dirname "$0")/lib.sh"
build_prometheus

port=$(free_port) receiver=$(free_port)
python3 - "$receiver" "$folder/received" <<'RECEIVER' &
import http.server, sys

class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        with open(sys.argv[2], "a") as log:
            log.write(self.path + "\n")
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass

http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
RECEIVER
pids+=("$!")

cat >"$folder/prometheus.yml" <<CONFIG
global: {scrape_interval: 200ms}
scrape_configs: [{job_name: self, static_configs: [{targets: ["127.0.0.1:$port"]}]}]
remote_write: [{url: "http://127.0.0.1:$receiver/old", queue_config: {batch_send_deadline: 200ms}}]
CONFIG
start_prometheus "$port"
await "http://127.0.0.1:$port/-/ready"
for _ in $(seq 300); do
    [ ! -s "$folder/received" ] || break
    sleep 0.1
done
expect "before the reload, samples go to" "$(sort -u "$folder/received")" /old

sed -i '/^remote_write/d' "$folder/prometheus.yml"
cat >>"$folder/prometheus.yml" <<CONFIG
remote_write: [{url: "https://127.0.0.1:9/new", tls_config: {ca_file: missing.pem}}]
CONFIG
expect "the reload is answered by" \
    "$(curl -s -o /dev/null -w '%{http_code}' -X POST "http://127.0.0.1:$port/-/reload")" 500
expect "prometheus_config_last_reload_successful" \
    "$(curl -s "http://127.0.0.1:$port/metrics" | sed -n 's/^prometheus_config_last_reload_successful //p')" 0
expect "what the API shows is sent to" \
    "$(curl -s "http://127.0.0.1:$port/api/v1/status/config" | grep -oE '9/(old|new)|[0-9]+/(old|new)' | sed 's|.*/||' | sort -u)" new
: >"$folder/received"
sleep 3
expect "three seconds later, samples go to" "$(sort -u "$folder/received")" /old
