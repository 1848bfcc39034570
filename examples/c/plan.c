/* SPDX-License-Identifier: MIT OR Apache-2.0
 * Plans the load of a capture kernel and says what the kernel would make of it. Loads nothing, so
 * it needs no rights beyond reading the files of the machine. */
#include "example.h"

static void print_json(const struct libkdump_plan *plan)
{
    size_t len = 0;
    int code = libkdump_plan_json(plan, NULL, 0, &len, &error);
    if (code != LIBKDUMP_ERR_BUFFER)
        check(code, "json");
    char *text = malloc(len + 1);
    if (text == NULL)
        abort();
    check(libkdump_plan_json(plan, text, len + 1, NULL, &error), "json");
    puts(text);
    free(text);
}

static void print_segments(const struct libkdump_plan *plan)
{
    struct libkdump_segment segment = { .size = sizeof segment };
    for (uint32_t i = 0; libkdump_plan_segment(plan, i, &segment, NULL) == LIBKDUMP_OK; i++)
        printf("segment %-10s %#14" PRIx64 " %10" PRIu64 " bytes, %10" PRIu64 " given\n",
               libkdump_segment_name(segment.kind), segment.mem, segment.memsz, segment.bufsz);
}

/* Prints the rules that do not pass; returns how many fail. */
static int print_preflight(const struct libkdump_plan *plan)
{
    static const char *const names[] = { "?", "pass", "FAIL", "unknown" };
    struct libkdump_preflight_info info = { .size = sizeof info };
    struct libkdump_finding finding = { .size = sizeof finding };
    struct libkdump_preflight *preflight = NULL;
    int failed = 0;

    check(libkdump_plan_preflight(plan, &preflight, &error), "preflight");
    check(libkdump_preflight_get_info(preflight, &info, &error), "preflight");
    for (uint32_t i = 0; i < info.findings; i++) {
        check(libkdump_preflight_finding(preflight, i, &finding, &error), "preflight");
        if (finding.verdict == LIBKDUMP_VERDICT_FAIL)
            failed++;
        if (finding.verdict != LIBKDUMP_VERDICT_PASS)
            printf("rule %s: %s: %s\n", names[finding.verdict & 3], finding.rule, finding.detail);
    }
    printf("rules   %" PRIu32 " checked, %d failed\n", info.findings, failed);
    libkdump_preflight_free(preflight);
    return failed;
}

int main(int argc, char **argv)
{
    struct libkdump_plan_options options = {
        .size = sizeof options,
        .kernel = option(argc, argv, "--kernel"),
        .initrd = option(argc, argv, "--initrd"),
        .cmdline = option(argc, argv, "--append"),
    };
    struct libkdump_plan_info info = { .size = sizeof info };
    struct libkdump_plan_x86 x86 = { .size = sizeof x86 };
    struct libkdump_plan_arm64 arm64 = { .size = sizeof arm64 };
    struct libkdump_range range = { .size = sizeof range };
    struct libkdump_machine *machine = NULL;
    struct libkdump_plan *plan = NULL;
    const char *text;
    int failed = 0;

    if (options.kernel == NULL)
        usage("plan [--root DIR] --kernel FILE [--initrd FILE] [--append TEXT] [--json]");
    check(libkdump_machine_collect(option(argc, argv, "--root"), &machine, &error), "machine");
    check(libkdump_plan_new(machine, &options, &plan, &error), "plan");
    if (flag(argc, argv, "--json")) {
        print_json(plan);
    } else {
        for (uint32_t i = 0; libkdump_machine_note(machine, i, &text, NULL) == LIBKDUMP_OK; i++)
            printf("machine %s\n", text);
        for (uint32_t i = 0; libkdump_plan_note(plan, i, &text, NULL) == LIBKDUMP_OK; i++)
            printf("note    %s\n", text);
        print_segments(plan);
        check(libkdump_plan_get_info(plan, &info, &error), "plan");
        printf("entry   %#" PRIx64 "\n", info.entry);
        printf("vmcore  %" PRIu64 " bytes, %" PRIu32 " program headers\n", info.vmcore_size,
               info.vmcore_phnum);
        if (libkdump_plan_get_x86(plan, &x86, NULL) == LIBKDUMP_OK)
            printf("e820    %" PRIu32 " ranges\n", x86.e820);
        if (libkdump_plan_get_arm64(plan, &arm64, NULL) == LIBKDUMP_OK)
            printf("text_offset %#" PRIx64 "\n", arm64.text_offset);
        for (uint32_t i = 0; libkdump_plan_usable(plan, i, &range, NULL) == LIBKDUMP_OK; i++)
            printf("usable  %#" PRIx64 ", %#" PRIx64 " bytes\n", range.start, range.length);
        printf("cmdline %s\n", libkdump_plan_cmdline(plan));
        failed = print_preflight(plan);
    }
    libkdump_plan_free(plan);
    libkdump_machine_free(machine);
    return failed != 0;
}
