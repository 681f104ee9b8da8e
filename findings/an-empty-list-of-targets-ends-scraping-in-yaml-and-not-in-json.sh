#!/usr/bin/env bash
# An empty file of file_sd takes all targets away if it ends in .yml, and none if it ends in .json.
#
# Prometheus 2.42.0 (Debian 12); 2.53.3, 3.5.3 and 3.16.0 do the same (tried by hand).
# A file that cannot be read right leaves the targets as they were, and a write that is cut off, by a full disk or
# by `command >file` where the command fails, leaves an empty one. As JSON it is an error: it is logged, it is
# counted, and scraping goes on. As YAML it is a good list of nothing, without a word or a count. The same list
# is safe in the one format and not in the other; JSON is YAML too, so that the name alone decides.
. "$(dirname "$0")/lib.sh"
debian_prometheus
port=$(free_port)
# A folder for each: any change in the folder of a list makes Prometheus read the list again.
for suffix in json yml; do
    mkdir "$folder/$suffix"
    echo "[{\"targets\": [\"127.0.0.1:$port\"]}]" >"$folder/$suffix/targets.$suffix"
done
cat >"$folder/prometheus.yml" <<CONFIG
scrape_configs:
  - {job_name: json, file_sd_configs: [{files: [json/targets.json]}]}
  - {job_name: yml, file_sd_configs: [{files: [yml/targets.yml]}]}
CONFIG
start_prometheus "$port"
await "http://127.0.0.1:$port/-/ready"

# jobs_with_targets: print the jobs that have targets.
jobs_with_targets() {
    curl -s "http://127.0.0.1:$port/api/v1/targets?state=active" | python3 -c '
import json, sys
print(*sorted(target["labels"]["job"] for target in json.load(sys.stdin)["data"]["activeTargets"]))'
}

# settled <jobs>: wait until these have targets, for a minute at most; print those that have.
settled() {
    local _
    for _ in $(seq 300); do
        [ "$(jobs_with_targets)" != "$1" ] || break
        sleep 0.2
    done
    jobs_with_targets
}

errors() { counted "$port" prometheus_sd_file_read_errors_total; }

expect "the same list in both formats: jobs with targets" "$(settled "json yml")" "json yml"
expect "errors counted" "$(errors)" 0
: >"$folder/json/targets.json"
for _ in $(seq 300); do
    [ "$(errors)" = 0 ] || break
    sleep 0.2
done
expect "the .json is empty: errors counted" "$([ "$(errors)" = 0 ] || echo yes)" yes
expect "jobs with targets" "$(settled "json yml")" "json yml"
before=$(errors)
: >"$folder/yml/targets.yml"
expect "the .yml is empty: jobs with targets" "$(settled json)" json
expect "errors counted of it" "$(($(errors) - before))" 0
expect "lines of the log with its name" "$(grep -c targets.yml "$folder/log" || true)" 0
