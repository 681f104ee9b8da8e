#!/usr/bin/env bash
# One relabeling rule with `regex: 'null'` changes all rules without a regex, until Prometheus is restarted.
#
# Prometheus 3.16.0 (Go module github.com/prometheus/prometheus v0.316.0).
# `regex: 'null'`, quoted, is to match a label whose value is null, as exporters write for a missing field. The
# YAML library takes a quoted null for no value, and then writes the text into the expression that is there
# already: the default (.*), which all rules share. From then on a rule without a regex matches null alone.
# promtool says SUCCESS, no log line tells, /api/v1/status/config shows neither regex, and a reload with
# the rule taken out does not bring the default back. '(?:null)' means the same and harms nothing; (null) does
# so only if the rule's replacement, $1 by default, is not used.
. "$(dirname "$0")/lib.sh"
build_prometheus

# configured <expression>: write a configuration whose second rule has no regex, and adds a label to every series.
configured() {
    cat >"$folder/prometheus.yml" <<CONFIG
global: {scrape_interval: 200ms}
scrape_configs:
  - job_name: self
    static_configs: [{targets: ["127.0.0.1:$port"]}]
    metric_relabel_configs:
      - {source_labels: [branch], regex: $1, action: drop}
      - {source_labels: [__name__], target_label: added, replacement: $2}
CONFIG
}

# added <value>: print whether the last scrape's series have the label with this value.
added() {
    local _
    for _ in $(seq 25); do
        [ "$(ask "$port" "count(prometheus_ready{added=\"$1\"})")" = nothing ] || { say yes && return; }
        sleep 0.2
    done
    say no
}

reload() { curl -s -o /dev/null -w '%{http_code}' -X POST "http://127.0.0.1:$port/-/reload"; }

port=$(free_port)
configured "(null)" first
start_prometheus "$port"
await "http://127.0.0.1:$port/-/ready"
expect "with (null) in one rule, the other adds its label" "$(added first)" yes

configured "'null'" second
expect "promtool says of 'null'" \
    "$("$folder/bin/promtool" check config "$folder/prometheus.yml" | grep -o SUCCESS)" SUCCESS
expect "the reload is answered by" "$(reload)" 200
expect "with 'null' in one rule, the other adds its label" "$(added second)" no
expect "expressions that Prometheus shows" "$(curl -s "http://127.0.0.1:$port/api/v1/status/config" | grep -c regex)" 0

configured "(null)" third
expect "the reload with (null) is answered by" "$(reload)" 200
expect "then the other adds its label" "$(added third)" no
