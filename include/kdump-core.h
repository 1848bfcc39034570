/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * libkdump: the part that needs no allocator and no operating system.
 *
 * Conventions of this header and of kdump.h:
 *
 * - A function that can fail returns LIBKDUMP_OK (0) or a negative LIBKDUMP_ERR_ code; one that
 *   takes an index or a cursor and iterates returns LIBKDUMP_END (1) behind the last element, and
 *   then writes nothing; one that saves returns LIBKDUMP_LACKING (2) when it has saved what there is
 *   and the source lacked something.
 * - Of the codes every function may give, those listed with each are the ones besides these:
 *   LIBKDUMP_ERR_INVALID and LIBKDUMP_ERR_ABI for what it was given, LIBKDUMP_ERR_NO_MEMORY,
 *   LIBKDUMP_ERR_PANIC and LIBKDUMP_ERR_POISONED.
 * - Results go through the last parameters and are written on success only. Reads also tell on
 *   failure how many bytes are good.
 * - `error` is the caller's, may be NULL, and is written on failure only.
 * - Structures begin with `size`, set by the caller to sizeof, but for those that never grow:
 *   libkdump_phdr, libkdump_extent and libkdump_kexec_segment. What the caller's structure has and
 *   the library does not know must be zero; what the library has and the caller does not know
 *   counts as zero. A size that no version had gives LIBKDUMP_ERR_ABI, a flag that is not known
 *   LIBKDUMP_ERR_INVALID. There is no padding: of one structure only the pointers differ between
 *   machines.
 * - Texts given to the library end with a NUL. Pointers given are used during the call only, unless
 *   the function says otherwise, and must be aligned. Buffers must not overlap; those that are
 *   filled need not be initialised and may be cleared where less than all of them is used.
 * - Pointers in results are lent, never to be freed: they live as long as the handle or buffer they
 *   came from.
 * - Handles are freed by the function named after them, which takes NULL. Any number of threads may
 *   use a handle at the same time; freeing it needs it alone. After fork() both processes may use it.
 *   A pointer to something else, or to a handle that was freed, mostly gives LIBKDUMP_ERR_INVALID
 *   and is not freed again; memory that was given to someone else since cannot be told.
 * - Nothing is printed, no signal is handled, no environment variable is read, no thread is started
 *   unless asked for, by `threads` or by several files to save into. Callbacks must return, not longjmp or throw.
 * - Without memory a call gives LIBKDUMP_ERR_NO_MEMORY. One process has 1 MiB set aside for the small
 *   allocations of calls that run out of it; a call that would need more of these than that ends the
 *   process by abort(), with a line on standard error: the one time that something is printed. So may
 *   a call that starts threads when there is no memory for one, for what it takes to start one is not
 *   the library's to set aside.
 * - The manual page of a function says in which version it appeared. One that is to be avoided is
 *   declared with LIBKDUMP_DEPRECATED and keeps working.
 *
 * Made from the Rust sources by `cargo xtask header`; changes go there.
 */

#ifndef LIBKDUMP_CORE_H
#define LIBKDUMP_CORE_H

#include <stddef.h>
#include <stdint.h>

/** Marks a function that a newer one replaces. */
#if defined(__GNUC__) || defined(__clang__)
#define LIBKDUMP_DEPRECATED(text) __attribute__((deprecated(text)))
#else
#define LIBKDUMP_DEPRECATED(text)
#endif

/**
 * An architecture the library does not know.
 */
#define LIBKDUMP_ARCH_UNKNOWN 0

/**
 * x86, 64-bit.
 */
#define LIBKDUMP_ARCH_X86_64 1

/**
 * x86, 32-bit.
 */
#define LIBKDUMP_ARCH_I386 2

/**
 * ARM, 64-bit.
 */
#define LIBKDUMP_ARCH_ARM64 3

/**
 * ARM, 32-bit.
 */
#define LIBKDUMP_ARCH_ARM 4

/**
 * PowerPC, 64-bit, either byte order.
 */
#define LIBKDUMP_ARCH_PPC64 5

/**
 * PowerPC, 32-bit.
 */
#define LIBKDUMP_ARCH_PPC32 6

/**
 * RISC-V, 64-bit.
 */
#define LIBKDUMP_ARCH_RISCV64 7

/**
 * IBM Z, 64-bit.
 */
#define LIBKDUMP_ARCH_S390X 8

/**
 * LoongArch, 64-bit.
 */
#define LIBKDUMP_ARCH_LOONGARCH64 9

/**
 * Done.
 */
#define LIBKDUMP_OK 0

