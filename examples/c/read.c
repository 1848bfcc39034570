/* SPDX-License-Identifier: MIT OR Apache-2.0
 * Writes memory of a dead kernel to standard output. Says where a read stopped and why, after what
 * could be read was written. */
#include "example.h"

#include <errno.h>

static uint64_t number(const char *text)
{
    char *end;
    errno = 0;
    uint64_t value = strtoull(text, &end, 0);
    if (errno != 0 || *end != '\0' || end == text) {
        fprintf(stderr, "%s: not a number\n", text);
        exit(2);
    }
    return value;
}

/* What the code says about the memory, in the words of the program that asked. */
static const char *because(int code)
{
    switch (code) {
    case LIBKDUMP_ERR_EXCLUDED:
        return "it was filtered out when the dump was written";
    case LIBKDUMP_ERR_HOLE:
        return "there is no RAM";
    case LIBKDUMP_ERR_NOT_MAPPED:
        return "nothing is mapped there";
    case LIBKDUMP_ERR_TRUNCATED:
        return "the file ends before it";
    default:
        return libkdump_strerror(code);
    }
}

int main(int argc, char **argv)
{
    static unsigned char buf[1 << 16];
    struct libkdump_open_options options = { .size = sizeof options };
    struct libkdump_dump *dump = NULL;
    int code = LIBKDUMP_OK;

    if (argc < 5 || (strcmp(argv[2], "phys") != 0 && strcmp(argv[2], "virt") != 0))
        usage("read DUMP phys|virt ADDRESS LENGTH [--zero-excluded]");
    if (flag(argc, argv, "--zero-excluded"))
        options.flags = LIBKDUMP_OPEN_ZERO_EXCLUDED;
    const char *paths[] = { argv[1] };
    uint64_t address = number(argv[3]);
    uint64_t left = number(argv[4]);

    check(libkdump_dump_open(paths, 1, &options, &dump, &error), "open");
    while (left > 0 && code == LIBKDUMP_OK) {
        size_t want = left < sizeof buf ? (size_t)left : sizeof buf;
        size_t done = 0;
        code = argv[2][0] == 'p' ? libkdump_dump_read_phys(dump, address, buf, want, &done, &error)
                                 : libkdump_dump_read_virt(dump, address, buf, want, &done, &error);
        if (fwrite(buf, 1, done, stdout) != done) {
            perror("stdout");
            return 1;
        }
        address += done;
        left -= done;
    }
    if (code != LIBKDUMP_OK)
        fprintf(stderr, "stopped at %#" PRIx64 ": %s (%s)\n", address, because(code), error.message);
    libkdump_dump_free(dump);
    return code != LIBKDUMP_OK;
}
