#!/usr/bin/env bash
# The Kubernetes client for Python reads a kubeconfig's tokenFile once, and not at all if there is a token, too.
#
# kubernetes 37.0.2 (PyPI). By the definition of a kubeconfig, clients read the file again and again, and take a
# token that stands beside it only while the file has given none. client-go 0.37.2 does so: 70 s after the file has
# another token it sends that one (tried by hand, by https). The client for Python sends the token that stands beside
# it; where there is none, what the file had when the configuration was loaded. When that has expired, as a service
# account's token does after an hour, it goes on sending it, with a good one in the file. A newline at the end of
# the file, which client-go takes off, is an error here.
. "$(dirname "$0")/lib.sh"
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install kubernetes==37.0.2

cat >"$folder/ask.py" <<'PYTHON'
import http.server, json, sys, threading, time
from kubernetes import client, config

folder, what = sys.argv[1:]

class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print(self.headers["Authorization"])
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"kind": "LeaseList", "items": []}')

    def log_message(self, *arguments):
        pass

server = http.server.HTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()

def write(token):
    with open(f"{folder}/token", "w") as file:
        file.write(token)

user = {"tokenFile": "token"} | ({"token": "beside"} if what == "both" else {})
with open(f"{folder}/kubeconfig", "w") as file:
    json.dump({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "here"}}],
        "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
        "users": [{"name": "here", "user": user}],
    }, file)
write("first\n" if what == "newline" else "first")
api = client.CoordinationV1Api(config.new_client_from_config(f"{folder}/kubeconfig"))
try:
    api.list_namespaced_lease("default")
except ValueError as error:
    print(type(error).__name__)
if what == "renewed":
    write("second")
    time.sleep(75)
    api.list_namespaced_lease("default")
PYTHON
asked() { NO_PROXY=127.0.0.1 no_proxy=127.0.0.1 "$folder/venv/bin/python" "$folder/ask.py" "$folder" "$1" | xargs; }

expect "it sends, of a tokenFile" "$(asked alone)" "Bearer first"
expect "of a tokenFile and a token" "$(asked both)" "Bearer beside"
expect "of a tokenFile that ends with a newline" "$(asked newline)" ValueError
expect "of a tokenFile that gets another token, before and 75 s after it" "$(asked renewed)" "Bearer first Bearer first"