/**
 * Nothing more to come; returned by functions that iterate. Not an error.
 */
#define LIBKDUMP_END 1

/**
 * Done, and what it was done to lacked something, which the call says; returned by
 * libkdump_dump_save(). Not an error.
 */
#define LIBKDUMP_LACKING 2

/**
 * A parameter is NULL, senseless or not UTF-8.
 */
#define LIBKDUMP_ERR_INVALID -4097

/**
 * The size field of a structure is not set, or a field is used that this version does not
 * know.
 */
#define LIBKDUMP_ERR_ABI -4098

/**
 * The buffer is too small; `need` of the error says how many bytes it takes.
 */
#define LIBKDUMP_ERR_BUFFER -4099

/**
 * Memory could not be allocated.
 */
#define LIBKDUMP_ERR_NO_MEMORY -4100

/**
 * A defect of the library was caught. The handle, if there is one, can only be freed.
 */
#define LIBKDUMP_ERR_PANIC -4101

/**
 * An earlier call on the handle ended with `LIBKDUMP_ERR_PANIC`.
 */
#define LIBKDUMP_ERR_POISONED -4102

/**
 * Understood, but this build or version cannot do it.
 */
#define LIBKDUMP_ERR_UNSUPPORTED -4103

/**
 * The operating system failed; `os_errno` says how.
 */
#define LIBKDUMP_ERR_IO -4104

/**
 * A value in the input cannot be right.
 */
#define LIBKDUMP_ERR_CORRUPT -4105

/**
 * The input ends too early.
 */
#define LIBKDUMP_ERR_TRUNCATED -4106

/**
 * The memory was filtered out when the dump was written.
 */
#define LIBKDUMP_ERR_EXCLUDED -4107

/**
 * The address is not RAM.
 */
#define LIBKDUMP_ERR_HOLE -4108

/**
 * The virtual address is not mapped or cannot be translated.
 */
#define LIBKDUMP_ERR_NOT_MAPPED -4109

/**
 * There is no such key, register, symbol or element.
 */
#define LIBKDUMP_ERR_NOT_FOUND -4110

/**
 * A value does not fit where it must go, or passes a limit.
 */
#define LIBKDUMP_ERR_TOO_LARGE -4111

/**
 * The kernel would refuse the plan, or did; or a file or device is not written, because that
 * would destroy something.
 */
#define LIBKDUMP_ERR_REFUSED -4112

/**
 * The caller's progress function asked to stop.
 */
#define LIBKDUMP_ERR_CANCELLED -4113

/**
 * A callback of the caller failed; `os_errno` is what it returned.
 */
#define LIBKDUMP_ERR_CALLBACK -4114

/**
 * The file is in no format the library knows.
 */
#define LIBKDUMP_ERR_FORMAT -4115

/**
 * `p_type` of a segment that is memory.
 */
#define LIBKDUMP_PT_LOAD 1

/**
 * `p_type` of a segment of notes.
 */
#define LIBKDUMP_PT_NOTE 4

/**
 * `p_flags` read, write and execute together, as dumps mark all memory.
 */
#define LIBKDUMP_PF_RWX 7

/**
 * `flags` of struct libkdump_elf_params: the header begins a core file. 65535 and more
 * program headers are then allowed (PN_XNUM), which an elfcorehdr cannot have.
 */
#define LIBKDUMP_ELF_FILE 1

/**
 * 32-bit ELF.
 */
#define LIBKDUMP_CLASS_ELF32 1

/**
 * 64-bit ELF.
 */
#define LIBKDUMP_CLASS_ELF64 2

/**
 * Least significant byte first.
 */
#define LIBKDUMP_ENDIAN_LITTLE 1

/**
 * Most significant byte first.
 */
#define LIBKDUMP_ENDIAN_BIG 2

/**
 * `flags` of an error: `address` is set.
 */
#define LIBKDUMP_ERROR_ADDRESS 1

/**
 * `flags` of an error: `offset` is set.
 */
#define LIBKDUMP_ERROR_OFFSET 2

/**
 * `flags` of an error: `pfn` is set.
 */
#define LIBKDUMP_ERROR_PFN 4

/**
 * `flags` of an error: `need` is set.
 */
#define LIBKDUMP_ERROR_NEED 8

/**
 * Bytes of `message`, the NUL included.
 */
#define LIBKDUMP_MESSAGE_SIZE 256

/**
 * `n_type` of a CPU's registers, name "CORE".
 */
#define LIBKDUMP_NT_PRSTATUS 1

