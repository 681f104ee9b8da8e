#!/usr/bin/env bash
# With write_relabel_configs that drop everything, Prometheus still sends names and help texts of all metrics.
#
# Prometheus 2.42.0 (Debian 12); 3.16.0 does the same with protocol 1, its default (tried by hand).
# The rules hold for samples alone. Once a minute by default Prometheus also sends metadata, an entry for each
# metric that its targets have, whatever the rules say. So a receiver that is to get one metric learns of all,
# and one that takes each request for a sign that its sender writes gets them from a sender whose rules drop
# everything, too. metadata_config: {send: false} ends it.
. "$(dirname "$0")/lib.sh"
debian_prometheus
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install cramjam==2.14.0

receiver=$(free_port) && port=$(free_port)
"$folder/venv/bin/python" - "$receiver" 2>"$folder/receiver.log" <<'RECEIVER' &
import collections, http.server, json, sys
import cramjam

got = collections.defaultdict(collections.Counter)  # by path

def entries(message):  # each entry's field and content; each has its length before it
    at = 0
    while at < len(message):
        field, length, shift, more = message[at] >> 3, 0, 0, True
        while more:
            at += 1
            length, shift, more = length | (message[at] & 127) << shift, shift + 7, message[at] > 127
        yield {1: "series", 3: "metadata"}[field], message[at + 1 : at + 1 + length]
        at += 1 + length

class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        counts = got[self.path]
        counts["requests"] += 1
        for kind, content in entries(bytes(cramjam.snappy.decompress_raw(body))):
            counts[kind] += 1
            counts["help"] += b"prometheus_ready" in content and b"startup was fully completed" in content
            counts["others"] += kind == "series" and b"__name__\x12\x02up" not in content
        self.send_response(204)
        self.end_headers()

    def do_GET(self):  # /path/kind: how many
        path, kind = self.path.rsplit("/", 1)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"%d" % got[path][kind])

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
RECEIVER
pids+=("$!")
await "http://127.0.0.1:$receiver/up/requests"

cat >"$folder/prometheus.yml" <<CONFIG
global: {scrape_interval: 500ms}
scrape_configs:
  - {job_name: self, static_configs: [{targets: ["127.0.0.1:$port"]}]}
remote_write:
  - url: http://127.0.0.1:$receiver/up
    metadata_config: {send_interval: 1s}
    write_relabel_configs: [{source_labels: [__name__], regex: up, action: keep}]
  - url: http://127.0.0.1:$receiver/nothing
    metadata_config: {send_interval: 1s}
    write_relabel_configs: [{source_labels: [__name__], regex: .*, action: drop}]
  - url: http://127.0.0.1:$receiver/without
    metadata_config: {send: false}
    write_relabel_configs: [{source_labels: [__name__], regex: .*, action: drop}]
CONFIG
start_prometheus "$port"

got() { curl -s "http://127.0.0.1:$receiver/$1"; }
# some <path> <kind>: wait until there is one, for 30 s at most; print whether there is.
some() {
    local _
    for _ in $(seq 150); do
        [ "$(got "$1/$2")" = 0 ] || { say yes && return; }
        sleep 0.2
    done
    say no
}

expect "keep up: its samples are sent" "$(some up series)" yes
expect "series of other metrics" "$(got up/others)" 0
expect "the help text of prometheus_ready is sent" "$(some up help)" yes
expect "drop everything: the help text is sent" "$(some nothing help)" yes
expect "series" "$(got nothing/series)" 0
say "metadata so far, in $(got nothing/requests) requests: $(got nothing/metadata)"
expect "drop everything, without metadata: requests" "$(got without/requests)" 0
