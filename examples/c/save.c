/* SPDX-License-Identifier: MIT OR Apache-2.0
 * Saves a dump, for example /proc/vmcore, shows how far it is, and stops on Ctrl-C with what is
 * good kept. */
#include "example.h"

#include <signal.h>

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

/* Called by the library on this thread; anything but 0 cancels. */
static int show(void *user, const struct libkdump_progress *progress)
{
    unsigned *shown = user;
    unsigned percent = progress->total ? (unsigned)(progress->done * 100 / progress->total) : 100;
    if (percent != *shown) {
        *shown = percent;
        fprintf(stderr, "\r%3u %%", percent);
    }
    return interrupted;
}

int main(int argc, char **argv)
{
    struct libkdump_save_options options = { .size = sizeof options, .format = LIBKDUMP_FORMAT_ELF };
    struct libkdump_save_report report = { .size = sizeof report };
    struct libkdump_verification_info found = { .size = sizeof found };
    struct libkdump_verification *verification = NULL;
    struct libkdump_dump *dump = NULL;
    unsigned shown = 101;

    if (argc != 3)
        usage("save SOURCE DESTINATION");
    if (!libkdump_has(LIBKDUMP_FEATURE_SAVE_ELF))
        usage("this libkdump cannot save ELF cores");
    const char *source[] = { argv[1] };
    const char *saved[] = { argv[2] };
    signal(SIGINT, on_interrupt);

    check(libkdump_dump_open(source, 1, NULL, &dump, &error), "open");
    int code = libkdump_dump_save(dump, argv[2], &options, show, &shown, &report, &error);
    fputc('\n', stderr);
    check(code, "save");
    libkdump_dump_free(dump);
    if (code == LIBKDUMP_LACKING)
        printf("the source lacked %" PRIu64 " bytes of memory, %" PRIu64 " of them behind its end, and had %u other defects\n",
               report.unreadable + report.given_up, report.missing, report.source_defects);
    printf("%" PRIu64 " bytes, %" PRIu64 " written, %" PRIu64 " unreadable\n", report.file_size, report.written,
           report.unreadable);

    /* Whoever saves the only copy of a dead kernel's memory reads it once more. */
    check(libkdump_dump_open(saved, 1, NULL, &dump, &error), "open");
    check(libkdump_dump_verify(dump, NULL, NULL, &verification, &error), "verify");
    check(libkdump_verification_get_info(verification, &found, &error), "verify");
    printf("%s\n", found.sound ? "sound" : "NOT WHOLE");
    libkdump_verification_free(verification);
    libkdump_dump_free(dump);
    return !found.sound;
}
