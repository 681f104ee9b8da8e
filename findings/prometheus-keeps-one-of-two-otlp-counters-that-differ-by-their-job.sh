#!/usr/bin/env bash
# Of two OTLP counters that differ by an attribute `job`, Prometheus stores the first alone, and says nothing.
#
# Prometheus 3.16.0 (Go module github.com/prometheus/prometheus v0.316.0) with --web.enable-otlp-receiver, and
# OpenTelemetry's SDK and exporter for Python, 1.45.2 (PyPI).
# An attribute job is what a program that runs jobs would choose. Prometheus makes the labels job and instance of
# the service's name and instance id, and drops the attributes of these names: there is no exported_job, as
# after a scrape, and no warning, as where `a.b` and `a_b` become one label (there the values are joined; tried by
# hand). Points that differ by nothing else are one series then, of which only the first is stored, and the
# export is a success. The SDK gives each service a name and an instance id where it has none, so that this meets
# every attribute of these names.
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
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

class Exporter(OTLPMetricExporter):
    def export(self, *arguments, **options):
        result = super().export(*arguments, **options)
        print(result.name)
        return result

url, prefix, *service = sys.argv[1:]
provider = MeterProvider(
    resource=Resource.create(dict(each.split("=") for each in service)),
    metric_readers=[PeriodicExportingMetricReader(Exporter(url))],
)
meter = provider.get_meter("findings")
for attribute in ("job", "instance", "work"):
    counter = meter.create_counter(f"{prefix}_by_{attribute}")
    counter.add(3, {attribute: "nightly"})
    counter.add(4, {attribute: "hourly"})
provider.shutdown()
PYTHON
exported() {
    NO_PROXY=127.0.0.1 no_proxy=127.0.0.1 "$folder/venv/bin/python" "$folder/export.py" \
        "http://127.0.0.1:$port/api/v1/otlp/v1/metrics" "$@"
}
# stored <metric> <label>: print its series, each as the label's value and the series' own.
stored() {
    curl -s "http://127.0.0.1:$port/api/v1/query" --data-urlencode "query=$1" | python3 -c '
import json, sys
series = json.load(sys.stdin)["data"]["result"]
print(*sorted(each["metric"].get(sys.argv[1], "") + "=" + each["value"][1] for each in series))' "$2"
}

expect "the export of a service with a name and an instance id is a" \
    "$(exported first service.name=shop service.instance.id=shop-0)" SUCCESS
await_value "$port" first_by_work_total
expect "of nightly=3 and hourly=4, by an attribute work" "$(stored first_by_work_total work)" "hourly=4 nightly=3"
expect "by an attribute job" "$(stored first_by_job_total job)" shop=3
expect "by an attribute instance" "$(stored first_by_instance_total instance)" shop-0=3
expect "the export of a service that is given neither is a" "$(exported second)" SUCCESS
await_value "$port" second_by_work_total
expect "series by an attribute work" "$(ask "$port" 'count(second_by_work_total)')" 2
expect "by an attribute job" "$(ask "$port" 'count(second_by_job_total)')" 1
expect "by an attribute instance" "$(ask "$port" 'count(second_by_instance_total)')" 1
expect "warnings and errors in the log" "$(grep -cE 'level=(WARN|ERROR)' "$folder/log" || true)" 0
expect "labels that keep the job" \
    "$(curl -s "http://127.0.0.1:$port/api/v1/labels" | grep -o exported_job || echo none)" none
