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

/* A half-open range of physical addresses. */
struct span {
    uint64_t start, end;
};

/* One crash load. */
struct load {
    struct kexec_info *info;
    char *cmdline;
    unsigned long min, max;     /* where segments may lie */
    struct libkdump_machine *machine;
    struct libkdump_machine_info facts;
    struct span low;        /* what the purgatory saves; empty for nothing */
    struct span kept[2];        /* segments the capture kernel must not use, ascending */
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

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static struct span span_of(const struct libkdump_range *range)
{
    return (struct span){ range->start, range->start + range->length };
}

/* Whether the list has a range of this index; fetches it. */
static int nth(const struct load *load, uint32_t list, uint32_t index, struct libkdump_range *out)
{
    *out = (struct libkdump_range){ .size = sizeof(*out) };
    return libkdump_machine_range(load->machine, list, index, out, NULL) == LIBKDUMP_OK;
}

/* Room for the low memory the capture kernel boots through: its first range, up to 640 KiB. */
static void place_backup(struct load *load)
{
    struct kexec_info *info = load->info;
    struct libkdump_range range;
    unsigned long size, inside;

    if (!nth(load, LIBKDUMP_RANGES_DUMP, 0, &range) || range.start > BACKUP_SRC_END)
        return;
    load->low = span_of(&range);
    load->low.end = least(load->low.end, BACKUP_SRC_END + 1);
    /* /proc/vmcore rounds both addresses down to a page: they must lie equally deep in one. */
    inside = load->low.start % PAGE;
    size = load->low.end - load->low.start;
    info->backup_src_start = load->low.start;
    info->backup_src_size = size;
    size = PAGE_UP(inside + size);
    info->backup_start = add_buffer(info, NULL, 0, size, PAGE, load->min, load->max, -1);
    load->kept[0] = (struct span){ info->backup_start, info->backup_start + size };
    info->backup_start += inside;
    dbgprintf("libkdump: low memory 0x%lx+0x%lx is saved to 0x%lx\n", info->backup_src_start,
          info->backup_src_size, info->backup_start);
}

static struct libkdump_phdr note(uint64_t paddr, uint64_t size)
{
    return (struct libkdump_phdr){
        .p_type = LIBKDUMP_PT_NOTE, .p_offset = paddr, .p_paddr = paddr,
        .p_filesz = size, .p_memsz = size,
    };
}

static struct libkdump_phdr memory(uint64_t offset, uint64_t vaddr, struct span span)
{
    return (struct libkdump_phdr){
        .p_type = LIBKDUMP_PT_LOAD, .p_flags = LIBKDUMP_PF_RWX, .p_offset = offset,
        .p_vaddr = vaddr, .p_paddr = span.start,
        .p_filesz = span.end - span.start, .p_memsz = span.end - span.start,
    };
}

/* Program headers of one range of RAM: of the saved part, which is read from its copy, and of
 * the rest. */
static uint32_t describe_ram(const struct load *load, struct span ram, struct libkdump_phdr *out)
{
    uint64_t base = load->facts.direct_map_base;
    int known = load->facts.flags & LIBKDUMP_MACHINE_DIRECT_MAP;
    uint32_t count = 0;

    if (load->low.end > load->low.start && ram.start == load->low.start) {
        out[count++] = memory(load->info->backup_start, known ? base + ram.start : UINT64_MAX, load->low);
        ram.start = load->low.end;
    }
    if (ram.start < ram.end)
        out[count++] = memory(ram.start, known ? base + ram.start : UINT64_MAX, ram);
    return count;
}

/* All program headers, in memory of xmalloc(). */
static struct libkdump_phdr *describe(struct load *load, uint32_t *phnum)
{
    const struct libkdump_machine_info *facts = &load->facts;
    struct libkdump_cpu_note cpu = { .size = sizeof(cpu) };
    struct libkdump_range range;
    struct libkdump_phdr *phdrs;
    uint32_t i, n = 0, ranges = 0;

