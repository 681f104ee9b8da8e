#!/usr/bin/env bash
# The Kubernetes client for Python cannot write a time of a Lease that is a whole second: 400.
#
# kubernetes 37.0.2 (PyPI), and the API server's types for times (Go module k8s.io/apimachinery v0.37.2).
# acquireTime and renewTime want six digits after the second, no more and no fewer. The client writes what
# datetime.isoformat() gives, which leaves the digits out where they are all 0. So a leader that renews with
# datetime.now() is refused once in a million times (every 2 s: once in 23 days), and one that cuts the time
# to seconds always. And a Lease that is read and written back as it is, is refused where another client
# has written a whole second. The API's other times, as creationTimestamp, take any number of digits.
# kube-apiserver 1.37.2 and 1.20.2 answer 400: cannot parse "+00:00" as ".000000" (tried by hand). That three
# digits, as JavaScript writes them, are refused is known: https://github.com/kubernetes/kubernetes/pull/141204.
. "$(dirname "$0")/lib.sh"
command -v go >/dev/null || { say "this needs Go 1.26" && exit 1; }
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install kubernetes==37.0.2

cat >"$folder/written.py" <<'PYTHON'
import datetime, json, sys
from kubernetes import client

api = client.ApiClient()
how, time = sys.argv[1:]
if how == "new":
    spec = client.V1LeaseSpec(renew_time=datetime.datetime.fromisoformat(time))
    lease = client.V1Lease(spec=spec)
else:
    lease = api.deserialize(json.dumps({"spec": {"renewTime": time}}), "V1Lease", "application/json")
print(json.dumps(api.sanitize_for_serialization(lease)["spec"]["renewTime"]))
PYTHON
written() { "$folder/venv/bin/python" "$folder/written.py" "$@"; }

mkdir "$folder/read"
(
    cd "$folder/read"
    printf 'module read\n\ngo 1.26\n\nrequire k8s.io/apimachinery v0.37.2\n' >go.mod
    cat >main.go <<'GO'
package main
import ("encoding/json"; "fmt"; "os"; meta "k8s.io/apimachinery/pkg/apis/meta/v1")
func main() {
	times := map[string]json.Unmarshaler{"MicroTime": &meta.MicroTime{}, "Time": &meta.Time{}}
	if times[os.Args[1]].UnmarshalJSON([]byte(os.Args[2])) != nil {
		fmt.Println("refused")
	} else {
		fmt.Println("read")
	}
}
GO
    go mod tidy 2>"$folder/build.log" && go build -buildvcs=false -o "$folder/bin/read" . ||
        { cat "$folder/build.log" && exit 1; }
)
read_as() { "$folder/bin/read" "$@"; }

fraction=$(written new 2026-01-01T00:00:00.000001+00:00)
expect "with a microsecond, Python writes" "$fraction" '"2026-01-01T00:00:00.000001+00:00"'
expect "as a Lease's time it is" "$(read_as MicroTime "$fraction")" read
whole=$(written new 2026-01-01T00:00:00+00:00)
expect "a whole second, Python writes as" "$whole" '"2026-01-01T00:00:00+00:00"'
expect "as a Lease's time it is" "$(read_as MicroTime "$whole")" refused
expect "as any other time" "$(read_as Time "$whole")" read

gos=2026-01-01T00:00:00.000000Z
expect "as Go writes a whole second, it is" "$(read_as MicroTime "\"$gos\"")" read
again=$(written back "$gos")
expect "read by Python and written back, it is" "$again" '"2026-01-01T00:00:00+00:00"'
expect "as a Lease's time this is" "$(read_as MicroTime "$again")" refused
