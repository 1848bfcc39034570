/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Crash loading of kexec-tools (x86_64) by libkdump.
 *
 * Linked with -Wl,--wrap=load_crashdump_segments, this object takes the place of the function
 * that decides what a crash load adds to an ordinary one: the segment that low memory is saved
 * to, the ELF core header, the memory map of the capture kernel, and the parameters on its
 * command line. Everything else is the tool's. Declarations are those of its headers.
 */

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "kexec.h"
#include "kexec-syscall.h"
#include "arch/i386/kexec-x86.h"
#include "arch/i386/crashdump-x86.h"
#include "arch/i386/x86-linux-setup.h"

#include <kdump.h>

#define PAGE        4096UL
#define PAGE_UP(size)   (((size) + PAGE - 1) & ~(PAGE - 1))
#define KIB     1024ULL

/* One crash load. */
struct load {
    struct kexec_info *info;
    char *cmdline;
    unsigned long min, max;     /* where segments may lie */
    struct libkdump_machine *machine;
    struct libkdump_machine_info facts;
    struct libkdump_low_memory low; /* what the purgatory saves */
    struct libkdump_extent kept[2]; /* segments the capture kernel must not use */
    size_t nr_kept;
    uint64_t elfcorehdr;
    struct libkdump_error error;
};

int __real_load_crashdump_segments(struct kexec_info *info, char *mod_cmdline,
                   unsigned long max_addr, unsigned long min_base);
int __wrap_load_crashdump_segments(struct kexec_info *info, char *mod_cmdline,
                   unsigned long max_addr, unsigned long min_base);

static int fail(const struct load *load, const char *what)
{
    fprintf(stderr, "libkdump: %s: %s\n", what, load->error.message);
    return EFAILED;
}

static void keep(struct load *load, uint64_t start, uint64_t length)
{
    load->kept[load->nr_kept++] = (struct libkdump_extent){ .start = start, .length = length };
}

/* Room for the low memory the capture kernel boots through. */
static int place_backup(struct load *load)
{
    struct kexec_info *info = load->info;
    unsigned long size, inside;

    load->low.size = sizeof(load->low);
    if (libkdump_machine_low_memory(load->machine, LIBKDUMP_BACKUP_ALWAYS, &load->low, &load->error))
        return fail(load, "low memory");
    if (load->low.fate != LIBKDUMP_LOW_BACKED_UP)
        return 0;
    /* /proc/vmcore rounds both addresses down to a page: they must lie equally deep in one. */
    inside = load->low.source % PAGE;
    info->backup_src_start = load->low.source;
    info->backup_src_size = load->low.length;
    size = PAGE_UP(inside + load->low.length);
    info->backup_start = add_buffer(info, NULL, 0, size, PAGE, load->min, load->max, -1);
    keep(load, info->backup_start, size);
    info->backup_start += inside;
    load->low.destination = info->backup_start;
    dbgprintf("libkdump: low memory 0x%lx+0x%lx is saved to 0x%lx\n", info->backup_src_start,
          info->backup_src_size, info->backup_start);
    return 0;
}

static int place_elfcorehdr(struct load *load)
{
    struct libkdump_phdr phdr;
    uint64_t size = 0;
    uint32_t i;
    void *bytes;

    /* Without a buffer the size is told all the same. */
    if (libkdump_machine_elfcorehdr(load->machine, &load->low, 0, NULL, 0, &size, &load->error) != LIBKDUMP_ERR_BUFFER)
        return fail(load, "ELF core header");
    bytes = xmalloc(size);      /* the segment needs it until the system call */
    if (libkdump_machine_elfcorehdr(load->machine, &load->low, 0, bytes, size, NULL, &load->error))
        return fail(load, "ELF core header");
    for (i = 0; libkdump_elfcorehdr_phdr(bytes, size, i, &phdr, NULL) == LIBKDUMP_OK; i++)
        dbgprintf("libkdump: p_type %" PRIu32 " p_offset 0x%" PRIx64 " p_vaddr 0x%" PRIx64
              " p_paddr 0x%" PRIx64 " p_memsz 0x%" PRIx64 "\n", phdr.p_type, phdr.p_offset,
              phdr.p_vaddr, phdr.p_paddr, phdr.p_memsz);
    load->elfcorehdr = add_buffer(load->info, bytes, size, PAGE_UP(size), PAGE, load->min, load->max, -1);
    keep(load, load->elfcorehdr, PAGE_UP(size));
    dbgprintf("libkdump: ELF core header at 0x%" PRIx64 "\n", load->elfcorehdr);
    return 0;
}

/* The tool's number for a kind of memory. */
static unsigned range_type(uint32_t kind)
{
    switch (kind) {
    case LIBKDUMP_MEMORY_RAM:
        return RANGE_RAM;
    case LIBKDUMP_MEMORY_ACPI:
        return RANGE_ACPI;
    case LIBKDUMP_MEMORY_NVS:
        return RANGE_ACPI_NVS;
    case LIBKDUMP_MEMORY_PMEM:
        return RANGE_PMEM;
    case LIBKDUMP_MEMORY_PRAM:
        return RANGE_PRAM;
    default:
        return RANGE_RESERVED;
    }
}