/**
 * `n_type` of the VMCOREINFO text, name "VMCOREINFO".
 */
#define LIBKDUMP_NT_VMCOREINFO 0

/**
 * Bytes of a register's name, the NUL included.
 */
#define LIBKDUMP_REGISTER_NAME_SIZE 24

/**
 * Major version of this header.
 */
#define LIBKDUMP_VERSION_MAJOR 0

/**
 * Minor version of this header.
 */
#define LIBKDUMP_VERSION_MINOR 1

/**
 * Patch version of this header.
 */
#define LIBKDUMP_VERSION_PATCH 0

/**
 * The version of this header as libkdump_version() would return it.
 */
#define LIBKDUMP_VERSION 256

/**
 * `SYMBOL(name)`: a virtual address.
 */
#define LIBKDUMP_VMCOREINFO_SYMBOL 1

/**
 * `SIZE(name)`: bytes of a structure.
 */
#define LIBKDUMP_VMCOREINFO_SIZE 2

/**
 * `OFFSET(structure.field)`: bytes.
 */
#define LIBKDUMP_VMCOREINFO_OFFSET 3

/**
 * `LENGTH(name)`: elements of an array.
 */
#define LIBKDUMP_VMCOREINFO_LENGTH 4

/**
 * `NUMBER(name)`: a signed number, its bits in a uint64_t.
 */
#define LIBKDUMP_VMCOREINFO_NUMBER 5

/**
 * Why a call failed. Set `size` to `sizeof` and pass a pointer, or pass NULL: the code is
 * returned in any case. Written on failure only; nothing in it needs to be freed.
 *
 * A structure that cannot be one is not written either, and no other code is returned for it: one whose
 * `size` is below that of the first version (304 bytes) or above 4096, or that is not aligned. Who zeroes
 * it first sees from `code`, which is never 0 on failure, that it was left alone.
 */
struct libkdump_error {
    /**
     * `sizeof (struct libkdump_error)`, set by the caller.
     */
    uint32_t size;
    /**
     * The code that was returned.
     */
    int32_t code;
    /**
     * `errno` with LIBKDUMP_ERR_IO and with LIBKDUMP_ERR_REFUSED by the kernel, the callback's value with
     * LIBKDUMP_ERR_CALLBACK, else 0.
     */
    int32_t os_errno;
    /**
     * Which of the following are set: LIBKDUMP_ERROR_ADDRESS and so on.
     */
    uint32_t flags;
    /**
     * Physical or virtual address, as the call takes it.
     */
    uint64_t address;
    /**
     * Offset in the file or buffer, in bytes.
     */
    uint64_t offset;
    /**
     * Page frame number.
     */
    uint64_t pfn;
    /**
     * Bytes (or elements) that would have been enough.
     */
    uint64_t need;
    /**
     * What happened, in English, without full stop or newline, ended by a NUL. A message
     * that had to be cut ends with "...".
     */
    char message[LIBKDUMP_MESSAGE_SIZE];
};

/**
 * What follows from an architecture alone.
 */
struct libkdump_arch_info {
    /**
     * `sizeof (struct libkdump_arch_info)`, set by the caller.
     */
    uint32_t size;
    /**
     * LIBKDUMP_ARCH_ number.
     */
    uint32_t arch;
    /**
     * Native ELF class.
     */
    uint32_t elf_class;
    /**
     * Usual byte order.
     */
    uint32_t endian;
    /**
     * `e_machine` of its ELF files.
     */
    uint32_t e_machine;
    /**
     * Bytes of `struct elf_prstatus`.
     */
    uint32_t prstatus_size;
    /**
     * Bytes a CPU's crash note needs, final null note included.
     */
    uint32_t crash_note_size;
    /**
     * Zero.
     */
    uint32_t reserved;
};

/**
 * What an ELF core header is to be.
 */
struct libkdump_elf_params {
    /**
     * `sizeof (struct libkdump_elf_params)`, set by the caller.
     */
    uint32_t size;
    /**
     * LIBKDUMP_CLASS_ELF32 or LIBKDUMP_CLASS_ELF64.
     */
    uint32_t elf_class;
    /**
     * LIBKDUMP_ENDIAN_LITTLE or LIBKDUMP_ENDIAN_BIG.
     */
    uint32_t endian;
    /**
     * `e_machine`, for example 62 for x86_64 (libkdump_arch_get_info()).
     */
    uint32_t e_machine;
    /**
     * How many program headers there will be.
     */
    uint32_t phnum;
    /**
     * 0 or LIBKDUMP_ELF_FILE.
     */
    uint32_t flags;
};

