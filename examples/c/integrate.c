/* SPDX-License-Identifier: MIT OR Apache-2.0
 * Everything at once, from the header alone: opens a dump and reads it by eight threads, plans a
 * capture kernel for a machine, has the plan's segments and a bad variant of them judged as if they
 * were the program's own, and saves the dump to standard output, which may be a pipe. */
#include "example.h"

#include <pthread.h>
#include <unistd.h>

enum { THREADS = 8, PAGE = 4096 };

struct reader {
    pthread_t thread;
    const struct libkdump_dump *dump;
    uint32_t ranges;
    uint64_t pages, sum;
    int code;
};

/* Reads all stored memory, as every one of the threads does. */
static void *read_all(void *argument)
{
    struct reader *self = argument;
    unsigned char page[PAGE];

    for (uint32_t i = 0; i < self->ranges && self->code >= 0; i++) {
        struct libkdump_range range = { .size = sizeof range };
        self->code = libkdump_dump_range(self->dump, i, &range, NULL);
        if (self->code != LIBKDUMP_OK || range.kind != LIBKDUMP_PAGE_STORED)
            continue;
        for (uint64_t at = 0; at < range.length && self->code >= 0; at += PAGE) {
            size_t len = range.length - at < PAGE ? (size_t)(range.length - at) : PAGE;
            self->code = libkdump_dump_read_phys(self->dump, range.start + at, page, len, NULL, NULL);
            for (size_t j = 0; j < len; j++)
                self->sum += page[j];
            self->pages++;
        }
    }
    return NULL;
}

static void read_by_threads(const struct libkdump_dump *dump)
{
    struct libkdump_dump_info info = { .size = sizeof info };
    struct reader readers[THREADS] = { 0 };

    check(libkdump_dump_get_info(dump, &info, &error), "dump");
    for (int i = 0; i < THREADS; i++) {
        readers[i].dump = dump;
        readers[i].ranges = info.ranges;
        if (pthread_create(&readers[i].thread, NULL, read_all, &readers[i]) != 0)
            exit(1);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(readers[i].thread, NULL);
        check(readers[i].code, "read");
        if (readers[i].pages == 0 || readers[i].sum != readers[0].sum)
            exit(1);
    }
    fprintf(stderr, "%d threads read %" PRIu64 " pages each\n", THREADS, readers[0].pages);
}

/* What the kernel would say of these segments; the errno. */
static int judge(const struct libkdump_machine *machine, const struct libkdump_plan_info *info,
                 const struct libkdump_kexec_segment *segments)
{
    struct libkdump_preflight_info sum = { .size = sizeof sum };
    struct libkdump_finding finding = { .size = sizeof finding };
    struct libkdump_preflight *preflight = NULL;

    check(libkdump_machine_preflight(machine, info->entry, segments, info->segments, info->flags, &preflight,
                                     &error),
          "preflight");
    check(libkdump_preflight_get_info(preflight, &sum, &error), "preflight");
    for (uint32_t i = 0; libkdump_preflight_finding(preflight, i, &finding, NULL) == LIBKDUMP_OK; i++)
        if (finding.verdict == LIBKDUMP_VERDICT_FAIL)
            fprintf(stderr, "%s: %s\n", finding.rule, finding.detail);
    libkdump_preflight_free(preflight);
    return sum.os_errno;
}

static void plan_and_judge(const char *root, const char *kernel)
{
    struct libkdump_plan_options options = { .size = sizeof options, .kernel = kernel };
    struct libkdump_plan_info info = { .size = sizeof info };
    struct libkdump_segment segment = { .size = sizeof segment };
    struct libkdump_machine *machine = NULL;
    struct libkdump_plan *plan = NULL;

    check(libkdump_machine_collect(root, &machine, &error), "machine");
    check(libkdump_plan_new(machine, &options, &plan, &error), "plan");
    check(libkdump_plan_get_info(plan, &info, &error), "plan");
    struct libkdump_kexec_segment *own = calloc(info.segments, sizeof *own);
    if (own == NULL)
        exit(1);
    for (uint32_t i = 0; libkdump_plan_segment(plan, i, &segment, &error) == LIBKDUMP_OK; i++)
        own[i] = (struct libkdump_kexec_segment){
            .buf = segment.buf,
            .bufsz = (size_t)segment.bufsz,
            .mem = (const void *)(uintptr_t)segment.mem,
            .memsz = (size_t)segment.memsz,
        };
    int good = judge(machine, &info, own);
    own[0].mem = (const void *)(uintptr_t)0x1000;
    int bad = judge(machine, &info, own);
    fprintf(stderr, "%" PRIu32 " segments: errno %d; the first one moved: errno %d\n", info.segments, good, bad);
    free(own);
    libkdump_plan_free(plan);
    libkdump_machine_free(machine);
    if (good != 0 || bad == 0)
        exit(1);
}

int main(int argc, char **argv)
{
    struct libkdump_save_options flattened = { .size = sizeof flattened, .flags = LIBKDUMP_SAVE_FLATTEN };
    struct libkdump_save_report report = { .size = sizeof report };
    struct libkdump_dump *dump = NULL;

    if (argc != 4)
        usage("integrate DUMP MACHINE KERNEL > FLATTENED");
    check(libkdump_dump_open((const char *const *)argv + 1, 1, NULL, &dump, &error), "open");
    read_by_threads(dump);
    plan_and_judge(argv[2], argv[3]);
    check(libkdump_dump_save_fd(dump, STDOUT_FILENO, &flattened, NULL, NULL, &report, &error), "save");
    fprintf(stderr, "saved %" PRIu64 " bytes\n", report.file_size);
    libkdump_dump_free(dump);
    return 0;
}
