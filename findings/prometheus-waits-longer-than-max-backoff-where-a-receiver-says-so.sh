#!/usr/bin/env bash
# A receiver's Retry-After outweighs max_backoff: Prometheus waits as long as it says.
#
# Prometheus 3.16.0 (Go module github.com/prometheus/prometheus v0.316.0); 2.42.0 (Debian 12) ignores the field.
# Its documents call max_backoff the maximum retry delay, and do not name Retry-After. The receiver here answers
# one request by 503 with Retry-After: 15, as a load balancer may during a maintenance, and takes each one after
# that. With a max_backoff of 1 s nothing more comes for 15 s: the shard that waits is the only one by default.
# No sample is lost while the WAL has it, but all are late, and one 503 that names some hours costs as many.
# While it waits, only a line of level INFO tells of it; the warning with the status comes when it is over.
. "$(dirname "$0")/lib.sh"
debian_prometheus
mv "$folder/bin" "$folder/2.42.0"
build_prometheus
mv "$folder/bin" "$folder/3.16.0"

receiver=$(free_port)
python3 - "$receiver" "$folder/requests" 2>"$folder/receiver.log" <<'RECEIVER' &
import http.server, sys, time

refused = set()  # paths

class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        print(self.path, int(time.monotonic() * 1000), file=requests, flush=True)
        if self.path in refused:
            self.send_response(204)
        else:
            refused.add(self.path)
            self.send_response(503)
            self.send_header("Retry-After", "15")
        self.end_headers()

    def do_GET(self):
        self.send_response(200)
        self.end_headers()

requests = open(sys.argv[2], "w")
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
RECEIVER
pids+=("$!")
await "http://127.0.0.1:$receiver/"

# waited <version>: print how the time from its first request to the second compares.
waited() {
    local port times=()
    port=$(free_port)
    cat >"$folder/prometheus.yml" <<CONFIG
global: {scrape_interval: 500ms}
scrape_configs:
  - {job_name: self, static_configs: [{targets: ["127.0.0.1:$port"]}]}
remote_write:
  - url: http://127.0.0.1:$receiver/$1
    metadata_config: {send: false}
    queue_config: {max_backoff: 1s, batch_send_deadline: 500ms}
CONFIG
    ln -sfn "$1" "$folder/bin"
    start_prometheus "$port"
    for _ in $(seq 300); do
        mapfile -t times < <(sed -n "s#^/$1 ##p" "$folder/requests")
        [ "${#times[@]}" -lt 2 ] || break
        sleep 0.2
    done
    kill -KILL "${pids[-1]}"
    wait "${pids[-1]}" || true
    rm -rf "$folder/data"
    [ "${#times[@]}" -ge 2 ] || { say "no second request in a minute" && return; }
    [ $((times[1] - times[0])) -ge 15000 ] && say "15 s or more" || say "less than 15 s"
}

expect "2.42.0 waits" "$(waited 2.42.0)" "less than 15 s"
expect "3.16.0 waits" "$(waited 3.16.0)" "15 s or more"
expect "what it logs as it begins to wait" "$(grep -oE 'level=[A-Z]+|msg="Retrying after [^"]*' "$folder/log" |
    grep -B 1 Retrying | head -n 1)" level=INFO
say "all that it logs of it:"
grep 'status 503\|Retry-After' "$folder/log" | cut -c 1-220
