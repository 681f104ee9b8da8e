#!/usr/bin/env bash
# To requests and urllib3, "103 Early Hints" is the whole answer: 103, ok, an empty body.
#
# urllib3 2.8.0, requests 2.34.2, httpx 0.28.1, aiohttp 3.14.5 (PyPI), on CPython 3.11 and 3.14;
# curl 7.88, Go 1.26.
# A server or a cache may send interim answers that nobody asked for before the answer itself
# (RFC 9110, 15.2; RFC 8297). Python's http.client skips 100 alone, an issue since 2005
# (https://github.com/python/cpython/issues/42550). To requests, "ok" is each status below 400, and
# raise_for_status raises nothing: a list that is fetched so comes to an end, empty, without an
# error. urllib.request raises an HTTPError. httpx, aiohttp, curl and Go's net/http read on.
. "$(dirname "$0")/lib.sh"
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install \
    urllib3==2.8.0 requests==2.34.2 httpx==0.28.1 aiohttp==3.14.5
"$folder/venv/bin/python" --version

port=$(free_port) && url=http://127.0.0.1:$port
python3 - "$port" 2>"$folder/log" <<'SERVER' &
import http.server, sys

class Server(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/hinted":
            self.send_response_only(103, "Early Hints")
            self.send_header("Link", "</style.css>; rel=preload; as=style")
            self.end_headers()
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"list")

http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Server).serve_forever()
SERVER
pids+=("$!")
await "$url/plain"

cat >"$folder/get.py" <<'GET'
import asyncio, sys, urllib.request
import aiohttp, httpx, requests, urllib3

def by_requests(url):
    response = requests.get(url)
    response.raise_for_status()
    return response.status_code, response.ok, response.text

def by_urllib3(url):
    response = urllib3.request("GET", url)
    return response.status, response.data.decode()

def by_urllib(url):
    with urllib.request.urlopen(url) as response:
        return response.status, response.read().decode()

def by_httpx(url):
    response = httpx.get(url)
    return response.status_code, response.text

async def by_aiohttp(url):
    async with aiohttp.request("GET", url) as response:
        return response.status, await response.text()

get = {
    "requests": by_requests,
    "urllib3": by_urllib3,
    "urllib.request": by_urllib,
    "httpx": by_httpx,
    "aiohttp": lambda url: asyncio.run(by_aiohttp(url)),
}[sys.argv[1]]
assert get(sys.argv[2] + "/plain")[-1] == "list"
try:
    print(*get(sys.argv[2] + "/hinted"))
except OSError as error:
    print(type(error).__name__, error.code)
GET
# got <client>: what it makes of the answer.
got() { NO_PROXY=127.0.0.1 no_proxy=127.0.0.1 "$folder/venv/bin/python" "$folder/get.py" "$1" "$url"; }
expect "requests: status, ok, body" "$(got requests)" "103 True "
expect "urllib3: status, body" "$(got urllib3)" "103 "
expect "urllib.request" "$(got urllib.request)" "HTTPError 103"
expect "httpx" "$(got httpx)" "200 list"
expect "aiohttp" "$(got aiohttp)" "200 list"
expect "curl" "$(curl --noproxy '*' -s -w ' %{http_code}' "$url/hinted")" "list 200"
command -v go >/dev/null || { say "no Go here, so that net/http is left out" && exit; }
go version
cat >"$folder/get.go" <<'GET'
package main
import ("fmt"; "io"; "net/http"; "os")
func main() {
	response, _ := http.Get(os.Args[1])
	body, _ := io.ReadAll(response.Body)
	fmt.Println(response.StatusCode, string(body))
}
GET
expect "Go's net/http" "$(go run "$folder/get.go" "$url/hinted")" "200 list"
