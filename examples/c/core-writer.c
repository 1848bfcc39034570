/* SPDX-License-Identifier: MIT OR Apache-2.0
 * A virtual machine monitor writes its guest as an ELF core: headers, a note per virtual CPU, the
 * guest's VMCOREINFO, memory. Uses only functions that need no handle and allocate nothing. */
#include "example.h"

enum { CPUS = 2, PAGE = 4096, RANGES = 2 };

/* The guest: two ranges of memory with a hole between them. */
static unsigned char low[16 * PAGE], high[64 * PAGE];

static const struct {
    uint64_t paddr;
    const unsigned char *bytes;
    size_t size;
} guest[RANGES] = {
    { 0x1000, low, sizeof low },
    { 0x100000, high, sizeof high },
};

static void write_at(FILE *file, uint64_t offset, const void *bytes, size_t size)
{
    if (fseek(file, (long)offset, SEEK_SET) != 0 || fwrite(bytes, 1, size, file) != size) {
        perror("write");
        exit(1);
    }
}

/* One CPU's registers: rip and rsp by name, the others zero. */
static size_t cpu_note(void *buf, size_t len, uint32_t cpu, const struct libkdump_arch_info *arch)
{
    uint64_t regs[27] = { 0 };
    uint32_t rip = 0, rsp = 0;
    size_t written = 0;
    check(libkdump_register_index(arch->arch, "rip", &rip, &error), "rip");
    check(libkdump_register_index(arch->arch, "rsp", &rsp, &error), "rsp");
    regs[rip] = 0xffffffff81000000 + cpu;
    regs[rsp] = 0xffffffff82000000 + cpu;
    check(libkdump_crash_note_write(buf, len, arch->arch, arch->endian, (int32_t)cpu + 100, regs, 27,
                                    &written, &error),
          "cpu note");
    /* The null note that ends a kernel's buffer has no place in a file. */
    return written - 12;
}

static size_t vmcoreinfo_note(void *buf, size_t len, uint32_t endian)
{
    char text[512];
    size_t used = 0, written = 0;
    check(libkdump_vmcoreinfo_append(text, sizeof text, &used, "OSRELEASE", "6.1.0-guest", &error), "vmcoreinfo");
    check(libkdump_vmcoreinfo_append(text, sizeof text, &used, "PAGESIZE", "4096", &error), "vmcoreinfo");
    check(libkdump_vmcoreinfo_append_value(text, sizeof text, &used, LIBKDUMP_VMCOREINFO_SYMBOL,
                                           "swapper_pg_dir", 0xffffffff82000000, &error),
          "vmcoreinfo");
    check(libkdump_note_write(buf, len, endian, "VMCOREINFO", LIBKDUMP_NT_VMCOREINFO, text, used, &written,
                              &error),
          "vmcoreinfo");
    return written;
}

int main(int argc, char **argv)
{
    static unsigned char notes[PAGE], header[PAGE];
    struct libkdump_arch_info arch = { .size = sizeof arch };
    struct libkdump_phdr phdrs[1 + RANGES] = { 0 };
    uint64_t header_size = 0, offset = 0;
    size_t notes_size = 0;

    if (argc != 2)
        usage("core-writer FILE");
    for (size_t i = 0; i < sizeof high; i++)
        high[i] = (unsigned char)(i / PAGE + i);
    check(libkdump_arch_get_info(LIBKDUMP_ARCH_X86_64, &arch, &error), "arch");
    struct libkdump_elf_params params = {
        .size = sizeof params,
        .elf_class = arch.elf_class,
        .endian = arch.endian,
        .e_machine = arch.e_machine,
        .phnum = 1 + RANGES,
        .flags = LIBKDUMP_ELF_FILE,
    };

    for (uint32_t cpu = 0; cpu < CPUS; cpu++)
        notes_size += cpu_note(notes + notes_size, sizeof notes - notes_size, cpu, &arch);
    notes_size += vmcoreinfo_note(notes + notes_size, sizeof notes - notes_size, arch.endian);

    /* The size of the header is known before its content. */
    check(libkdump_elfcorehdr_size(&params, &header_size, &error), "header");
    phdrs[0].p_type = LIBKDUMP_PT_NOTE;
    phdrs[0].p_offset = header_size;
    phdrs[0].p_filesz = phdrs[0].p_memsz = notes_size;
    offset = (header_size + notes_size + PAGE - 1) / PAGE * PAGE;
    for (int i = 0; i < RANGES; i++) {
        phdrs[1 + i] = (struct libkdump_phdr){
            .p_type = LIBKDUMP_PT_LOAD,
            .p_flags = LIBKDUMP_PF_RWX,
            .p_offset = offset,
            .p_paddr = guest[i].paddr,
            .p_filesz = guest[i].size,
            .p_memsz = guest[i].size,
        };
        offset += guest[i].size;
    }
    check(libkdump_elfcorehdr_encode(&params, phdrs, header, sizeof header, NULL, &error), "header");

    FILE *file = fopen(argv[1], "wb");
    if (file == NULL) {
        perror(argv[1]);
        return 1;
    }
    write_at(file, 0, header, (size_t)header_size);
    write_at(file, header_size, notes, notes_size);
    for (int i = 0; i < RANGES; i++)
        write_at(file, phdrs[1 + i].p_offset, guest[i].bytes, guest[i].size);
    return fclose(file) != 0;
}
