"""How long drgn takes to read given places of a dump.

drgn_read.py DUMP SPACE THREADS WARM LIST, as libkdumpfile_read.c; THREADS must be 1. What a call
costs that reads nothing is taken off: it is Python's, not drgn's.
"""
import struct
import sys
import time

import drgn


def run(program, places, physical):
    read, total, failed = program.read, 0, 0
    for at, length in places:
        try:
            total += int.from_bytes(read(at, length, physical)[:8], "little")
        except drgn.FaultError:
            failed += 1
    return total & (2**64 - 1), failed


dump, space, threads, warm, name = sys.argv[1:]
if threads != "1":
    sys.exit(2)
physical = space == "p"
with open(name, "rb") as file:
    places = list(struct.iter_unpack("<QQ", file.read()))
program = drgn.Program()
program.set_core_dump(dump)
if warm == "1":
    run(program, places, physical)
empty = [(at, 0) for at, _ in places]
before = time.process_time()
run(program, empty, physical)
overhead = time.process_time() - before
wall, processor = time.monotonic(), time.process_time()
total, failed = run(program, places, physical)
wall, processor = time.monotonic() - wall, time.process_time() - processor
print(f"{wall - overhead:.9f} {processor - overhead:.9f} {total:016x} {failed}")
