#!/usr/bin/env bash
# An admin API that is switched off answers as a server that is broken: 500, and an agent by 422.
#
# Prometheus 3.16.0 (Go module github.com/prometheus/prometheus v0.316.0), without
# --web.enable-admin-api, asked for /api/v1/admin/tsdb/clean_tombstones (PUT or POST).
# Its other switches answer 403 (/-/reload without --web.enable-lifecycle). Who retries on 5xx, as is
# usual, asks for ever; only the text "admin APIs disabled" tells that it is not to be had.
. "$(dirname "$0")/lib.sh"
build_prometheus
port=$(free_port) agent=$(free_port)
echo '{}' >"$folder/prometheus.yml"
"$folder/bin/prometheus" --config.file="$folder/prometheus.yml" --storage.tsdb.path="$folder/data" \
    --web.listen-address="127.0.0.1:$port" >"$folder/log" 2>&1 &
pids+=("$!")
"$folder/bin/prometheus" --agent --config.file="$folder/prometheus.yml" \
    --storage.agent.path="$folder/agent" --web.listen-address="127.0.0.1:$agent" >"$folder/log2" 2>&1 &
pids+=("$!")
await "http://127.0.0.1:$port/-/ready"
await "http://127.0.0.1:$agent/-/ready"
status() { curl -s -o "$folder/body" -w '%{http_code}' -X POST "http://127.0.0.1:$1$2"; }

expect "a reload, switched off, answers" "$(status "$port" /-/reload)" 403
expect "the admin API, switched off, answers" \
    "$(status "$port" /api/v1/admin/tsdb/clean_tombstones)" 500
expect "and says" "$(grep -o 'admin APIs disabled' "$folder/body")" "admin APIs disabled"
expect "that of an agent answers" "$(status "$agent" /api/v1/admin/tsdb/clean_tombstones)" 422
expect "and says" "$(grep -o 'unavailable with Prometheus Agent' "$folder/body")" \
    "unavailable with Prometheus Agent"