/**
 * An ELF program header with the names of elf(5), widened to 64 bits.
 *
 * It never grows, so it has no size field and arrays of it are plain arrays. In an
 * elfcorehdr `p_offset` is a physical address of the dead kernel's memory.
 */
struct libkdump_phdr {
    uint32_t p_type;
    uint32_t p_flags;
    uint64_t p_offset;
    uint64_t p_vaddr;
    uint64_t p_paddr;
    uint64_t p_filesz;
    uint64_t p_memsz;
    uint64_t p_align;
};

/**
 * What an ELF core header says.
 */
struct libkdump_elf_header {
    /**
     * `sizeof (struct libkdump_elf_header)`, set by the caller.
     */
    uint32_t size;
    /**
     * LIBKDUMP_CLASS_ELF32 or LIBKDUMP_CLASS_ELF64.
     */
    uint32_t elf_class;
    /**
     * LIBKDUMP_ENDIAN_LITTLE or LIBKDUMP_ENDIAN_BIG.
     */
    uint32_t endian;
    /**
     * `e_type`; 4 is a core.
     */
    uint32_t e_type;
    /**
     * `e_machine`.
     */
    uint32_t e_machine;
    /**
     * LIBKDUMP_ARCH_ number, LIBKDUMP_ARCH_UNKNOWN for others.
     */
    uint32_t arch;
    /**
     * The number of program headers, the extended one where the file uses PN_XNUM.
     */
    uint32_t phnum;
    /**
     * `e_flags`.
     */
    uint32_t e_flags;
    /**
     * Offset of the first program header.
     */
    uint64_t e_phoff;
};

/**
 * One note. The pointers lead into the buffer or handle it was read from and live as long.
 */
struct libkdump_note {
    /**
     * `sizeof (struct libkdump_note)`, set by the caller.
     */
    uint32_t size;
    /**
     * `n_type`; its meaning depends on the name.
     */
    uint32_t n_type;
    /**
     * Where the note header begins, in bytes from the start of the buffer.
     */
    uint64_t offset;
    /**
     * Bytes of `name`; there may be no NUL behind them.
     */
    uint64_t name_len;
    /**
     * Bytes of `desc`.
     */
    uint64_t desc_len;
    /**
     * The name.
     */
    const void *name;
    /**
     * The descriptor.
     */
    const void *desc;
};

/**
 * One register.
 */
struct libkdump_register {
    /**
     * `sizeof (struct libkdump_register)`, set by the caller.
     */
    uint32_t size;
    /**
     * Its place in `pr_reg`, from 0.
     */
    uint32_t index;
    /**
     * Its value, zero-extended.
     */
    uint64_t value;
    /**
     * The kernel's name for it, for example "rip", ended by a NUL.
     */
    char name[LIBKDUMP_REGISTER_NAME_SIZE];
};

/**
 * Reads memory: fill all `len` bytes of `buf` from the physical address `paddr` on and
 * return 0, or return anything else to fail. May be called on any thread, and by several at
 * once where the view or dump is used by several. Must not longjmp or throw out of the call.
 */
typedef int (*libkdump_read_fn)(void *user, uint64_t paddr, void *buf, size_t len);

/**
 * A view of old memory as an ELF core. Set up by libkdump_view_init(); the caller owns it and
 * only reads the fields with a comment. Nothing needs to be freed. Any number of threads may
 * read through one view if the callback allows it.
 */
struct libkdump_view {
    /**
     * `sizeof (struct libkdump_view)`, set by the caller.
     */
    uint32_t size;
    /**
     * Number of program headers of the view: the notes and one per range of memory.
     */
    uint32_t phnum;
    /**
     * How many of the PT_NOTEs are damaged or could not be read as a whole; whatever could be
     * read of them, and all others, are kept.
     */
    uint32_t damaged_notes;
    /**
     * PT_NOTEs of the elfcorehdr.
     */
    uint32_t note_phdrs;
    /**
     * Bytes of the whole file.
     */
    uint64_t file_size;
    /**
     * Where the first page of memory begins.
     */
    uint64_t memory_offset;
    /**
     * Page size of the view.
     */
    uint64_t page_size;
    /**
     * Bytes of `elfcorehdr`.
     */
    uint64_t elfcorehdr_len;
    /**
     * The caller's elfcorehdr.
     */
    const void *elfcorehdr;
    /**
     * The caller's workspace, `memory_offset` bytes of it in use.
     */
    const void *workspace;
    /**
     * The caller's callback.
     */
    libkdump_read_fn read;
    /**
     * Its first argument.
     */
    void *user;
    /**
     * Index in the elfcorehdr of the first damaged PT_NOTE; 0 when none is.
     */
    uint32_t first_damaged;
    /**
     * What is wrong with it: LIBKDUMP_ERR_CORRUPT for its program header,
     * LIBKDUMP_ERR_CALLBACK when it could not be read, LIBKDUMP_ERR_TRUNCATED for a note; 0
     * when none is damaged.
     */
    int32_t first_damage;
};

