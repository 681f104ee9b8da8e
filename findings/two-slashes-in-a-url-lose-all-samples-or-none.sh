#!/usr/bin/env bash
# A remote_write to http://HOST//api/v1/write, with two slashes, works or loses all by the receiver's Go.
#
# Prometheus 3.16.0 (Go module github.com/prometheus/prometheus v0.316.0, Go 1.26) as the sender and as one
# receiver, 2.42.0 (Debian 12, Go 1.19) as the other.
# Two slashes come of a base URL that ends with one. The router of Go's net/http redirects to the path with one
# slash: by 301 up to Go 1.25, by 307 from 1.26 on. The sender's client follows both, but after 301 it sends a GET
# without the body, as browsers do; the receiver answers 405, which is final, and all samples are dropped. What
# the log tells is 405, and no redirect. So a URL that works stops when the receiver's upgrade is taken back. Nor is
# the compiler's version enough: Debian's 3.5.3, by Go 1.27, answers 301 (tried by hand), for a build without a
# go.mod of 1.22 or later keeps the older router (GODEBUG httpmuxgo121).
. "$(dirname "$0")/lib.sh"
old=$(free_port)
debian_prometheus
start_receiver "$old"
rm -r "$folder/bin"
build_prometheus
new=$(free_port)
start_receiver "$new"

sender=$(free_port)
cat >"$folder/prometheus.yml" <<CONFIG
global: {scrape_interval: 500ms}
scrape_configs:
  - {job_name: self, static_configs: [{targets: ["127.0.0.1:$sender"]}]}
remote_write:
  - {name: old, url: "http://127.0.0.1:$old//api/v1/write", queue_config: {batch_send_deadline: 500ms}}
  - {name: new, url: "http://127.0.0.1:$new//api/v1/write", queue_config: {batch_send_deadline: 500ms}}
CONFIG
start_prometheus "$sender"
await "http://127.0.0.1:$sender/-/ready"

answered() { curl -s -o /dev/null -w '%{http_code} %{redirect_url}' -X POST "http://127.0.0.1:$1//api/v1/write"; }
failed() { counted "$sender" "prometheus_remote_storage_samples_failed_total.remote_name=\"$1\".*"; }
expect "2.42.0 answers" "$(answered "$old")" "301 http://127.0.0.1:$old/api/v1/write"
expect "3.16.0 answers" "$(answered "$new")" "307 http://127.0.0.1:$new/api/v1/write"

await_value "$new" up
for _ in $(seq 150); do
    [ "$(failed old)" = 0 ] || break
    sleep 0.2
done
expect "3.16.0 has of up" "$(ask "$new" up)" 1
expect "2.42.0 has of up" "$(ask "$old" up)" nothing
expect "samples to 3.16.0 failed" "$(failed new)" 0
expect "samples to 2.42.0 failed" "$([ "$(failed old)" = 0 ] || echo yes)" yes
expect "the log's reason" "$(grep -o 'HTTP status 405 Method Not Allowed' "$folder/log" | sort -u)" \
    "HTTP status 405 Method Not Allowed"
expect "lines of the log with a redirect" "$(grep -cE 'redirect|status 3' "$folder/log" || true)" 0
