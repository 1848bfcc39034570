/* SPDX-License-Identifier: MIT OR Apache-2.0
 * Reads a page into 16 bytes: AddressSanitizer must end this program. */
#include <kdump.h>

#include <stdlib.h>

int main(int argc, char **argv)
{
    struct libkdump_dump *dump = NULL;
    void *small = malloc(16);
    if (argc < 2 || libkdump_dump_open((const char *const *)argv + 1, 1, NULL, &dump, NULL) != LIBKDUMP_OK)
        return 0;
    return libkdump_dump_read_phys(dump, 0x100000, small, 4096, NULL, NULL) != LIBKDUMP_OK;
}