/**
 * The file that the capture kernel exports.
 */
struct libkdump_vmcore_layout {
    /**
     * `sizeof (struct libkdump_vmcore_layout)`, set by the caller.
     */
    uint32_t size;
    /**
     * Number of program headers of the exported file.
     */
    uint32_t phnum;
    /**
     * Bytes of the whole file.
     */
    uint64_t file_size;
    /**
     * Where the notes begin.
     */
    uint64_t notes_offset;
    /**
     * Where the first page of memory begins.
     */
    uint64_t memory_offset;
};

/**
 * One program header of the exported file and the old memory behind it.
 */
struct libkdump_vmcore_phdr {
    /**
     * `sizeof (struct libkdump_vmcore_phdr)`, set by the caller.
     */
    uint32_t size;
    /**
     * Zero.
     */
    uint32_t reserved;
    /**
     * The program header; `p_offset` is a file offset.
     */
    struct libkdump_phdr phdr;
    /**
     * File offset of the first whole page; 0 for the notes.
     */
    uint64_t extent_offset;
    /**
     * Physical address that page is read from; 0 for the notes.
     */
    uint64_t extent_paddr;
    /**
     * Bytes of all pages; 0 for the notes.
     */
    uint64_t extent_size;
};

/**
 * One `KEY=VALUE` line. The pointers lead into the text and live as long.
 */
struct libkdump_vmcoreinfo_entry {
    /**
     * `sizeof (struct libkdump_vmcoreinfo_entry)`, set by the caller.
     */
    uint32_t size;
    /**
     * Zero.
     */
    uint32_t reserved;
    /**
     * Bytes of `key`; there is no NUL behind them.
     */
    uint64_t key_len;
    /**
     * Bytes of `value`; there is no NUL behind them.
     */
    uint64_t value_len;
    /**
     * What stands in front of the `=`.
     */
    const void *key;
    /**
     * What stands behind it.
     */
    const void *value;
};

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The name of an architecture, for example "x86_64".
 *
 * Parameters: `arch` a LIBKDUMP_ARCH_ constant. Returns a text that is valid forever, or
 * NULL when there is no such architecture.
 */
const char *libkdump_arch_name(uint32_t arch);

/**
 * The architecture with a name.
 *
 * Parameters: `name` as libkdump_arch_name() spells it; `arch` receives the number; `error`
 * may be NULL. Errors: LIBKDUMP_ERR_NOT_FOUND.
 */
int libkdump_arch_from_name(const char *name, uint32_t *arch, struct libkdump_error *error);

/**
 * What follows from an architecture alone: word size, byte order, sizes of its notes.
 *
 * Parameters: `arch` a LIBKDUMP_ARCH_ constant; `out` receives the facts; `error` may be
 * NULL. Errors: LIBKDUMP_ERR_INVALID when there is no such architecture.
 */
int libkdump_arch_get_info(uint32_t arch, struct libkdump_arch_info *out, struct libkdump_error *error);

/**
 * Says what a return value means, in English, for example "the address is not RAM".
 *
 * Parameters: `code` any number. Returns a text that is valid forever; never NULL.
 */
const char *libkdump_strerror(int code);

/**
 * Fills a CPU's `crash_notes` buffer: one NT_PRSTATUS note and the null note that ends it.
 *
 * Takes no lock and no memory. Whoever reads the buffer meanwhile finds no note or a whole
 * one. Writing again replaces the note.
 *
 * Parameters: `buf` and `len` the buffer, which holds something already, at least `crash_note_size`
 * of libkdump_arch_get_info(); `arch` a LIBKDUMP_ARCH_ constant; `endian` the byte order; `pid`
 * the task that runs; `regs` and `nregs` the registers in the order of `pr_reg`
 * (libkdump_register_index()), of which missing ones are zero; `written` (may be NULL)
 * receives the bytes written; `error` may be NULL. Errors: LIBKDUMP_ERR_BUFFER,
 * LIBKDUMP_ERR_INVALID for more registers than there are; the buffer is then as it was or
 * holds no note.
 */
