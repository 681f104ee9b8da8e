#!/usr/bin/env bash
# A body whose gzip is cut short is whole to requests and its peers; Go's net/http refuses it.
#
# urllib3 2.8.0, requests 2.34.2, httpx 0.28.1, aiohttp 3.14.5 (PyPI), Go 1.26.
# A cache that kept the first part of an answer sends it with a Content-Length that fits that part:
# only the end of the gzip tells that the rest is missing, and the Python clients do not look for it.
# They give 200, a part of the text and no exception. JSON that ends early does not parse, but a list
# in YAML does, here as 1943 of 2000 targets. Go's net/http gives "unexpected EOF", and so ends a
# scrape by Prometheus 3.16.0 (tried by hand). In Python, gzip.decompress of the raw bytes raises
# EOFError. For httpx it is reported in https://github.com/pydantic/pydantic-ai/issues/7159.
. "$(dirname "$0")/lib.sh"
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install \
    urllib3==2.8.0 requests==2.34.2 httpx==0.28.1 aiohttp==3.14.5 PyYAML==6.0.4

port=$(free_port) && url=http://127.0.0.1:$port
python3 - "$port" 2>"$folder/log" <<'SERVER' &
import gzip, http.server, random, sys

number = random.Random(1).randrange
targets = [f"- 10.0.{number(256)}.{number(256)}:9100\n" for _ in range(2000)]
body = gzip.compress("".join(targets).encode())

class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        sent = body[:-200] if self.path == "/cut" else body
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Server).serve_forever()
SERVER
pids+=("$!")
await "$url/whole"

cat >"$folder/get.py" <<'GET'
import asyncio, gzip, sys
import aiohttp, httpx, requests, urllib3, yaml

async def by_aiohttp(url):
    async with aiohttp.request("GET", url) as response:
        return await response.read()

get = {
    "urllib3": lambda url: urllib3.request("GET", url).data,
    "requests": lambda url: requests.get(url).content,
    "httpx": lambda url: httpx.get(url).content,
    "aiohttp": lambda url: asyncio.run(by_aiohttp(url)),
    "gzip": lambda url: gzip.decompress(urllib3.request("GET", url, decode_content=False).data),
}[sys.argv[1]]
assert len(yaml.safe_load(get(sys.argv[2] + "/whole"))) == 2000
try:
    listed = len(yaml.safe_load(get(sys.argv[2] + "/cut")))
    print("a shorter list, no error" if listed < 2000 else "the whole list")
except Exception as error:
    print(type(error).__name__)
GET
# got <client>: what it makes of the answer.
got() { NO_PROXY=127.0.0.1 no_proxy=127.0.0.1 "$folder/venv/bin/python" "$folder/get.py" "$1" "$url"; }
for client in urllib3 requests httpx aiohttp; do
    expect "$client" "$(got "$client")" "a shorter list, no error"
done
expect "gzip.decompress of the raw bytes" "$(got gzip)" EOFError
command -v go >/dev/null || { say "no Go here, so that net/http is left out" && exit; }
go version
cat >"$folder/get.go" <<'GET'
package main
import ("fmt"; "io"; "net/http"; "os")
func main() {
	response, _ := http.Get(os.Args[1])
	_, err := io.Copy(io.Discard, response.Body)
	fmt.Println(err)
}
GET
expect "Go's net/http, of the whole body" "$(go run "$folder/get.go" "$url/whole")" "<nil>"
expect "Go's net/http, of the one cut short" "$(go run "$folder/get.go" "$url/cut")" "unexpected EOF"
