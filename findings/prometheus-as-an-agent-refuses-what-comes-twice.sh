#!/usr/bin/env bash
# A remote write request that is sent again is taken by a Prometheus server, and refused by an agent: 400.
#
# Prometheus 3.16.0 (Go module github.com/prometheus/prometheus v0.316.0), protocol 1; an agent of 3.5.3 does the
# same, those of 2.42.0 and 2.53.3 take it (tried by hand).
# A sender whose answer was lost sends the request again. A server that has the samples takes them once more. An
# agent, with the same flag and the same URL, calls them out of order. 400 is final to a sender: it counts as failed
# what has been stored, and what is new in such a request, as a sample of another series, the agent drops with the
# rest.
. "$(dirname "$0")/lib.sh"
build_prometheus
server=$(free_port) agent=$(free_port)
start_receiver "$server"
echo 'remote_write: [{url: "http://127.0.0.1:9/"}]' >"$folder/agent.yml"
"$folder/bin/prometheus" --agent --config.file="$folder/agent.yml" --storage.agent.path="$folder/data" \
    --web.listen-address="127.0.0.1:$agent" --web.enable-remote-write-receiver >"$folder/log" 2>&1 &
pids+=("$!")
await "http://127.0.0.1:$agent/-/ready"

cat >"$folder/write.py" <<'PYTHON'
import http.client, struct, sys, time

def varint(number):
    low, rest = number & 127, number >> 7
    return bytes([low | 128]) + varint(rest) if rest else bytes([low])

def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content

port, at, *names = sys.argv[1:]  # a sample of each name, at this second since 1970
sample = struct.pack("<Bd", 9, 1.0) + b"\x10" + varint(int(at) * 1000)
message = b"".join(
    field(1, field(1, field(1, b"__name__") + field(2, name.encode())) + field(2, sample)) for name in names
)
# Snappy with nothing compressed, of 60 bytes at most.
body = varint(len(message)) + b"".join(
    bytes([len(part) - 1 << 2]) + part
    for part in (message[start : start + 60] for start in range(0, len(message), 60))
)
api = http.client.HTTPConnection("127.0.0.1", int(port))
headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
api.request("POST", "/api/v1/write", body, headers)
answer = api.getresponse()
print(f"{answer.status} {answer.read().decode()}".strip())
PYTHON
now=$(date +%s)
write() { python3 "$folder/write.py" "$1" "$now" "${@:2}"; }

say "a server:"
expect "a request with a sample" "$(write "$server" first)" 204
expect "the same request" "$(write "$server" first)" 204
expect "the same sample, and one of another series" "$(write "$server" first other)" 204
expect "samples of the other series that it has" "$(ask "$server" 'count_over_time(other[5m])')" 1
say "an agent:"
expect "a request with a sample" "$(write "$agent" first)" 204
expect "the same request" "$(write "$agent" first)" "400 out of order sample"
expect "the same sample, and one of another series" "$(write "$agent" first other)" "400 out of order sample"
expect "series that it has" "$(counted "$agent" prometheus_agent_active_series)" 1
expect "samples" "$(counted "$agent" prometheus_agent_samples_appended_total)" 1
expect "the other series alone" "$(write "$agent" other)" 204
