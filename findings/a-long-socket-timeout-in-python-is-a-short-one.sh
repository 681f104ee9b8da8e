#!/usr/bin/env bash
# A socket timeout above 24 days wraps around: 4,294,968 s in Python are 0.7 s.
#
# CPython on Linux (seen with 3.11.7). socket.settimeout takes the value, and hands poll() its
# milliseconds as a C int, so that what is above 2^32 ms comes out as the rest. No error is raised. A
# Kubernetes Lease may say leaseDurationSeconds 2147483647 (int32): who takes a timeout from such a
# field gets one at random. 9,000,000 s, whose milliseconds are negative as an int, wait for ever.
. "$(dirname "$0")/lib.sh"
python3 --version
cat >"$folder/timeout.py" <<'PYTHON'
import socket, sys, time

ours, _theirs = socket.socketpair()
ours.settimeout(float(sys.argv[1]))
began = time.monotonic()
try:
    ours.recv(1)
except TimeoutError:
    print(f"timed out after {time.monotonic() - began:.1f} s")
PYTHON
expect "a timeout of 4294968 s" "$(timeout 5 python3 "$folder/timeout.py" 4294968 || echo 'still waits')" \
    "timed out after 0.7 s"
expect "one of 4294967 s" "$(timeout 5 python3 "$folder/timeout.py" 4294967 || echo 'still waits')" \
    "still waits"
