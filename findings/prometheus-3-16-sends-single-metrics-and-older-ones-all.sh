#!/usr/bin/env bash
# Prometheus 3.16 answers /metrics?name[]=NAME with that metric alone; 2.42 ignores the parameter and sends all.
#
# Prometheus 3.16.0 (Go module github.com/prometheus/prometheus v0.316.0) and 2.42.0 of Debian 12.
# Prometheus' own pages do not have the parameter. Who asks for one metric of many may save megabytes:
# with thousands of scrape jobs /metrics has a series or more of each. Who reads the first line of the
# answer as the metric that was asked for is wrong with older versions, which do not refuse the parameter.
. "$(dirname "$0")/lib.sh"
build_prometheus
mv "$folder/bin" "$folder/newest"
debian_prometheus
mv "$folder/bin" "$folder/oldest"
echo '{}' >"$folder/prometheus.yml"
metric=prometheus_config_last_reload_successful

# names <folder>: print how many metrics that Prometheus sends of the one that is asked for.
names() {
    local port
    port=$(free_port)
    "$1/prometheus" --config.file="$folder/prometheus.yml" --storage.tsdb.path="$1/data" \
        --web.listen-address="127.0.0.1:$port" >"$folder/log" 2>&1 &
    pids+=("$!")
    await "http://127.0.0.1:$port/-/ready"
    curl -sg "http://127.0.0.1:$port/metrics?name[]=$metric" >"$folder/answer"
    grep -c '^# TYPE' "$folder/answer" | sed 's/^1$/one/; s/^[0-9]\{2,\}$/many/'
}

expect "metrics in the answer of 3.16" "$(names "$folder/newest")" one
expect "which is" "$(grep -v '^#' "$folder/answer")" "$metric 1"
expect "metrics in the answer of 2.42" "$(names "$folder/oldest")" many
expect "the one that was asked for in it" "$(grep "^$metric " "$folder/answer")" "$metric 1"
