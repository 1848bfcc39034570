/* SPDX-License-Identifier: MIT OR Apache-2.0
 * What a dump is, what its CPUs did, how its memory lies, and the end of its log. */
#include "example.h"

static void print_head(const struct libkdump_dump *dump, const struct libkdump_dump_info *info)
{
    const char *arch = libkdump_arch_name(info->arch);
    const void *vmcoreinfo;
    char release[128];
    size_t len;

    printf("format    %s\n", libkdump_format_name(info->format));
    printf("arch      %s\n", arch != NULL ? arch : "unknown");
    if (libkdump_dump_vmcoreinfo(dump, &vmcoreinfo, &len, NULL) == LIBKDUMP_OK
        && libkdump_vmcoreinfo_get(vmcoreinfo, len, "OSRELEASE", release, sizeof release, NULL, NULL)
               == LIBKDUMP_OK)
        printf("release   %s\n", release);
    printf("memory    %" PRIu64 " KiB\n", info->memory >> 10);
    printf("complete  %s\n", info->complete ? "yes" : "NO");
    for (uint32_t i = 0; i < info->defects; i++) {
        struct libkdump_error defect = { .size = sizeof defect };
        check(libkdump_dump_defect(dump, i, &defect, &error), "defect");
        printf("defect    %s\n", defect.message);
    }
}

static void print_cpus(const struct libkdump_dump *dump, const struct libkdump_dump_info *info)
{
    for (uint32_t i = 0; i < info->cpus; i++) {
        struct libkdump_cpu cpu = { .size = sizeof cpu };
        int code = libkdump_dump_cpu(dump, i, &cpu, &error);
        if (code != LIBKDUMP_OK) {
            printf("cpu       %" PRIu32 ": %s\n", i, error.message);
            continue;
        }
        printf("cpu       %" PRIu32 ": pid %" PRId32 ", ip %#" PRIx64 ", sp %#" PRIx64 "\n", i, cpu.pid,
               cpu.instruction_pointer, cpu.stack_pointer);
    }
}

static void print_ranges(const struct libkdump_dump *dump, const struct libkdump_dump_info *info)
{
    for (uint32_t i = 0; i < info->ranges; i++) {
        struct libkdump_range range = { .size = sizeof range };
        check(libkdump_dump_range(dump, i, &range, &error), "range");
        printf("%-9s %#14" PRIx64 " - %#14" PRIx64 "\n",
               range.kind == LIBKDUMP_PAGE_STORED     ? "stored"
               : range.kind == LIBKDUMP_PAGE_EXCLUDED ? "excluded"
                                                      : "hole",
               range.start, range.start + (range.length - 1));
    }
}

/* The bytes are the dead kernel's: a terminal gets only what is printable. */
static void print_text(const unsigned char *text, uint64_t len)
{
    for (uint64_t i = 0; i < len; i++)
        putchar(text[i] == '\n' || (text[i] >= ' ' && text[i] < 0x7f) ? text[i] : '?');
    putchar('\n');
}

static void print_log_end(const struct libkdump_dump *dump)
{
    struct libkdump_dmesg_info info = { .size = sizeof info };
    struct libkdump_log_record record = { .size = sizeof record };
    struct libkdump_dmesg *log = NULL;

    if (libkdump_dmesg_read(dump, &log, &error) != LIBKDUMP_OK) {
        printf("log       %s\n", error.message);
        return;
    }
    check(libkdump_dmesg_get_info(log, &info, &error), "log");
    printf("log       %" PRIu32 " records, %" PRIu64 " lost\n", info.records, info.lost);
    for (uint32_t i = info.records > 5 ? info.records - 5 : 0; i < info.records; i++) {
        check(libkdump_dmesg_record(log, i, &record, &error), "log");
        printf("[%5" PRIu64 ".%06" PRIu64 "] ", record.ts_nsec / 1000000000, record.ts_nsec / 1000 % 1000000);
        print_text(record.text, record.text_len);
    }
    libkdump_dmesg_free(log);
}

int main(int argc, char **argv)
{
    struct libkdump_dump_info info = { .size = sizeof info };
    struct libkdump_dump *dump = NULL;

    if (argc < 2)
        usage("info DUMP...");
    check(libkdump_dump_open((const char *const *)argv + 1, (size_t)argc - 1, NULL, &dump, &error), "open");
    check(libkdump_dump_get_info(dump, &info, &error), "info");
    print_head(dump, &info);
    print_cpus(dump, &info);
    print_ranges(dump, &info);
    print_log_end(dump);
    libkdump_dump_free(dump);
    return !info.complete;
}
