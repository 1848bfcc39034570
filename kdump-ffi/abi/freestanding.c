/* SPDX-License-Identifier: MIT OR Apache-2.0
 * libkdump-core.a without a C library: encodes an elfcorehdr, writes crash notes into old memory,
 * predicts the vmcore, reads it back through a view, and captures it from damaged memory. Ends by
 * system call; the exit status is the line of the first check that failed, modulo 255. */
#include <kdump-core.h>

#define CHECK(condition)          \
    do {                          \
        if (!(condition))         \
            leave(__LINE__ % 255 + 1); \
    } while (0)

enum { PAGE = 4096, NOTES = 0x1000, BACKUP = 0x3000, RAM = 0x5000, OLD_SIZE = 0x8000 };

static unsigned char old_memory[OLD_SIZE];
static unsigned char elfcorehdr[PAGE];
static unsigned char workspace[8 * PAGE] __attribute__((aligned(8)));
/* An address that cannot be read. */
static uint64_t broken = UINT64_MAX;
static struct libkdump_error error = { .size = sizeof error };

static _Noreturn void leave(long status)
{
    __asm__ volatile("syscall" : : "a"(60L), "D"(status) : "rcx", "r11", "memory");
    __builtin_unreachable();
}

static int read_old(void *user, uint64_t paddr, void *buf, size_t len)
{
    unsigned *calls = user;
    unsigned char *to = buf;
    ++*calls;
    if (paddr <= broken && broken - paddr < len)
        return 5;
    if (paddr > OLD_SIZE || len > OLD_SIZE - paddr)
        return 14;
    for (size_t i = 0; i < len; i++)
        to[i] = old_memory[paddr + i];
    return 0;
}

static void write_notes(void)
{
    uint64_t regs[27] = { 0 };
    uint32_t rip = 0;
    CHECK(libkdump_register_index(LIBKDUMP_ARCH_X86_64, "rip", &rip, 0) == LIBKDUMP_OK);
    for (unsigned cpu = 0; cpu < 2; cpu++) {
        regs[rip] = 0xffffffff81000000 + cpu;
        CHECK(libkdump_crash_note_write(old_memory + NOTES + cpu * 1024, 1024, LIBKDUMP_ARCH_X86_64,
                                        LIBKDUMP_ENDIAN_LITTLE, (int)cpu, regs, 27, 0, &error)
              == LIBKDUMP_OK);
    }
}

static size_t encode(void)
{
    struct libkdump_elf_params params = {
        .size = sizeof params,
        .elf_class = LIBKDUMP_CLASS_ELF64,
        .endian = LIBKDUMP_ENDIAN_LITTLE,
        .e_machine = 62,
        .phnum = 4,
    };
    struct libkdump_phdr phdrs[4] = {
        { .p_type = LIBKDUMP_PT_NOTE, .p_offset = NOTES, .p_filesz = 1024, .p_memsz = 1024 },
        { .p_type = LIBKDUMP_PT_NOTE, .p_offset = NOTES + 1024, .p_filesz = 1024, .p_memsz = 1024 },
        /* Saved elsewhere, as a backup region is. */
        { .p_type = LIBKDUMP_PT_LOAD, .p_offset = BACKUP, .p_paddr = 0, .p_filesz = PAGE, .p_memsz = PAGE },
        { .p_type = LIBKDUMP_PT_LOAD, .p_offset = RAM + 0x18, .p_paddr = RAM + 0x18, .p_filesz = 0x1000,
          .p_memsz = 0x1000 },
    };
    uint64_t written = 0;
    CHECK(libkdump_elfcorehdr_encode(&params, phdrs, elfcorehdr, 8, 0, &error) == LIBKDUMP_ERR_BUFFER);
    CHECK(error.need == 64 + 4 * 56);
    CHECK(libkdump_elfcorehdr_encode(&params, phdrs, elfcorehdr, sizeof elfcorehdr, &written, &error)
          == LIBKDUMP_OK);
    return (size_t)written;
}

