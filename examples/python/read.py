#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Writes physical memory of a dump to standard output, through libkdump's C interface.

usage: read.py DUMP ADDRESS LENGTH
"""

import ctypes
import sys

lib = ctypes.CDLL("libkdump.so.0")


class Error(ctypes.Structure):
    """struct libkdump_error"""

    _fields_ = [
        ("size", ctypes.c_uint32),
        ("code", ctypes.c_int32),
        ("os_errno", ctypes.c_int32),
        ("flags", ctypes.c_uint32),
        ("address", ctypes.c_uint64),
        ("offset", ctypes.c_uint64),
        ("pfn", ctypes.c_uint64),
        ("need", ctypes.c_uint64),
        ("message", ctypes.c_char * 256),
    ]


lib.libkdump_dump_open.argtypes = [
    ctypes.POINTER(ctypes.c_char_p),
    ctypes.c_size_t,
    ctypes.c_void_p,
    ctypes.POINTER(ctypes.c_void_p),
    ctypes.POINTER(Error),
]
lib.libkdump_dump_read_phys.argtypes = [
    ctypes.c_void_p,
    ctypes.c_uint64,
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.POINTER(ctypes.c_size_t),
    ctypes.POINTER(Error),
]
lib.libkdump_dump_free.argtypes = [ctypes.c_void_p]
lib.libkdump_dump_free.restype = None


class Dump:
    """An open dump; use it in a with statement."""

    def __init__(self, path):
        self.error = Error(size=ctypes.sizeof(Error))
        self.handle = ctypes.c_void_p()
        paths = (ctypes.c_char_p * 1)(path.encode())
        code = lib.libkdump_dump_open(
            paths, 1, None, ctypes.byref(self.handle), ctypes.byref(self.error)
        )
        if code != 0:
            raise OSError(self.error.message.decode())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        lib.libkdump_dump_free(self.handle)
        self.handle = ctypes.c_void_p()

    def read_phys(self, address, length):
        """The bytes that could be read, and the error that ended the read or None."""
        buf = ctypes.create_string_buffer(length)
        done = ctypes.c_size_t()
        code = lib.libkdump_dump_read_phys(
            self.handle, address, buf, length, ctypes.byref(done), ctypes.byref(self.error)
        )
        return buf.raw[: done.value], self.error.message.decode() if code else None


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__.rstrip())
    with Dump(sys.argv[1]) as dump:
        data, error = dump.read_phys(int(sys.argv[2], 0), int(sys.argv[3], 0))
    sys.stdout.buffer.write(data)
    if error:
        sys.exit(error)


if __name__ == "__main__":
    main()
