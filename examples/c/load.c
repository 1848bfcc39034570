/* SPDX-License-Identifier: MIT OR Apache-2.0
 * A complete loader of capture kernels, as `kexec -p` is: plan, check, kexec_load(2). */
#include "example.h"

#include <errno.h>

static int status(void)
{
    struct libkdump_machine_info info = { .size = sizeof info };
    struct libkdump_range region = { .size = sizeof region };
    struct libkdump_machine *machine = NULL;
    const char *advice;

    check(libkdump_machine_collect(NULL, &machine, &error), "machine");
    check(libkdump_machine_get_info(machine, &info, &error), "machine");
    int loaded = (info.flags & LIBKDUMP_MACHINE_LOADED) != 0;
    printf("capture kernel: %s\n", loaded ? "loaded" : "not loaded");
    for (uint32_t i = 0;
         libkdump_machine_range(machine, LIBKDUMP_RANGES_CRASH, i, &region, NULL) == LIBKDUMP_OK; i++)
        printf("crash region: %#" PRIx64 ", %" PRIu64 " MiB\n", region.start, region.length >> 20);
    for (uint32_t i = 0; libkdump_machine_advice(machine, i, &advice, NULL) == LIBKDUMP_OK; i++)
        printf("advice: %s\n", advice);
    libkdump_machine_free(machine);
    return !loaded;
}

/* `kexec -p -s`: the kernel itself places everything. */
static void load_files(const char *kernel, const char *initrd, const char *cmdline)
{
    check(libkdump_load_files(kernel, initrd, cmdline != NULL ? cmdline : "", &error), "load");
}

static void load(const struct libkdump_plan_options *options)
{
    struct libkdump_machine *machine = NULL;
    struct libkdump_plan *plan = NULL;

    check(libkdump_machine_collect(NULL, &machine, &error), "machine");
    check(libkdump_plan_new(machine, options, &plan, &error), "plan");
    int code = libkdump_plan_load(plan, &error);
    if (code == LIBKDUMP_ERR_REFUSED && error.os_errno == 0)
        fprintf(stderr, "not given to the kernel, what was loaded before stays loaded\n");
    else if (code == LIBKDUMP_ERR_REFUSED)
        fprintf(stderr, "kexec_load: %s\n", strerror(error.os_errno));
    check(code, "load");
    libkdump_plan_free(plan);
    libkdump_machine_free(machine);
}

int main(int argc, char **argv)
{
    const char *serial = option(argc, argv, "--serial");
    struct libkdump_plan_options options = {
        .size = sizeof options,
        .flags = LIBKDUMP_PLAN_RANDOM_SEED,
        .kernel = option(argc, argv, "--kernel"),
        .initrd = option(argc, argv, "--initrd"),
        .cmdline = option(argc, argv, "--append"),
        .serial_base = serial != NULL ? (uint32_t)strtoul(serial, NULL, 0) : 0,
    };

    if (flag(argc, argv, "--reuse-cmdline"))
        options.flags |= LIBKDUMP_PLAN_REUSE_CMDLINE;
    if (flag(argc, argv, "--backup"))
        options.backup = LIBKDUMP_BACKUP_ALWAYS;
    if (flag(argc, argv, "--status"))
        return status();
    if (flag(argc, argv, "--unload")) {
        check(libkdump_unload(&error), "unload");
        return 0;
    }
    if (options.kernel == NULL)
        usage("load --kernel FILE [--initrd FILE] [--append TEXT] [--reuse-cmdline] [--backup]\n"
              "            [--serial PORT] [--file-syscall] | --unload | --status");
    if (flag(argc, argv, "--file-syscall"))
        load_files(options.kernel, options.initrd, options.cmdline);
    else
        load(&options);
    return 0;
}
