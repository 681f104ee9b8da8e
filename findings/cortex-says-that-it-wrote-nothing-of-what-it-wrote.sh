#!/usr/bin/env bash
# Cortex stores the good part of a request that it refuses, and says that it has written nothing.
#
# Cortex 1.21.1 (Go module github.com/cortexproject/cortex v1.21.1, built with the tag slicelabels as
# its own builds are), remote write in protocol 2 (-distributor.remote-writev2-enabled).
# One sample of the request is older than what the series has: 400, as it should be. The header
# field for the samples that were written, which protocol 2 has so that a sender knows just that,
# is 0; a query finds the others. A sender that sends again what was not written sends them twice,
# and one that counts losses counts the whole request. Without a bad sample the field is right;
# Prometheus 3.16.0 as the receiver says 1 of 2.
. "$(dirname "$0")/lib.sh"
say "building Cortex 1.21.1 from its Go module: ten minutes on two cores the first time"
module=$(GOFLAGS=-modcacherw go mod download -json github.com/cortexproject/cortex@v1.21.1 |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["Dir"])')
(cd "$module" && go build -buildvcs=false -tags slicelabels -o "$folder/bin/cortex" ./cmd/cortex)

port=$(free_port)
mkdir "$folder/rules" "$folder/alerts"
cat >"$folder/cortex.yml" <<CONFIG
auth_enabled: false
server: {http_listen_address: 127.0.0.1, http_listen_port: $port,
  grpc_listen_address: 127.0.0.1, grpc_listen_port: $(free_port), log_level: error}
distributor: {remote_writev2_enabled: true}
ingester: {lifecycler: {address: 127.0.0.1, min_ready_duration: 0s, final_sleep: 0s,
  ring: {kvstore: {store: inmemory}, replication_factor: 1}}}
blocks_storage: {backend: filesystem, filesystem: {dir: $folder/blocks},
  tsdb: {dir: $folder/tsdb}, bucket_store: {sync_dir: $folder/sync}}
compactor: {data_dir: $folder/compactor, sharding_ring: {kvstore: {store: inmemory}}}
querier: {active_query_tracker_dir: $folder/queries}
ruler: {rule_path: $folder/rule-files}
ruler_storage: {backend: local, local: {directory: $folder/rules}}
alertmanager: {external_url: "http://localhost/alerts", data_dir: $folder/alerts}
alertmanager_storage: {backend: local, local: {path: $folder/alerts}}
memberlist: {bind_addr: [127.0.0.1], bind_port: $(free_port)}
CONFIG
"$folder/bin/cortex" -config.file="$folder/cortex.yml" >"$folder/log" 2>&1 &
pids+=("$!")
await "http://127.0.0.1:$port/ready"

cat >"$folder/write.py" <<'PYTHON'
import http.client, struct, sys

port, *samples = sys.argv[1:]  # each a name and the milliseconds since 1970, as NAME@MS

def varint(number):
    low, rest = number & 127, number >> 7
    return bytes([low | 128]) + varint(rest) if rest else bytes([low])

def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content

symbols = ["", "__name__"]
series = b""
for each in samples:
    name, at = each.split("@")
    symbols.append(name)
    sample = struct.pack("<Bd", 9, 1.0) + b"\x10" + varint(int(at))
    series += field(5, field(1, bytes([1, len(symbols) - 1])) + field(2, sample))
message = b"".join(field(4, each.encode()) for each in symbols) + series
literal = b"".join(
    bytes([len(part) - 1 << 2]) + part
    for part in (message[at : at + 60] for at in range(0, len(message), 60))
)
api = http.client.HTTPConnection("127.0.0.1", int(port))
api.request("POST", "/api/v1/push", varint(len(message)) + literal, {
    "Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "2.0.0",
})
answer = api.getresponse()
print(answer.status, "written:", answer.getheader("X-Prometheus-Remote-Write-Samples-Written"))
PYTHON
now=$(($(date +%s) * 1000))
write() { python3 "$folder/write.py" "$port" "$@"; }
stored() {
    curl -s "http://127.0.0.1:$port/prometheus/api/v1/query" --data-urlencode "query=count_over_time($1[5m])" |
        python3 -c 'import json, sys; print(sum(int(each["value"][1]) for each in json.load(sys.stdin)["data"]["result"]))'
}
expect "a sample" "$(write "known@$now")" "204 written: 1"
expect "a new one of another series, and an older one of the first" \
    "$(write "other@$now" "known@$((now - 1000))")" "400 written: 0"
expect "samples that it has of the other series" "$(stored other)" 1
expect "samples that it has of the first" "$(stored known)" 1
