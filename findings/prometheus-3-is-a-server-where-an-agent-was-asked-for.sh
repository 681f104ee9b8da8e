#!/usr/bin/env bash
# Prometheus 3 takes the flag that made 2 an agent for unknown, warns, and starts a server.
#
# Prometheus 3.16.0 (Go module github.com/prometheus/prometheus v0.316.0), with
# --enable-feature=agent. A removed flag ends the start elsewhere; a removed feature does not. The
# server stores what an agent would only send: it opens a TSDB in its default folder, evaluates and
# answers queries, and by its metrics and its API all is well. Only a line of level WARN tells, and
# /api/v1/status/flags, which says both "agent": "false" and "enable-feature": "agent".
. "$(dirname "$0")/lib.sh"
build_prometheus
port=$(free_port)
echo 'remote_write: [{url: "http://127.0.0.1:9/"}]' >"$folder/prometheus.yml"
start_prometheus "$port" --enable-feature=agent
await "http://127.0.0.1:$port/-/ready"
flag() { curl -s "http://127.0.0.1:$port/api/v1/status/flags" | grep -o "\"$1\":\"[a-z]*\""; }
expect "the flag" "$(flag enable-feature)" '"enable-feature":"agent"'
expect "its effect" "$(flag agent)" '"agent":"false"'
expect "the log" "$(grep -o 'Starting Prometheus Server" mode=[a-z]*' "$folder/log")" \
    'Starting Prometheus Server" mode=server'
expect "the warning" "$(grep -o 'level=WARN.*' "$folder/log" | grep -o 'msg=.*agent')" \
    'msg="Unknown option for --enable-feature" option=agent'
expect "a query, which an agent refuses" "$(ask "$port" "vector(1)")" 1
expect "a folder of a TSDB" "$(ls -d "$folder/data/chunks_head" | sed 's|.*/||')" chunks_head
status=0
timeout 60 "$folder/bin/prometheus" --config.file="$folder/prometheus.yml" --enable-feature=agent \
    --storage.agent.path="$folder/agent" --web.listen-address="127.0.0.1:$(free_port)" \
    >"$folder/refusal" 2>&1 || status=$?
expect "the status of the same with a flag for agents" "$status" 3
expect "its reason" "$(grep -o 'can only be used in agent mode' "$folder/refusal")" \
    "can only be used in agent mode"
