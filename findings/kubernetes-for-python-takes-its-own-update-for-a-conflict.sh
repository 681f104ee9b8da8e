#!/usr/bin/env bash
# Where the answer to an update is lost, the Kubernetes client for Python reports a conflict with itself.
#
# kubernetes 37.0.2 with urllib3 2.8.0 (PyPI). Each update names the resourceVersion that it was made from,
# and the API server refuses it by 409 where another came first. The server here stores the update, and the
# connection breaks before the answer, as when an API server or a load balancer is restarted. urllib3 sends a
# PUT again by itself, up to three times; the second finds the version of the first, and 409 is all that the
# caller gets, though nobody else wrote: to a leader that renews its lease it says that another has it. With
# configuration.retries = False the caller gets the broken connection. Go's net/http, which client-go uses,
# sends it once. kube-apiserver 1.37.2 behind a relay that cuts the answer gives the same (tried by hand).
. "$(dirname "$0")/lib.sh"
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install kubernetes==37.0.2 urllib3==2.8.0

port=$(free_port) && url=http://127.0.0.1:$port
python3 - "$port" 2>"$folder/log" <<'SERVER' &
import http.server, json, sys

path = "/apis/coordination.k8s.io/v1/namespaces/default/leases/writer"
state = {}  # what PUT /reset sets: how the next update is answered, the version, and the updates so far

class Server(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/reset":
            state.update(answer=body.decode(), version="1", updates=0, stored=0)
            return self.answer(200, {})
        assert self.path == path
        state["updates"] += 1
        if json.loads(body)["metadata"]["resourceVersion"] != state["version"]:
            return self.answer(409, {"kind": "Status", "reason": "Conflict", "code": 409})
        state.update(version=str(int(state["version"]) + 1), stored=state["stored"] + 1)
        if state["answer"] == "lost":
            self.close_connection = True
        else:
            self.answer(200, {"metadata": {"resourceVersion": state["version"]}})

    def do_GET(self):
        self.answer(200, state)

    def answer(self, status, document):
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Server).serve_forever()
SERVER
pids+=("$!")
await "$url/"

cat >"$folder/renew.py" <<'PYTHON'
import sys
import urllib3
from kubernetes import client

url, retries = sys.argv[1:]
configuration = client.Configuration(host=url)
configuration.no_proxy = "*"
if retries == "none":
    configuration.retries = False
leases = client.CoordinationV1Api(client.ApiClient(configuration))
lease = client.V1Lease(
    metadata=client.V1ObjectMeta(name="writer", resource_version="1"),
    spec=client.V1LeaseSpec(holder_identity="a"),
)
try:
    print("renewed", leases.replace_namespaced_lease("writer", "default", lease).metadata.resource_version)
except client.ApiException as error:
    print("refused", error.status)
except urllib3.exceptions.ProtocolError:
    print("connection broken")
PYTHON

reset() { curl -s -o /dev/null -X PUT -d "$1" "$url/reset"; }
renewed() { "$folder/venv/bin/python" "$folder/renew.py" "$url" "$1"; }
# updates: print how many updates the server has got since the reset, and how many of them it has stored.
updates() { curl -s "$url/" | python3 -c 'import json, sys; s = json.load(sys.stdin); print(s["updates"], s["stored"])'; }

reset kept
expect "with the answer, the client says" "$(renewed default)" "renewed 2"
expect "updates got and stored" "$(updates)" "1 1"
reset lost
expect "where the answer is lost, the client says" "$(renewed default)" "refused 409"
expect "updates got and stored" "$(updates)" "2 1"
reset lost
expect "where it is lost, without retries" "$(renewed none)" "connection broken"
expect "updates got and stored" "$(updates)" "1 1"

command -v go >/dev/null || { say "no Go here, so that net/http is left out" && exit; }
go version
cat >"$folder/renew.go" <<'GO'
package main
import ("fmt"; "net/http"; "os"; "strings")
func main() {
	body := strings.NewReader(`{"metadata":{"resourceVersion":"1"}}`)
	request, _ := http.NewRequest("PUT", os.Args[1], body)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		fmt.Println("connection broken")
	} else {
		fmt.Println("answered", response.StatusCode)
	}
}
GO
reset lost
expect "where it is lost, Go's net/http says" \
    "$(go run "$folder/renew.go" "$url/apis/coordination.k8s.io/v1/namespaces/default/leases/writer")" "connection broken"
expect "updates got and stored" "$(updates)" "1 1"
