#!/usr/bin/env bash
# One counter of delta temporality costs an OTLP export all its metrics: 500, and none is stored.
#
# Prometheus 3.16.0 (Go module github.com/prometheus/prometheus v0.316.0) with --web.enable-otlp-receiver, and
# OpenTelemetry's SDK and exporter for Python, 1.45.2 (PyPI).
# That Prometheus drops deltas without a feature flag is documented. OTLP has an answer for that: 200, with the
# number of points that were rejected. This is 500, as of a server that is broken, though the next export will
# end the same way; and all other metrics of the request are rolled back with it, where a collector sends those
# of many programs in one. Their names are listed all the same: the series are there, without a sample. For
# metrics without a point this was reported, and corrected: https://github.com/prometheus/prometheus/issues/19338.
. "$(dirname "$0")/lib.sh"
build_prometheus
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install \
    opentelemetry-sdk==1.45.2 opentelemetry-exporter-otlp-proto-http==1.45.2

port=$(free_port)
touch "$folder/prometheus.yml"
start_prometheus "$port" --web.enable-otlp-receiver
await "http://127.0.0.1:$port/-/ready"

cat >"$folder/export.py" <<'PYTHON'
import sys
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import Counter, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader

url, temporality, name = sys.argv[1:]

class Exporter(OTLPMetricExporter):
    def export(self, *arguments, **options):
        result = super().export(*arguments, **options)
        print(result.name)
        return result

exporter = Exporter(url, preferred_temporality={Counter: AggregationTemporality[temporality]})
provider = MeterProvider(metric_readers=[PeriodicExportingMetricReader(exporter)])
meter = provider.get_meter("findings")
meter.create_up_down_counter(f"{name}_before").add(1)  # always cumulative
meter.create_counter(f"{name}_counter").add(1)
meter.create_up_down_counter(f"{name}_after").add(1)
provider.shutdown()
PYTHON
exported() {
    NO_PROXY=127.0.0.1 no_proxy=127.0.0.1 "$folder/venv/bin/python" "$folder/export.py" \
        "http://127.0.0.1:$port/api/v1/otlp/v1/metrics" "$@" 2>"$folder/exporter.log"
}
names() { curl -s "http://127.0.0.1:$port/api/v1/label/__name__/values" | grep -o "\"$1[a-z_]*\"" | sort | xargs; }

expect "with a cumulative counter, the export is a" "$(exported CUMULATIVE first)" SUCCESS
await_value "$port" first_after
expect "values of the metric before it" "$(ask "$port" first_before)" 1
expect "of the counter" "$(ask "$port" first_counter_total)" 1
expect "with a delta counter, the export is a" "$(exported DELTA second)" FAILURE
expect "the exporter logs" "$(grep -o 'code: .*' "$folder/exporter.log")" "code: 500, reason: Internal Server Error"
expect "with a cumulative counter again, it is a" "$(exported CUMULATIVE third)" SUCCESS
await_value "$port" third_after
expect "of the export with the delta counter, samples of the metric before it" "$(ask "$port" second_before)" nothing
expect "of the metric after it" "$(ask "$port" second_after)" nothing
expect "names of it that Prometheus lists" "$(names second)" "second_after second_before"