    while (nth(load, LIBKDUMP_RANGES_DUMP, ranges, &range))
        ranges++;
    /* VMCOREINFO, the kernel's text, and low memory that is cut in two add one each. */
    phdrs = xmalloc((facts->cpu_notes + (size_t)ranges + 3) * sizeof(*phdrs));
    for (i = 0; i < facts->cpu_notes; i++) {
        if (libkdump_machine_cpu_note(load->machine, i, &cpu, &load->error))
            return NULL;
        phdrs[n++] = note(cpu.paddr, cpu.length);
    }
    if (facts->flags & LIBKDUMP_MACHINE_VMCOREINFO)
        phdrs[n++] = note(facts->vmcoreinfo_paddr, facts->vmcoreinfo_size);
    if (facts->flags & LIBKDUMP_MACHINE_TEXT)
        phdrs[n++] = memory(facts->text_paddr, facts->text_vaddr,
                    (struct span){ facts->text_paddr, facts->text_paddr + facts->text_size });
    for (i = 0; nth(load, LIBKDUMP_RANGES_DUMP, i, &range); i++)
        n += describe_ram(load, span_of(&range), phdrs + n);
    for (i = 0; i < n; i++)
        dbgprintf("libkdump: p_type %" PRIu32 " p_offset 0x%" PRIx64 " p_vaddr 0x%" PRIx64
              " p_paddr 0x%" PRIx64 " p_memsz 0x%" PRIx64 "\n", phdrs[i].p_type, phdrs[i].p_offset,
              phdrs[i].p_vaddr, phdrs[i].p_paddr, phdrs[i].p_memsz);
    *phnum = n;
    return phdrs;
}

static int place_elfcorehdr(struct load *load)
{
    struct libkdump_arch_info arch = { .size = sizeof(arch) };
    struct libkdump_elf_params params = { .size = sizeof(params) };
    struct libkdump_phdr *phdrs = describe(load, &params.phnum);
    uint64_t size;
    void *bytes;

    if (!phdrs || libkdump_arch_get_info(load->facts.arch, &arch, &load->error))
        return fail(load, "ELF core header");
    params.elf_class = arch.elf_class;
    params.endian = load->facts.endian;
    params.e_machine = arch.e_machine;
    if (libkdump_elfcorehdr_size(&params, &size, &load->error))
        return fail(load, "ELF core header");
    bytes = xmalloc(size);      /* the segment needs it until the system call */
    if (libkdump_elfcorehdr_encode(&params, phdrs, bytes, size, NULL, &load->error))
        return fail(load, "ELF core header");
    free(phdrs);
    load->elfcorehdr = add_buffer(load->info, bytes, size, PAGE_UP(size), PAGE, load->min, load->max, -1);
    load->kept[1] = (struct span){ load->elfcorehdr, load->elfcorehdr + PAGE_UP(size) };
    dbgprintf("libkdump: ELF core header at 0x%" PRIx64 "\n", load->elfcorehdr);
    return 0;
}

static void put(struct kexec_info *info, struct span span, unsigned type)
{
    struct memory_range *range = &info->crash_range[info->nr_crash_ranges++];

    /* Both ends belong to the range. */
    *range = (struct memory_range){ .start = span.start, .end = span.end - 1, .type = type };
}

/* Gives the capture kernel what `ram` and `usable` share, without the segments it must keep. */
static void put_usable(struct load *load, struct span ram, struct span usable)
{
    uint64_t at = most(ram.start, usable.start), end = least(ram.end, usable.end);
    int i;

    for (i = 0; i < 2; i++) {
        struct span kept = load->kept[i];

        if (kept.start >= end || kept.end <= at)
            continue;
        if (at < kept.start)
            put(load->info, (struct span){ at, kept.start }, RANGE_RAM);
        at = kept.end;
    }
    if (at < end)
        put(load->info, (struct span){ at, end }, RANGE_RAM);
}

/* The tool's number for memory that is not RAM. */
static unsigned range_type(uint32_t kind)
{
    switch (kind) {
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

static int by_start(const void *a, const void *b)
{
    const struct memory_range *one = a, *other = b;

    return one->start < other->start ? -1 : one->start > other->start;
}

/* The memory map of the capture kernel: of RAM only low memory and what was reserved for it. */
static void make_map(struct load *load)
{
    static const uint32_t reserved[] = { LIBKDUMP_RANGES_CRASH, LIBKDUMP_RANGES_CMA };
    struct kexec_info *info = load->info;
    struct libkdump_range range, own;
    size_t room = 8;
    uint32_t i, j, list;

    if (load->kept[0].start > load->kept[1].start) {
        struct span swap = load->kept[0];

        load->kept[0] = load->kept[1];
        load->kept[1] = swap;
    }
    /* Two ascending lists of m and n ranges share less than m + n; each segment cuts one. */
    for (i = 0; nth(load, LIBKDUMP_RANGES_MEMORY, i, &range); i++)
        room += 3;
    for (list = 0; list < 2; list++)
        for (i = 0; nth(load, reserved[list], i, &own); i++)
            room += 1;
    info->crash_range = xmalloc(room * sizeof(*info->crash_range));
    info->nr_crash_ranges = 0;
    for (i = 0; nth(load, LIBKDUMP_RANGES_MEMORY, i, &range); i++) {
        if (range.kind != LIBKDUMP_MEMORY_RAM) {
            put(info, span_of(&range), range_type(range.kind));
            continue;
        }
        put_usable(load, span_of(&range), load->low);
        for (list = 0; list < 2; list++)
            for (j = 0; nth(load, reserved[list], j, &own); j++)
                put_usable(load, span_of(&range), span_of(&own));
    }
    qsort(info->crash_range, info->nr_crash_ranges, sizeof(*info->crash_range), by_start);
    dbgprint_mem_range("libkdump: map of the capture kernel", info->crash_range, info->nr_crash_ranges);
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
    place_backup(load);
    failed = place_elfcorehdr(load);
    if (failed)
        return failed;
    make_map(load);
    return extend_cmdline(load);
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
