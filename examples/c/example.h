/* SPDX-License-Identifier: MIT OR Apache-2.0
 * What all examples need: an error to pass along, and a way to end with it. */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kdump.h>

/* Owned by the program; the library writes into it when a call fails. */
static struct libkdump_error error = { .size = sizeof error };

/* Ends the program when `code` is a failure. */
static inline void check(int code, const char *what)
{
    if (code >= 0)
        return;
    fprintf(stderr, "%s: %s: %s\n", what, libkdump_strerror(code), error.message);
    exit(1);
}

static inline void usage(const char *text)
{
    fprintf(stderr, "usage: %s\n", text);
    exit(2);
}

/* The value of `name VALUE` on the command line, NULL without. */
static inline const char *option(int argc, char **argv, const char *name)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return argv[i + 1];
    return NULL;
}

static inline int flag(int argc, char **argv, const char *name)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return 1;
    return 0;
}

#endif
