/* SPDX-License-Identifier: MIT OR Apache-2.0
 * Shows what the pages of a dead machine were used for, and how large a dump without those that nobody misses
 * would be; with a second argument saves it, compressed. */
#include "example.h"

static const char *const uses[] = { "the kernel, or not known", "page cache", "page cache with private data",
                                    "processes", "free", "memory errors", "given back" };

int main(int argc, char **argv)
{
    struct libkdump_save_options options = {
        .size = sizeof options,
        .format = LIBKDUMP_FORMAT_KDUMP,
        .exclude = LIBKDUMP_EXCLUDE_CACHE | LIBKDUMP_EXCLUDE_CACHE_PRIVATE | LIBKDUMP_EXCLUDE_USER |
                   LIBKDUMP_EXCLUDE_FREE,
        .threads = 2,
    };
    struct libkdump_save_report report = { .size = sizeof report };
    struct libkdump_classes_range range = { .size = sizeof range };
    struct libkdump_classes_info info = { .size = sizeof info };
    struct libkdump_classes *classes = NULL;
    struct libkdump_dump *dump = NULL;
    uint64_t cursor = 0, longest[7] = { 0 };
    int code;

    if (argc < 2 || argc > 3)
        usage("classes SOURCE [DESTINATION]");
    const char *source[] = { argv[1] };
    check(libkdump_dump_open(source, 1, NULL, &dump, &error), "open");
    code = libkdump_dump_classify(dump, 2, &classes, &error);
    if (code == LIBKDUMP_ERR_NOT_FOUND) {
        /* A kernel that does not tell how it keeps account of its pages. */
        printf("nothing is known of the pages: %s\n", error.message);
        options.exclude = 0;
    } else {
        check(code, "classify");
        check(libkdump_classes_get_info(classes, &info, &error), "classify");
        while ((code = libkdump_classes_next(classes, &cursor, &range, &error)) == LIBKDUMP_OK)
            if (range.used_for < 7 && range.pages > longest[range.used_for])
                longest[range.used_for] = range.pages;
        if (code != LIBKDUMP_END)
            check(code, "classes");
        printf("%" PRIu64 " pages free, %" PRIu64 " of processes, %" PRIu64 " of the page cache%s\n", info.free,
               info.user, info.cache + info.cache_private,
               info.doubtful ? "; but what the kernel says cannot be" : "");
        for (unsigned use = 0; use < 7; use++)
            if (longest[use])
                printf("  at most %" PRIu64 " in a row: %s\n", longest[use], uses[use]);
        libkdump_classes_free(classes);
    }

    if (libkdump_has(LIBKDUMP_FEATURE_CODEC_LZO))
        options.compression = LIBKDUMP_COMPRESSION_LZO;
    check(libkdump_dump_save_estimate(dump, &options, &report, &error), "estimate");
    printf("saved: %" PRIu64 " bytes of memory in at most %" PRIu64 " bytes\n", report.memory, report.file_size);
    if (argc == 3) {
        check(libkdump_dump_save(dump, argv[2], &options, NULL, NULL, &report, &error), "save");
        printf("%" PRIu64 " bytes; pages: %" PRIu64 " compressed, %" PRIu64 " plain, %" PRIu64 " of zeros\n",
               report.file_size, report.pages_compressed, report.pages_plain, report.pages_zero);
    }
    libkdump_dump_free(dump);
    return 0;
}
