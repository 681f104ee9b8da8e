#!/usr/bin/env bash
# A gevent socket waits in a send or recv that says MSG_DONTWAIT; only a timeout of 0 keeps it from that.
#
# gevent 26.9.0 (PyPI). The flag goes to the kernel, and gevent then waits at the EAGAIN that it asked
# for, as at any other. With a peer that hangs, the greenlet hangs with it, without an error. In CPython
# the flag counts while the socket has no timeout; with one, it waits for as long as that (seen
# with 3.11.7). So code that is right with the standard library is not when monkey.patch_socket() has
# run. Eventlet's like, for recv_into: https://github.com/eventlet/eventlet/issues/323.
. "$(dirname "$0")/lib.sh"
python3 --version
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install gevent==26.9.0

cat >"$folder/tried.py" <<'PYTHON'
import socket, sys
import gevent, gevent.socket

def send(end):  # until the peer, which does not read, has no room left
    while True:
        end.send(bytes(1000), socket.MSG_DONTWAIT)

def recv(end):
    end.recv(1, socket.MSG_DONTWAIT)

library, timeout, call = sys.argv[1:]
ours, theirs = {"gevent": gevent.socket, "CPython": socket}[library].socketpair(
    socket.AF_UNIX, socket.SOCK_SEQPACKET
)
ours.settimeout(None if timeout == "none" else float(timeout))
try:
    with gevent.Timeout(0.5):
        {"send": send, "recv": recv}[call](ours)
except gevent.Timeout:
    print("still waits")
except OSError as error:
    print(type(error).__name__)
PYTHON
# tried <library> <timeout of the socket> <call>: how the call ends.
tried() { timeout 20 "$folder/venv/bin/python" "$folder/tried.py" "$@"; }
for call in send recv; do
    expect "CPython, $call" "$(tried CPython none "$call")" BlockingIOError
    expect "gevent, $call" "$(tried gevent none "$call")" "still waits"
    expect "gevent with a timeout of 0, $call" "$(tried gevent 0 "$call")" BlockingIOError
    expect "CPython with a timeout of 0.2 s, $call" "$(tried CPython 0.2 "$call")" TimeoutError
done