int libkdump_crash_note_write(void *buf,
                              size_t len,
                              uint32_t arch,
                              uint32_t endian,
                              int32_t pid,
                              const uint64_t *regs,
                              size_t nregs,
                              size_t *written,
                              struct libkdump_error *error);

/**
 * How many bytes the header takes; known before a byte is written.
 *
 * Parameters: `params` what it is to be; `bytes` receives the size; `error` may be NULL.
 * Errors: LIBKDUMP_ERR_INVALID, LIBKDUMP_ERR_TOO_LARGE for 65535 or more program headers
 * without LIBKDUMP_ELF_FILE.
 */
int libkdump_elfcorehdr_size(const struct libkdump_elf_params *params,
                             uint64_t *bytes,
                             struct libkdump_error *error);

/**
 * Writes the header and its program headers.
 *
 * Parameters: `params` what it is to be; `phdrs` an array of `params->phnum` program headers;
 * `buf` and `len` the buffer, which keeps no reference; `written` (may be NULL) receives the
 * size; `error` may be NULL. Errors: those of libkdump_elfcorehdr_size(), LIBKDUMP_ERR_BUFFER
 * with `need`, LIBKDUMP_ERR_TOO_LARGE when a value does not fit ELF32.
 */
int libkdump_elfcorehdr_encode(const struct libkdump_elf_params *params,
                               const struct libkdump_phdr *phdrs,
                               void *buf,
                               size_t len,
                               uint64_t *written,
                               struct libkdump_error *error);

/**
 * Reads the header of an elfcorehdr or core file.
 *
 * Parameters: `buf` and `len` the bytes from the start of the file on, which must hold the
 * whole table of program headers; `out` receives the header; `error` may be NULL. Errors:
 * LIBKDUMP_ERR_TRUNCATED with offset and `need`, LIBKDUMP_ERR_CORRUPT naming the field.
 */
int libkdump_elfcorehdr_parse(const void *buf,
                              size_t len,
                              struct libkdump_elf_header *out,
                              struct libkdump_error *error);

/**
 * Reads one program header of an elfcorehdr or core file.
 *
 * Parameters: `buf` and `len` as for libkdump_elfcorehdr_parse(); `index` from 0; `out`
 * receives the program header; `error` may be NULL. Returns LIBKDUMP_END behind the last. Errors:
 * those of libkdump_elfcorehdr_parse().
 */
int libkdump_elfcorehdr_phdr(const void *buf,
                             size_t len,
                             uint32_t index,
                             struct libkdump_phdr *out,
                             struct libkdump_error *error);

/**
 * Reads the next note of a buffer.
 *
 * Parameters: `buf` and `len` the notes; `endian` their byte order; `align` the `p_align` of
 * the PT_NOTE, 0 and 4 being what Linux writes; `cursor` is 0 for the first call and is
 * advanced; `out` receives the note; `error` may be NULL. Returns LIBKDUMP_END behind the
 * last note. After an error, where the next note would begin is unknown: the call after it
 * returns LIBKDUMP_END. Errors: LIBKDUMP_ERR_TRUNCATED with the offset of the note.
 */
int libkdump_note_next(const void *buf,
                       size_t len,
                       uint32_t endian,
                       uint64_t align,
                       uint64_t *cursor,
                       struct libkdump_note *out,
                       struct libkdump_error *error);

/**
 * Bytes that a note takes, padded to 4.
 *
 * Parameters: `name_len` the length of the name without NUL; `desc_len` that of the
 * descriptor.
 */
uint64_t libkdump_note_size(size_t name_len, size_t desc_len);

/**
 * Writes one note, padded to 4.
 *
 * Parameters: `buf` and `len` the buffer; `endian` the byte order; `name` the name; `n_type`
 * the type; `desc` and `desc_len` the descriptor; `written` (may be NULL) receives the padded
 * size; `error` may be NULL. Errors: LIBKDUMP_ERR_BUFFER with `need`.
 */
int libkdump_note_write(void *buf,
                        size_t len,
                        uint32_t endian,
                        const char *name,
                        uint32_t n_type,
                        const void *desc,
                        size_t desc_len,
                        size_t *written,
                        struct libkdump_error *error);

/**
 * The registers one after the other.
 *
 * Parameters: `desc` and `desc_len` the descriptor of an NT_PRSTATUS note; `arch` a
 * LIBKDUMP_ARCH_ constant; `endian` the byte order; `index` from 0; `out` receives the
 * register; `error` may be NULL. Returns LIBKDUMP_END behind the last. Errors:
 * LIBKDUMP_ERR_TRUNCATED when the descriptor is too short.
 */