/* The memory map of the capture kernel. */
static int make_map(struct load *load)
{
    struct kexec_info *info = load->info;
    struct libkdump_extent *map = NULL;
    size_t count = 0, i;
    int code;

    libkdump_machine_capture_map(load->machine, &load->low, load->kept, load->nr_kept, NULL, 0, &count, NULL);
    map = xmalloc((count + 1) * sizeof(*map));
    code = libkdump_machine_capture_map(load->machine, &load->low, load->kept, load->nr_kept, map, count,
                        &count, &load->error);
    if (code)
        return fail(load, "map of the capture kernel");
    info->crash_range = xmalloc((count + 1) * sizeof(*info->crash_range));
    info->nr_crash_ranges = 0;
    for (i = 0; i < count; i++)
        /* Both ends belong to the range. */
        info->crash_range[info->nr_crash_ranges++] = (struct memory_range){
            .start = map[i].start, .end = map[i].start + (map[i].length - 1), .type = range_type(map[i].kind),
        };
    free(map);
    dbgprint_mem_range("libkdump: map of the capture kernel", info->crash_range, info->nr_crash_ranges);
    return 0;
}

__attribute__((format(printf, 2, 3)))
static int append(struct load *load, const char *format, ...)
{
    size_t used = strlen(load->cmdline), room = COMMAND_LINE_SIZE - used;
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(load->cmdline + used, room, format, arguments);
    va_end(arguments);
    if (length >= 0 && (size_t)length < room)
        return 0;
    load->cmdline[used] = '\0';
    fprintf(stderr, "libkdump: the command line would be longer than %d bytes\n", COMMAND_LINE_SIZE - 1);
    return EFAILED;
}

/* The map as memmap= parameters, in KiB: usable ranges rounded inward, the others outward. */
static int append_memmap(struct load *load)
{
    int i, failed = append(load, " memmap=exactmap");

    for (i = 0; i < load->info->nr_crash_ranges && !failed; i++) {
        const struct memory_range *range = &load->info->crash_range[i];
        unsigned long long first = range->start / KIB, end = range->end / KIB + 1;
        char mark = range->type == RANGE_PRAM ? '!' : '#';

        if (range->type == RANGE_RAM) {
            mark = '@';
            first = (range->start + KIB - 1) / KIB;
            end = (range->end + 1) / KIB;
        } else if (range->type == RANGE_RESERVED || range->type == RANGE_PMEM) {
            continue;
        }
        if (first < end)
            failed = append(load, " memmap=%lluK%c%lluK", end - first, mark, first);
    }
    return failed;
}

static int extend_cmdline(struct load *load)
{
    int efi = bzImage_support_efi_boot && !arch_options.noefi &&
          access("/sys/firmware/efi/runtime-map", F_OK) == 0;
    int failed = 0;

    /* A capture kernel that EFI is handed over to finds the ACPI tables through it. */
    if ((load->facts.flags & LIBKDUMP_MACHINE_RSDP) && !efi)
        failed = append(load, " acpi_rsdp=0x%" PRIx64, load->facts.rsdp);
    if (!failed)
        failed = append(load, " elfcorehdr=0x%" PRIx64, load->elfcorehdr);
    if (!failed && arch_options.pass_memmap_cmdline)
        failed = append_memmap(load);
    dbgprintf("libkdump: command line: %s\n", load->cmdline);
    return failed;
}

static int plan(struct load *load)
{
    const char *text;
    uint32_t i;
    int failed;

    load->error.size = sizeof(load->error);
    load->facts.size = sizeof(load->facts);
    if (libkdump_machine_collect(NULL, &load->machine, &load->error) ||
        libkdump_machine_get_info(load->machine, &load->facts, &load->error))
        return fail(load, "description of this machine");
    for (i = 0; libkdump_machine_note(load->machine, i, &text, NULL) == LIBKDUMP_OK; i++)
        fprintf(stderr, "libkdump: %s\n", text);
    failed = place_backup(load);
    if (!failed)
        failed = place_elfcorehdr(load);
    if (!failed)
        failed = make_map(load);
    return failed ? failed : extend_cmdline(load);
}

int __wrap_load_crashdump_segments(struct kexec_info *info, char *mod_cmdline,
                   unsigned long max_addr, unsigned long min_base)
{
    struct load load = { .info = info, .cmdline = mod_cmdline, .min = min_base, .max = max_addr };
    int result;

    /* Xen hides the machine's memory, and a kernel to jump back from is not a capture kernel. */
    if (xen_present() || !(info->kexec_flags & KEXEC_ON_CRASH))
        return __real_load_crashdump_segments(info, mod_cmdline, max_addr, min_base);
    dbgprintf("libkdump %s: crash load\n", libkdump_version_string());
    result = plan(&load);
    libkdump_machine_free(load.machine);
    return result;
}
