#!/usr/bin/env bash
# A test of rules that passes with promtool 2 fails with promtool 3, and the other way round.
#
# promtool 2.42.0 (Debian 12) and 3.16.0 (Go module github.com/prometheus/prometheus v0.316.0).
# Since 3.0 a range leaves out the sample that is exactly as old as the range is long. A server's
# samples hardly ever are; those of a test lie on its steps, so that each range which is a multiple
# of the interval meets it. Of a sample a minute, [2m] has two and not three; a rate over one
# interval has no answer where it was 0; and an alert on absence fires a whole interval earlier, in
# the test, though not in production. Rules that have to hold for both need ranges between the steps.
. "$(dirname "$0")/lib.sh"
debian_prometheus
mv "$folder/bin" "$folder/2"
build_prometheus
mv "$folder/bin" "$folder/3"

# passing <range> <first minute at which it is silent>: print the promtools whose test passes.
passing() {
    cat >"$folder/rules.yml" <<RULES
groups: [{name: silence, rules: [{alert: Silent, expr: "absent_over_time(seen[$1])"}]}]
RULES
    cat >"$folder/test.yml" <<TEST
rule_files: [rules.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series: [{series: seen, values: "1x5 _x10"}]  # the last at 5m
    alert_rule_test:
      - {eval_time: $(($2 - 1))m, alertname: Silent, exp_alerts: []}
      - {eval_time: $2m, alertname: Silent, exp_alerts: [{}]}
TEST
    local version
    for version in 2 3; do
        ! "$folder/$version/promtool" test rules "$folder/test.yml" >"$folder/said" 2>&1 ||
            printf 'promtool %s ' "$version"
    done
}

expect "[3m], silent from 9m on" "$(passing 3m 9)" "promtool 2 "
expect "[3m], silent from 8m on" "$(passing 3m 8)" "promtool 3 "
expect "[150s], silent from 8m on" "$(passing 150s 8)" "promtool 2 promtool 3 "
