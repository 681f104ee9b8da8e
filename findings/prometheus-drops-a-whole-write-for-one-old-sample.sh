#!/usr/bin/env bash
# One sample that is too old costs a remote write request all the others: 400, and nothing is stored.
#
# Prometheus 2.42.0 (Debian 12) as the receiver, protocol 1, without an out-of-order time window;
# 3.16.0 does the same (tried by hand). Series that have nothing to do with the old sample, and come
# before it in the request, lose their new samples: all is rolled back. A sender takes 400 for
# final, so they are gone, and what it counts as rejected is the whole request.
# Only an exact duplicate of the newest sample of a series is taken, so that sending again what was
# taken is safe only where no series has two samples in the request. Protocol 2 differs: 3.16.0
# answers 400 too, but stores what is good (tried by hand).
. "$(dirname "$0")/lib.sh"
debian_prometheus
port=$(free_port)
echo '{}' >"$folder/prometheus.yml"
start_prometheus "$port" --web.enable-remote-write-receiver
await "http://127.0.0.1:$port/-/ready"

cat >"$folder/receiver.py" <<'PYTHON'
import http.client, json, struct, sys, urllib.parse

port, began, order, *what = sys.argv[1:]
began = int(began)  # ms
api = http.client.HTTPConnection("127.0.0.1", int(port))

def varint(number):
    low, rest = number & 127, number >> 7
    return bytes([low | 128]) + varint(rest) if rest else bytes([low])

def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content

def label(name, value):
    return field(1, field(1, name.encode()) + field(2, value.encode()))

def series(text):  # name@ms=value,ms=value, in ms since we began
    name, samples = text.split("@")
    pairs = (each.split("=") for each in samples.split(","))
    return field(1, label("__name__", name) + b"".join(
        field(2, struct.pack("<Bd", 9, float(value)) + b"\x10" + varint(began + int(ms)))
        for ms, value in pairs
    ))

def snappy(data):  # all of it literal
    parts = (data[at:at + 60] for at in range(0, len(data), 60))
    return varint(len(data)) + b"".join(bytes([len(part) - 1 << 2]) + part for part in parts)

if order == "write":
    api.request("POST", "/api/v1/write", snappy(b"".join(map(series, what))), {
        "Content-Type": "application/x-protobuf",
        "Content-Encoding": "snappy",
        "X-Prometheus-Remote-Write-Version": "0.1.0",
    })
    answer = api.getresponse()
    print(answer.status, answer.read().decode().strip()[:30].strip())
else:
    api.request("GET", "/api/v1/query?" + urllib.parse.urlencode({"query": f"{what[0]}[1h]"}))
    found = json.load(api.getresponse())["data"]["result"]
    values = found[0]["values"] if found else []
    print(",".join(f"{round(time * 1000) - began}={value}" for time, value in values) or "nothing")
PYTHON
began=$(($(date +%s) * 1000 - 60000))
written() { python3 "$folder/receiver.py" "$port" "$began" write "$@" | sed 's/ *$//'; }
stored() { python3 "$folder/receiver.py" "$port" "$began" query "$1"; }

expect "a first sample" "$(written known@0=1)" 204
expect "new samples of others, then an older one of the first" \
    "$(written other@0=1 third@0=1 known@-1=1)" "400 out of order sample"
expect "stored of the first" "$(stored known)" "0=1"
expect "stored of the second" "$(stored other)" nothing
expect "stored of the third" "$(stored third)" nothing
expect "the same without the older one" "$(written other@0=1 third@0=1)" 204
expect "stored of the second" "$(stored other)" "0=1"

expect "a new sample, and the newest of the first again" "$(written other@1=2 known@0=1)" 204
expect "stored of the second" "$(stored other)" "0=1,1=2"
expect "a new sample, and the newest of the first with another value" \
    "$(written other@2=3 known@0=9)" "400 duplicate sample for timestamp"
expect "stored of the second" "$(stored other)" "0=1,1=2"

expect "two samples of one series" "$(written twice@0=1,1=2)" 204
expect "the same request again" "$(written twice@0=1,1=2)" "400 out of order sample"
