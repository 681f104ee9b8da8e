#!/usr/bin/env bash
# The Kubernetes client for Python goes on without credentials where a credential plugin fails.
#
# kubernetes 37.0.2 (PyPI). Where the command of a kubeconfig's exec does not exist, exits 1 or prints
# no credential, load_kube_config raises nothing: it logs one ERROR on the root logger, and requests
# go out with no Authorization. What the user reads is that system:anonymous may not do this or that.
# Who has to know looks for a token or a client certificate in the configuration. client-go 0.37.1
# loads such a file too, but its requests fail with "getting credentials: exec: …", and are not sent
# (tried by hand, by https). Reported in https://github.com/kubernetes-client/python/issues/1409 and
# https://github.com/kubernetes-client/python/issues/2219; there it is said to be meant, so that other
# ways to authenticate have a chance.
. "$(dirname "$0")/lib.sh"
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install kubernetes==37.0.2

cat >"$folder/ask.py" <<'ASK'
import http.server, json, logging, sys, threading
from kubernetes import client, config

class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print(f"sends Authorization {self.headers.get('Authorization')}", end="")
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass

server = http.server.HTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
plugin = {
    "apiVersion": "client.authentication.k8s.io/v1",
    "command": sys.argv[2],
    "args": sys.argv[3:],
    "interactiveMode": "Never",
}
kubeconfig = {
    "current-context": "here",
    "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
    "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
    "users": [{"name": "me", "user": {"exec": plugin}}],
}
with open(sys.argv[1], "w") as file:
    json.dump(kubeconfig, file)

logging.basicConfig(format="logs %(levelname)s of %(name)s: %(message)s; ", stream=sys.stdout)
logging.StreamHandler.terminator = ""
try:
    config.load_kube_config(sys.argv[1])
except Exception as error:
    print(f"raises {type(error).__name__}")
    sys.exit()
client.VersionApi().get_code(_preload_content=False)
ASK
# ask <command> <argument>…: what comes of it when this is the plugin.
ask() {
    NO_PROXY=127.0.0.1 no_proxy=127.0.0.1 \
        "$folder/venv/bin/python" "$folder/ask.py" "$folder/kubeconfig" "$@"
}
credential='{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "one"}}'
expect "a plugin that gives a token" "$(ask echo "$credential")" "sends Authorization Bearer one"
expect "one that is not there" "$(ask /not/there)" \
    "logs ERROR of root: [Errno 2] No such file or directory: '/not/there'; sends Authorization None"
expect "one that exits 1" "$(ask false)" \
    "logs ERROR of root: exec: process returned 1; sends Authorization None"
expect "one that gives no token" "$(ask echo '{}')" \
    "logs ERROR of root: exec: malformed response. missing key 'apiVersion'; sends Authorization None"
