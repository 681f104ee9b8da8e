#!/usr/bin/env bash
# Prometheus takes samples for stored whose request was redirected to a page for people.
#
# Prometheus 3.16.0 (Go module github.com/prometheus/prometheus v0.316.0); 2.42.0 does the same with
# protocol 1 (tried by hand). A proxy before the receiver answers 302, as those do that want a login.
# Go's HTTP client follows as a browser would: by a GET without the body. The page is answered by
# 200, and the sender takes that for the receiver's answer: nothing fails, is repeated or logged.
# With protocol 2 the sender misses the counts of what was written: it counts the samples as failed,
# but does not send them again either. 307 and 308 keep the method and the body.
. "$(dirname "$0")/lib.sh"
build_prometheus
cat >"$folder/portal.py" <<'PYTHON'
import http.server, sys

class Portal(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(302, b"")

    def do_GET(self):
        self.answer(200, b"<html>who are you?</html>")

    def answer(self, status, page):
        with open(sys.argv[2], "a") as log:
            log.write(f"{self.command} {self.path}\n")
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/login")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Portal).serve_forever()
PYTHON

# sends <protobuf message>: send to the portal until 1000 samples have gone; print the counters.
sends() {
    port=$(free_port) portal=$(free_port)
    rm -rf "$folder/data"
    python3 "$folder/portal.py" "$portal" "$folder/asked" &
    pids+=("$!")
    await "http://127.0.0.1:$portal/"
    rm "$folder/asked"
    cat >"$folder/prometheus.yml" <<CONFIG
global: {scrape_interval: 200ms}
scrape_configs: [{job_name: self, static_configs: [{targets: ["127.0.0.1:$port"]}]}]
remote_write:
  - url: http://127.0.0.1:$portal/write
    protobuf_message: $1
    queue_config: {batch_send_deadline: 200ms}
CONFIG
    start_prometheus "$port"
    await "http://127.0.0.1:$port/-/ready"
    await_value "$port" "prometheus_remote_storage_samples_total > 1000"
    expect "what is asked of the portal" "$(sort -u "$folder/asked" | tr '\n' ' ')" "GET /login POST /write "
    is_failed=$(ask "$port" "prometheus_remote_storage_samples_failed_total > bool 0")
    expect "samples that are sent again" "$(ask "$port" prometheus_remote_storage_samples_retried_total)" 0
}

say "protocol 1:"
sends prometheus.WriteRequest
expect "samples count as failed" "$is_failed" 0
expect "lines of the log that tell" "$(grep -cE 'level=(WARN|ERROR).*component=remote' "$folder/log" || true)" 0
say "protocol 2:"
sends io.prometheus.write.v2.Request
expect "samples count as failed" "$is_failed" 1
