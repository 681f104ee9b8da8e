#!/usr/bin/env bash
# Prometheus 2 logs in UTC wherever it runs; Prometheus 3 logs in local time.
#
# Prometheus 2.42.0 (Debian 12) and 3.16.0 (Go module github.com/prometheus/prometheus v0.316.0), in
# the zone Asia/Tokyo. That the key is ts= in the one and time= in the other is known; that the
# meaning of the clock changes too is told by the offset at the end alone. What sorts or compares
# the lines of both as text, or cuts the offset off, is wrong by it after an upgrade, and only there
# where a zone is set: in most containers none is.
. "$(dirname "$0")/lib.sh"
[ -e /usr/share/zoneinfo/Asia/Tokyo ] || { say "no zone Asia/Tokyo here: install tzdata" && exit 1; }
debian_prometheus
mv "$folder/bin" "$folder/2"
build_prometheus
mv "$folder/bin" "$folder/3"

touch "$folder/prometheus.yml"
port=$(free_port)

# logged <version>: print the hour of its first line less that of UTC, and its offset.
logged() {
    TZ=Asia/Tokyo "$folder/$1/prometheus" --config.file="$folder/prometheus.yml" \
        --storage.tsdb.path="$folder/data$1" --web.listen-address="127.0.0.1:$port" \
        >"$folder/log" 2>&1 &
    pids+=("$!")
    await "http://127.0.0.1:$port/-/ready"
    kill "${pids[-1]}"
    wait "${pids[-1]}"
    python3 - "$folder/log" <<'PYTHON'
import datetime, re, sys

when = re.search(r"time=(\S+)|ts=(\S+)", open(sys.argv[1]).readline())
text = when[1] or when[2]
shown = datetime.datetime.fromisoformat(text[:19])
utc = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
print(f"{round((shown - utc).total_seconds() / 3600)} hours, {text[23:]}")
PYTHON
}

expect "Prometheus 2 is ahead of UTC by" "$(logged 2)" "0 hours, Z"
expect "Prometheus 3 is ahead of UTC by" "$(logged 3)" "9 hours, +09:00"