static void check_view(const struct libkdump_view *view, unsigned *calls)
{
    static unsigned char file[16 * PAGE];
    struct libkdump_phdr load = { 0 };
    struct libkdump_note note = { .size = sizeof note };
    uint64_t rip = 0, cursor = 0;
    size_t done = 0;

    CHECK(libkdump_view_read(view, 0, file, sizeof file, &done, &error) == LIBKDUMP_OK);
    CHECK(done == view->file_size && done == 5 * PAGE);
    CHECK(libkdump_elfcorehdr_phdr(file, done, 1, &load, &error) == LIBKDUMP_OK);
    CHECK(load.p_offset == 2 * PAGE && load.p_paddr == 0);
    for (size_t i = 0; i < PAGE; i++)
        CHECK(file[2 * PAGE + i] == old_memory[BACKUP + i]);
    CHECK(libkdump_elfcorehdr_phdr(file, done, 2, &load, &error) == LIBKDUMP_OK);
    CHECK(load.p_offset == 3 * PAGE + 0x18);
    for (size_t i = 0; i < 0x1000; i++)
        CHECK(file[load.p_offset + i] == old_memory[RAM + 0x18 + i]);
    for (unsigned cpu = 0; cpu < 2; cpu++) {
        CHECK(libkdump_note_next(file + PAGE, PAGE, LIBKDUMP_ENDIAN_LITTLE, 0, &cursor, &note, &error)
              == LIBKDUMP_OK);
        CHECK(libkdump_prstatus_register(note.desc, note.desc_len, LIBKDUMP_ARCH_X86_64,
                                         LIBKDUMP_ENDIAN_LITTLE, "rip", &rip, &error)
              == LIBKDUMP_OK);
        CHECK(rip == 0xffffffff81000000 + cpu);
    }
    CHECK(libkdump_note_next(file + PAGE, PAGE, LIBKDUMP_ENDIAN_LITTLE, 0, &cursor, &note, &error)
          == LIBKDUMP_END);
    CHECK(*calls == 4);
    CHECK(libkdump_view_read(view, view->file_size, file, 1, &done, &error) == LIBKDUMP_OK && done == 0);
}

/* Page by page, as a capture kernel writes: a page that cannot be read is zeros and is counted. */
static unsigned capture(const struct libkdump_view *view, unsigned char *file)
{
    unsigned lost = 0;
    for (uint64_t at = 0; at < view->file_size; at += PAGE) {
        size_t done = 0;
        if (libkdump_view_read(view, at, file + at, PAGE, &done, &error) == LIBKDUMP_OK)
            continue;
        CHECK(error.code == LIBKDUMP_ERR_CALLBACK && error.address == broken);
        for (size_t i = 0; i < PAGE; i++)
            file[at + i] = 0;
        lost++;
    }
    return lost;
}

/* The registers of the first CPU are gone and so is a page of memory: the rest is not. */
static void check_capture(size_t len, uint64_t need)
{
    static unsigned char file[16 * PAGE];
    struct libkdump_view view = { .size = sizeof view };
    struct libkdump_note note = { .size = sizeof note };
    uint64_t cursor = 0;
    unsigned calls = 0;

    for (size_t i = 0; i < 4; i++)
        old_memory[NOTES + 4 + i] = 0xff;
    broken = RAM;
    CHECK(libkdump_view_init(&view, elfcorehdr, len, PAGE, workspace, need, read_old, &calls, &error)
          == LIBKDUMP_OK);
    CHECK(view.damaged_notes == 1 && view.first_damaged == 0);
    CHECK(view.first_damage == LIBKDUMP_ERR_TRUNCATED);
    CHECK(view.file_size <= sizeof file && capture(&view, file) == 1);
    CHECK(libkdump_note_next(file + PAGE, PAGE, LIBKDUMP_ENDIAN_LITTLE, 0, &cursor, &note, &error)
          == LIBKDUMP_OK);
    CHECK(note.n_type == LIBKDUMP_NT_PRSTATUS);
    CHECK(libkdump_note_next(file + PAGE, PAGE, LIBKDUMP_ENDIAN_LITTLE, 0, &cursor, &note, &error)
          == LIBKDUMP_END);
    CHECK(file[2 * PAGE + 5] == old_memory[BACKUP + 5] && file[3 * PAGE + 5] == 0);
    CHECK(file[4 * PAGE + 5] == old_memory[RAM + PAGE + 5]);
}

/* Called by _start with an aligned stack. */
__attribute__((used)) static void run(void)
{
    struct libkdump_view view = { .size = sizeof view };
    unsigned calls = 0;
    uint64_t need = 0;
    size_t len;

    for (size_t i = 0; i < OLD_SIZE; i++)
        old_memory[i] = (unsigned char)(i * 7 + i / PAGE);
    write_notes();
    len = encode();
    CHECK(libkdump_view_workspace_size(elfcorehdr, len, PAGE, &need, &error) == LIBKDUMP_OK);
    CHECK(need <= sizeof workspace);
    CHECK(libkdump_view_init(&view, elfcorehdr, len, PAGE, workspace, need, read_old, &calls, &error)
          == LIBKDUMP_OK);
    CHECK(view.phnum == 3 && view.damaged_notes == 0);
    check_view(&view, &calls);
    check_capture(len, need);
    CHECK(libkdump_version() == LIBKDUMP_VERSION);
    leave(0);
}

__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tand $-16, %rsp\n\tcall run\n");
