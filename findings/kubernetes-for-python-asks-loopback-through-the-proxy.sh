#!/usr/bin/env bash
# The Kubernetes client for Python sends requests for 127.0.0.1 to the proxy; kubectl does not.
#
# kubernetes 37.0.2 (PyPI). Go's net/http, and so kubectl and every client-go, never uses a proxy from
# the environment for localhost and loopback addresses, and knows no ALL_PROXY. The Python client
# takes HTTPS_PROXY for every host that NO_PROXY does not name, loopback too, and ALL_PROXY where
# there is no other. With an API server on the same node (k3s, kind, a tunnel) the one works and the
# other does not, with the same environment.
. "$(dirname "$0")/lib.sh"
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install kubernetes==37.0.2

cat >"$folder/proxy.py" <<'PROXY'
import socket, sys

listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    client, _ = listener.accept()
    with open(sys.argv[2], "ab") as log:
        log.write(client.recv(4096).split(b"\r\n")[0] + b"\n")
    client.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")
    client.close()
PROXY
port=$(free_port)
python3 "$folder/proxy.py" "$port" "$folder/asked" &
pids+=("$!")
sleep 0.5

cat >"$folder/ask.py" <<'ASK'
from kubernetes import client

configuration = client.Configuration()
configuration.host = "https://127.0.0.1:6443"
configuration.retries = False
try:
    client.CoordinationV1Api(client.ApiClient(configuration)).read_namespaced_lease("a", "b")
except Exception:
    pass
ASK
# asked <variable>: which request the proxy gets when this variable names it.
asked() {
    : >"$folder/asked"
    env -u NO_PROXY -u no_proxy -u HTTPS_PROXY -u https_proxy -u HTTP_PROXY -u http_proxy \
        -u ALL_PROXY -u all_proxy "$1=http://127.0.0.1:$port" "$folder/venv/bin/python" "$folder/ask.py"
    head -n 1 "$folder/asked" | cut -d " " -f 1,2
}
expect "with HTTPS_PROXY the proxy is asked for" "$(asked HTTPS_PROXY)" \
    "CONNECT 127.0.0.1:6443"
expect "with ALL_PROXY the proxy is asked for" "$(asked ALL_PROXY)" \
    "CONNECT 127.0.0.1:6443"