int libkdump_prstatus_register_at(const void *desc,
                                  size_t desc_len,
                                  uint32_t arch,
                                  uint32_t endian,
                                  uint32_t index,
                                  struct libkdump_register *out,
                                  struct libkdump_error *error);

/**
 * One register by its name.
 *
 * Parameters: `desc`, `desc_len`, `arch` and `endian` as for libkdump_prstatus_register_at();
 * `name` the kernel's name, for example "rip", "pc" or "gpr1"; `value` receives it; `error`
 * may be NULL. Errors: LIBKDUMP_ERR_NOT_FOUND, LIBKDUMP_ERR_TRUNCATED.
 */
int libkdump_prstatus_register(const void *desc,
                               size_t desc_len,
                               uint32_t arch,
                               uint32_t endian,
                               const char *name,
                               uint64_t *value,
                               struct libkdump_error *error);

/**
 * The task that ran on the CPU, 0 when it was idle.
 *
 * Parameters: `desc`, `desc_len`, `arch` and `endian` as for libkdump_prstatus_register_at();
 * `pid` receives the number; `error` may be NULL. Errors: LIBKDUMP_ERR_TRUNCATED.
 */
int libkdump_prstatus_pid(const void *desc,
                          size_t desc_len,
                          uint32_t arch,
                          uint32_t endian,
                          int32_t *pid,
                          struct libkdump_error *error);

/**
 * The place of a register in `pr_reg`, which is its index in the array that
 * libkdump_crash_note_write() takes.
 *
 * Parameters: `arch` a LIBKDUMP_ARCH_ constant; `name` the kernel's name; `index` receives
 * the place; `error` may be NULL. Errors: LIBKDUMP_ERR_NOT_FOUND.
 */
int libkdump_register_index(uint32_t arch, const char *name, uint32_t *index, struct libkdump_error *error);

/**
 * The version of the library that is running: major << 16 | minor << 8 | patch.
 *
 * Compare it with LIBKDUMP_VERSION, the version of the header.
 */
uint32_t libkdump_version(void);

/**
 * The version of the library that is running as a text, for example "0.1.0".
 *
 * Valid forever; never NULL.
 */
const char *libkdump_version_string(void);

/**
 * How large a workspace libkdump_view_init() needs: the header and all notes, in whole pages.
 *
 * Parameters: `elfcorehdr` and `len` the header the capture kernel was given; `page_size` that
 * of the view; `bytes` receives the size, of which at most 32 MiB are for notes; `error` may be
 * NULL. Errors: LIBKDUMP_ERR_CORRUPT or LIBKDUMP_ERR_TRUNCATED for a header that gives no view,
 * LIBKDUMP_ERR_TOO_LARGE for one whose file would not fit 64 bits.
 */
int libkdump_view_workspace_size(const void *elfcorehdr,
                                 size_t len,
                                 uint64_t page_size,
                                 uint64_t *bytes,
                                 struct libkdump_error *error);

/**
 * Builds a view: reads all notes through the callback and merges them. Notes that cannot be
 * read or are damaged are no failure: they are counted in `damaged_notes`. When all PT_NOTEs
 * together say they have more than 32 MiB, each is cut to the same share of it.
 *
 * Parameters: `view` is filled; `elfcorehdr` and `len` the header, which must live as long as
 * the view; `page_size` that of the view; `workspace` and `workspace_len` memory that must live
 * as long as the view; `read` and `user` the callback; `error` may be NULL. Errors: those of
 * libkdump_view_workspace_size(), LIBKDUMP_ERR_CORRUPT also for ranges of memory that contradict
 * each other, LIBKDUMP_ERR_BUFFER with `need`.
 */
int libkdump_view_init(struct libkdump_view *view,
                       const void *elfcorehdr,
                       size_t len,
                       uint64_t page_size,
                       void *workspace,
                       size_t workspace_len,
                       libkdump_read_fn read,
                       void *user,
                       struct libkdump_error *error);

/**
 * Reads from the view as from a file.
 *
 * Parameters: `view` set up by libkdump_view_init(); `offset` in bytes from the start of the
 * file; `buf` and `len` the buffer; `done` receives the bytes read, on failure those before
 * the failure; `error` may be NULL. Fewer bytes than asked for and LIBKDUMP_OK mean the end of
 * the file. Errors: LIBKDUMP_ERR_CALLBACK with the address.
 */
int libkdump_view_read(const struct libkdump_view *view,
                       uint64_t offset,
                       void *buf,
                       size_t len,
                       size_t *done,
                       struct libkdump_error *error);

