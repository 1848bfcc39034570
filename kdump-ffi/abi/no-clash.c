/* SPDX-License-Identifier: MIT OR Apache-2.0
 * libkdump and libkdumpfile in one file and one program, in C and in C++. */
#include <libkdumpfile/kdumpfile.h>

#include <kdump.h>

int main(void)
{
    kdump_ctx_t *theirs = kdump_new();
    struct libkdump_machine *ours = 0;
    int bad = theirs == 0;

    bad |= libkdump_machine_collect("/nonexistent", &ours, 0) != LIBKDUMP_ERR_NOT_FOUND;
    bad |= libkdump_version() != LIBKDUMP_VERSION;
    libkdump_machine_free(ours);
    kdump_free(theirs);
    return bad;
}
