#!/usr/bin/env bash
# A reload that fails because of a rule file is answered without the file, the rule or the reason.
#
# Prometheus 3.16.0 (Go module github.com/prometheus/prometheus v0.316.0).
# POST /-/reload answers 500 with "one or more errors occurred while applying the new configuration"
# and the name of the configuration file, which is not at fault. A field that is unknown in the
# configuration itself is told with its line, in the same answer. Which rule it is stands only in
# Prometheus' log, and in the words of promtool check rules.
. "$(dirname "$0")/lib.sh"
build_prometheus
port=$(free_port)
echo 'rule_files: [rules.yml]' >"$folder/prometheus.yml"
echo 'groups: []' >"$folder/rules.yml"
start_prometheus "$port"
await "http://127.0.0.1:$port/-/ready"
reload() { curl -s -X POST "http://127.0.0.1:$port/-/reload" | tr '\n' ' ' | sed "s|$folder/||; s/ *$//"; }

expect "a good reload is answered by" "$(reload)" ""
echo 'groups: [{name: g, rules: [{record: broken, expr: "("}]}]' >"$folder/rules.yml"
expect "one with a broken rule by" "$(reload)" \
    'failed to reload config: one or more errors occurred while applying the new configuration (--config.file="prometheus.yml")'
expect "promtool tells the rule" \
    "$("$folder/bin/promtool" check rules "$folder/rules.yml" 2>&1 | grep -o '"broken".*could not parse expression' | head -n 1)" \
    '"broken": could not parse expression'
echo 'bogus: 1' >"$folder/prometheus.yml"
expect "an unknown field is told with its line" "$(reload | grep -o 'line 1: field bogus not found')" \
    "line 1: field bogus not found"