/**
 * Predicts the size and layout of /proc/vmcore.
 *
 * Parameters: `elfcorehdr` and `len` the header as it will be loaded; `page_size` that of the
 * capture kernel; `notes_len` the true length of all notes together in bytes; `out` receives
 * the layout; `error` may be NULL. Errors: LIBKDUMP_ERR_CORRUPT naming what the kernel would
 * refuse or garble, LIBKDUMP_ERR_TRUNCATED.
 */
int libkdump_vmcore_get_layout(const void *elfcorehdr,
                               size_t len,
                               uint64_t page_size,
                               uint64_t notes_len,
                               struct libkdump_vmcore_layout *out,
                               struct libkdump_error *error);

/**
 * One program header of the predicted file. Takes time proportional to `index`.
 *
 * Parameters: as for libkdump_vmcore_get_layout(); `index` from 0, the merged notes first.
 * Returns LIBKDUMP_END behind the last. Errors: those of libkdump_vmcore_get_layout().
 */
int libkdump_vmcore_get_phdr(const void *elfcorehdr,
                             size_t len,
                             uint64_t page_size,
                             uint64_t notes_len,
                             uint32_t index,
                             struct libkdump_vmcore_phdr *out,
                             struct libkdump_error *error);

/**
 * The next `KEY=VALUE` line of a text.
 *
 * Parameters: `text` and `len` the text, which ends at the first NUL; `cursor` is 0 for the
 * first call and is advanced; `out` receives the line; `error` may be NULL. Lines that are
 * not UTF-8 or have no `=` are left out. Returns LIBKDUMP_END behind the last line.
 */
int libkdump_vmcoreinfo_next(const void *text,
                             size_t len,
                             uint64_t *cursor,
                             struct libkdump_vmcoreinfo_entry *out,
                             struct libkdump_error *error);

/**
 * The value of a key as text, for example of "OSRELEASE".
 *
 * Parameters: `text` and `len` the text; `key` what stands in front of the `=`; `buf` and
 * `buf_len` receive the value and a NUL; `value_len` (may be NULL) receives its length without
 * NUL, also when the buffer is too small; `error` may be NULL. Where a key stands twice the
 * last one counts. Errors: LIBKDUMP_ERR_NOT_FOUND, LIBKDUMP_ERR_BUFFER with `need`.
 */
int libkdump_vmcoreinfo_get(const void *text,
                            size_t len,
                            const char *key,
                            char *buf,
                            size_t buf_len,
                            size_t *value_len,
                            struct libkdump_error *error);

/**
 * A number of one of the forms `SYMBOL(name)`, `SIZE(name)`, `OFFSET(name)`, `LENGTH(name)`,
 * `NUMBER(name)`.
 *
 * Parameters: `text` and `len` the text; `kind` a LIBKDUMP_VMCOREINFO_ constant; `name` what
 * stands in the parentheses; `value` receives the number; `error` may be NULL. Errors:
 * LIBKDUMP_ERR_NOT_FOUND when it is missing or no number.
 */
int libkdump_vmcoreinfo_value(const void *text,
                              size_t len,
                              uint32_t kind,
                              const char *name,
                              uint64_t *value,
                              struct libkdump_error *error);

/**
 * Appends a line `key=value`.
 *
 * Parameters: `buf` and `capacity` the buffer of the text; `len` its length so far, which is
 * advanced; `key` and `value` the line; `error` may be NULL. A line that does not fit whole
 * is not written. Errors: LIBKDUMP_ERR_BUFFER with `need`; LIBKDUMP_ERR_INVALID for an empty key, one
 * with `=` or a newline, or a value with a newline.
 */
int libkdump_vmcoreinfo_append(void *buf,
                               size_t capacity,
                               size_t *len,
                               const char *key,
                               const char *value,
                               struct libkdump_error *error);

/**
 * Appends a number in one of the forms of libkdump_vmcoreinfo_value().
 *
 * Parameters: `buf`, `capacity` and `len` as for libkdump_vmcoreinfo_append(); `kind` a
 * LIBKDUMP_VMCOREINFO_ constant; `name` what stands in the parentheses; `value` the number;
 * `error` may be NULL. Errors: those of libkdump_vmcoreinfo_append().
 */
int libkdump_vmcoreinfo_append_value(void *buf,
                                     size_t capacity,
                                     size_t *len,
                                     uint32_t kind,
                                     const char *name,
                                     uint64_t value,
                                     struct libkdump_error *error);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* LIBKDUMP_CORE_H */
