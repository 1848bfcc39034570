/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * libkdump: plan, check and load a capture kernel; read and save the memory of a crashed one.
 *
 * The conventions stand at the top of kdump-core.h; docs/C-API.md and libkdump(3) explain them.
 * Made from the Rust sources by `cargo xtask header`; changes go there.
 */

#ifndef LIBKDUMP_H
#define LIBKDUMP_H

#include "kdump-core.h"

/**
 * `fate` of low memory: the capture kernel may use it, and it is not dumped.
 */
#define LIBKDUMP_LOW_NOT_DUMPED 1

/**
 * `fate` of low memory: what is saved from it is dumped, and the capture kernel may use it.
 */
#define LIBKDUMP_LOW_BACKED_UP 2

/**
 * `fate` of low memory: it is dumped where it lies, and the capture kernel does not use it.
 */
#define LIBKDUMP_LOW_AS_IS 3

/**
 * Not known, used by the kernel, or no RAM.
 */
#define LIBKDUMP_USE_OTHER 0

/**
 * Page cache.
 */
#define LIBKDUMP_USE_CACHE 1

/**
 * Page cache with data of a file system.
 */
#define LIBKDUMP_USE_CACHE_PRIVATE 2

/**
 * Memory of processes.
 */
#define LIBKDUMP_USE_USER 3

/**
 * Free.
 */
#define LIBKDUMP_USE_FREE 4

/**
 * Taken out of use after a memory error.
 */
#define LIBKDUMP_USE_HWPOISON 5

/**
 * Given back to a hypervisor.
 */
#define LIBKDUMP_USE_OFFLINE 6

/**
 * `flags` of struct libkdump_crashkernel: `base` is set.
 */
#define LIBKDUMP_CRASHKERNEL_BASE 1

/**
 * `flags` of struct libkdump_crashkernel: the main region goes above the low limit first.
 */
#define LIBKDUMP_CRASHKERNEL_HIGH 2

/**
 * `flags` of struct libkdump_crashkernel: `low` is set; 0 there forbids a low region.
 */
#define LIBKDUMP_CRASHKERNEL_LOW 4

/**
 * `caller_kind` of a record: not known.
 */
#define LIBKDUMP_CALLER_UNKNOWN 0

/**
 * `caller_kind` of a record: `caller` is a thread number.
 */
#define LIBKDUMP_CALLER_THREAD 1

/**
 * `caller_kind` of a record: `caller` is a CPU number.
 */
#define LIBKDUMP_CALLER_CPU 2

/**
 * An ELF core.
 */
#define LIBKDUMP_FORMAT_ELF 1

/**
 * A kdump-compressed dump.
 */
#define LIBKDUMP_FORMAT_KDUMP 2

/**
 * A diskdump.
 */
#define LIBKDUMP_FORMAT_DISKDUMP 3

/**
 * A flattened dump.
 */
#define LIBKDUMP_FORMAT_FLATTENED 4

/**
 * Raw images of memory.
 */
#define LIBKDUMP_FORMAT_RAW 5

/**
 * A format this version has no number for.
 */
#define LIBKDUMP_FORMAT_UNKNOWN 0

/**
 * The registers are in a note alone: libkdump_dump_cpu_source().
 */
#define LIBKDUMP_REGISTERS_NOTE 1

/**
 * The registers are those that the CPU left in its own memory (`crash_notes`), whether or not a
 * note has them too.
 */
#define LIBKDUMP_REGISTERS_CRASH_NOTES 2

/**
 * The registers are of a virtual CPU at the time of the dump, in a note of the hypervisor.
 */
#define LIBKDUMP_REGISTERS_HYPERVISOR 3

/**
 * `flags` of struct libkdump_open_options: memory that was left out of the dump reads as zeros
 * instead of giving LIBKDUMP_ERR_EXCLUDED.
 */
#define LIBKDUMP_OPEN_ZERO_EXCLUDED 1

/**
 * `flags` of struct libkdump_open_options: the file is no dump but a raw image of memory, whose first
 * byte is that of the physical address `raw_base`.
 */
#define LIBKDUMP_OPEN_RAW 2

/**
 * `flags` of struct libkdump_open_options: files are mapped instead of read by system calls, which is
 * the fastest way for files that nobody makes shorter meanwhile: that ends the process with SIGBUS. Only
 * regular files can be mapped, no devices and not /proc/vmcore.
 */
#define LIBKDUMP_OPEN_MMAP 4

/**
 * `flags` of struct libkdump_open_options: nothing is kept between reads.
 */
#define LIBKDUMP_OPEN_NO_CACHE 8

/**
 * Reads ELF cores.
 */
#define LIBKDUMP_FEATURE_READ_ELF 1

/**
 * Reads kdump-compressed dumps.
 */
#define LIBKDUMP_FEATURE_READ_KDUMP 2

/**
 * Reads flattened dumps.
 */
#define LIBKDUMP_FEATURE_READ_FLATTENED 3

/**
 * Reads dumps that are split over several files.
 */
#define LIBKDUMP_FEATURE_READ_SPLIT 4

/**
 * Saves ELF cores.
 */
#define LIBKDUMP_FEATURE_SAVE_ELF 16

/**
 * Saves kdump-compressed dumps.
 */
#define LIBKDUMP_FEATURE_SAVE_KDUMP 17

/**
 * Saves flattened dumps.
 */
#define LIBKDUMP_FEATURE_SAVE_FLATTENED 18

/**
 * Leaves pages out by what they are used for.
 */
#define LIBKDUMP_FEATURE_SAVE_EXCLUDE 19

/**
 * Reads and writes pages in zlib.
 */
#define LIBKDUMP_FEATURE_CODEC_ZLIB 32

/**
 * The same of LZO1X.
 */
#define LIBKDUMP_FEATURE_CODEC_LZO 33

/**
 * The same of Snappy.
 */
#define LIBKDUMP_FEATURE_CODEC_SNAPPY 34

/**
 * The same of Zstandard.
 */
#define LIBKDUMP_FEATURE_CODEC_ZSTD 35

/**
 * Plans a load for an architecture: this number plus its LIBKDUMP_ARCH_ constant.
 */
#define LIBKDUMP_FEATURE_PLAN_ARCH 256

/**
 * List of ranges: memory by kind, crash regions included in the RAM.
 */
#define LIBKDUMP_RANGES_MEMORY 0

/**
 * List of ranges: the map the firmware gave; empty when the kernel does not show it.
 */
#define LIBKDUMP_RANGES_FIRMWARE 1

/**
 * List of ranges: the regions reserved for capture kernels.
 */
#define LIBKDUMP_RANGES_CRASH 2

/**
 * List of ranges: the RAM a dump holds.
 */
#define LIBKDUMP_RANGES_DUMP 3

/**
 * List of ranges: memory of crash regions that is shared with movable memory.
 */
#define LIBKDUMP_RANGES_CMA 4

/**
 * List of ranges: graphics apertures.
 */
#define LIBKDUMP_RANGES_GART 5

/**
 * List of ranges: parts of the crash regions that something else claimed; nothing may be loaded
 * there.
 */
#define LIBKDUMP_RANGES_CLAIMED 6

/**
 * `flags` of struct libkdump_machine_info: `vmcoreinfo_paddr` and `vmcoreinfo_size` are set.
 */
#define LIBKDUMP_MACHINE_VMCOREINFO 1

/**
 * `flags` of struct libkdump_machine_info: the fields beginning with `text_` are set.
 */
#define LIBKDUMP_MACHINE_TEXT 2

/**
 * `flags` of struct libkdump_machine_info: `direct_map_base` is set.
 */
#define LIBKDUMP_MACHINE_DIRECT_MAP 4

/**
 * `flags` of struct libkdump_machine_info: `rsdp` is set.
 */
#define LIBKDUMP_MACHINE_RSDP 8

/**
 * `flags` of struct libkdump_machine_info: the kernel tells whether a capture kernel is loaded.
 */
#define LIBKDUMP_MACHINE_LOADED_KNOWN 16

/**
 * `flags` of struct libkdump_machine_info: a capture kernel is loaded.
 */
#define LIBKDUMP_MACHINE_LOADED 32

/**
 * Room for the low memory the purgatory saves.
 */
#define LIBKDUMP_SEGMENT_BACKUP 1

/**
 * The ELF core header.
 */
#define LIBKDUMP_SEGMENT_ELFCOREHDR 2

/**
 * The program that verifies the others.
 */
#define LIBKDUMP_SEGMENT_PURGATORY 3

/**
 * boot_params and the command line.
 */
#define LIBKDUMP_SEGMENT_BOOTPARAMS 4

/**
 * The kernel, or a part of it.
 */
#define LIBKDUMP_SEGMENT_KERNEL 5

/**
 * The initial ramdisk.
 */
#define LIBKDUMP_SEGMENT_INITRD 6

/**
 * setup_data items and the EFI runtime map.
 */
#define LIBKDUMP_SEGMENT_SETUP_DATA 7

/**
 * A device tree.
 */
#define LIBKDUMP_SEGMENT_DTB 8

/**
 * A kind this version has no number for.
 */
#define LIBKDUMP_SEGMENT_UNKNOWN 0

/**
 * Begin with the running kernel's command line, without what only made sense there.
 */
#define LIBKDUMP_PLAN_REUSE_CMDLINE 1

/**
 * Enter a bzImage in 32-bit mode even when it has a 64-bit entry.
 */
#define LIBKDUMP_PLAN_ENTRY_32BIT 2

/**
 * Give the firmware's memory map and describe usable memory on the command line.
 */
#define LIBKDUMP_PLAN_MEMMAP_CMDLINE 4

/**
 * Do not hand EFI over.
 */
#define LIBKDUMP_PLAN_NO_EFI 8

/**
 * Leave room for the kernel to rewrite the elfcorehdr on hot-plug.
 */
#define LIBKDUMP_PLAN_HOTPLUG 16

/**
 * Write an ELF32 core header. Without this and LIBKDUMP_PLAN_ELF64 it is the narrowest of the
 * architecture that holds every address.
 */
#define LIBKDUMP_PLAN_ELF32 32

/**
 * `rng_seed` is entropy for the capture kernel: the same seed gives the same plan, byte for byte.
 */
#define LIBKDUMP_PLAN_SEED 64

/**
 * Take entropy for the capture kernel from /dev/urandom.
 */
#define LIBKDUMP_PLAN_RANDOM_SEED 128

/**
 * Write an ELF64 core header, of i386 as well.
 */
#define LIBKDUMP_PLAN_ELF64 512

/**
 * Let libkdump_plan_load() take the plan although its machine was not collected from "/".
 */
#define LIBKDUMP_PLAN_FOREIGN 256

/**
 * Let the purgatory compute its digest with MMU and caches off, as arm64 enters it; elsewhere they are
 * never off.
 */
#define LIBKDUMP_PLAN_NO_CACHES 512

/**
 * Save low memory only where the running kernel may keep something there.
 */
#define LIBKDUMP_BACKUP_AUTO 0

/**
 * Save low memory always.
 */
#define LIBKDUMP_BACKUP_ALWAYS 1

/**
 * Never save low memory; it is not dumped then.
 */
#define LIBKDUMP_BACKUP_NEVER 2

/**
 * Stop for ever when the digest does not match.
 */
#define LIBKDUMP_MISMATCH_HALT 0

/**
 * Reset the machine when the digest does not match.
 */
#define LIBKDUMP_MISMATCH_RESET 1

/**
 * Enter the capture kernel although the digest does not match.
 */
#define LIBKDUMP_MISMATCH_CONTINUE 2

/**
 * The kernel will not object.
 */
#define LIBKDUMP_VERDICT_PASS 1

/**
 * The kernel will refuse the load, or the capture kernel will not work.
 */
#define LIBKDUMP_VERDICT_FAIL 2

/**
 * What is known does not tell.
 */
#define LIBKDUMP_VERDICT_UNKNOWN 3

/**
 * Usable memory.
 */
#define LIBKDUMP_MEMORY_RAM 1

/**
 * Not for the operating system.
 */
#define LIBKDUMP_MEMORY_RESERVED 2

/**
 * ACPI tables.
 */
#define LIBKDUMP_MEMORY_ACPI 3

/**
 * ACPI non-volatile storage.
 */
#define LIBKDUMP_MEMORY_NVS 4

/**
 * Memory with errors.
 */
#define LIBKDUMP_MEMORY_UNUSABLE 5

/**
 * Persistent memory.
 */
#define LIBKDUMP_MEMORY_PMEM 7

/**
 * Persistent memory as firmware reported it before there was a standard for it.
 */
#define LIBKDUMP_MEMORY_PRAM 12

/**
 * The bytes are in the dump.
 */
#define LIBKDUMP_PAGE_STORED 1

/**
 * RAM that was left out when the dump was written. Later versions add codes that also say
 * why; the range 2 to 63 is theirs.
 */
#define LIBKDUMP_PAGE_EXCLUDED 2

/**
 * No RAM.
 */
#define LIBKDUMP_PAGE_HOLE 64

/**
 * RAM that the dump describes and that lies behind the end of a truncated file.
 */
#define LIBKDUMP_PAGE_MISSING 65

/**
 * RAM that could not be read when the dump was saved, which the dump tells.
 */
#define LIBKDUMP_PAGE_UNREADABLE 66

/**
 * RAM whose place in the file cannot be right.
 */
#define LIBKDUMP_PAGE_CORRUPT 67

/**
 * Zeros, which is known without reading.
 */
#define LIBKDUMP_PAGE_ZERO 68

/**
 * A state this version has no number for.
 */
#define LIBKDUMP_PAGE_UNKNOWN 0

/**
 * `flags` of struct libkdump_save_options: write over a block device even if its first MiB holds
 * something else than zeros or a dump.
 */
#define LIBKDUMP_SAVE_FORCE 1

/**
 * `flags` of struct libkdump_save_options: write the file as a flattened stream, which `makedumpfile -R` and
 * this library put together.
 */
#define LIBKDUMP_SAVE_FLATTEN 2

/**
 * `compression` of struct libkdump_save_options: pages as they are.
 */
#define LIBKDUMP_COMPRESSION_NONE 0

/**
 * zlib, levels 1 to 9.
 */
#define LIBKDUMP_COMPRESSION_ZLIB 1

/**
 * LZO1X.
 */
#define LIBKDUMP_COMPRESSION_LZO 2

/**
 * Snappy.
 */
#define LIBKDUMP_COMPRESSION_SNAPPY 3

/**
 * Zstandard, levels 1 to 22.
 */
#define LIBKDUMP_COMPRESSION_ZSTD 4

/**
 * `exclude` of struct libkdump_save_options, as makedumpfile counts: pages of the page cache.
 */
#define LIBKDUMP_EXCLUDE_CACHE 2

/**
 * All pages of the page cache, also those with data of a file system.
 */
#define LIBKDUMP_EXCLUDE_CACHE_PRIVATE 4

/**
 * Pages of processes.
 */
#define LIBKDUMP_EXCLUDE_USER 8

/**
 * Free pages.
 */
#define LIBKDUMP_EXCLUDE_FREE 16

/**
 * What each page of a machine was used for. Any number of threads may use one at the same time.
 */
struct libkdump_classes;

/**
 * The log of a dead kernel, read out of a dump. It does not need the dump any more. Any number of
 * threads may use one at the same time.
 */
struct libkdump_dmesg;

/**
 * An open dump. Any number of threads may use one at the same time.
 */
struct libkdump_dump;

/**
 * A machine as it described itself. Any number of threads may use one at the same time.
 */
struct libkdump_machine;

/**
 * A complete crash load. It does not need the machine any more. Any number of threads may use one
 * at the same time.
 */
struct libkdump_plan;

/**
 * What the rules say about a plan. Any number of threads may use one at the same time.
 */
struct libkdump_preflight;

/**
 * A purgatory object and what it was linked to. Threads may use one at the same time; pointers it
 * lends are valid until it is linked again, a symbol is set, or it is freed.
 */
struct libkdump_purgatory;

/**
 * What reading all of a dump found. Any number of threads may use one at the same time.
 */
struct libkdump_verification;

/**
 * What becomes of the memory below 1 MiB, which an x86 capture kernel boots through.
 */
struct libkdump_low_memory {
    /**
     * `sizeof (struct libkdump_low_memory)`, set by the caller.
     */
    uint32_t size;
    /**
     * LIBKDUMP_LOW_ number.
     */
    uint32_t fate;
    /**
     * With LIBKDUMP_LOW_BACKED_UP: first address of what is to be saved.
     */
    uint64_t source;
    /**
     * Its bytes.
     */
    uint64_t length;
    /**
     * Physical address of the copy, as deep in a page as `source`. libkdump_machine_low_memory()
     * gives 0; the caller puts in where it found room.
     */
    uint64_t destination;
};

/**
 * A range of a memory map. It never grows, so arrays of it are plain arrays.
 */
struct libkdump_extent {
    /**
     * First address.
     */
    uint64_t start;
    /**
     * Bytes.
     */
    uint64_t length;
    /**
     * LIBKDUMP_MEMORY_ number; not looked at where only the addresses matter.
     */
    uint32_t kind;
    /**
     * Zero.
     */
    uint32_t reserved;
};

/**
 * The sum of a classification.
 */
struct libkdump_classes_info {
    /**
     * `sizeof (struct libkdump_classes_info)`, set by the caller.
     */
    uint32_t size;
    /**
     * 1 when the kernel's records contradict what VMCOREINFO says of them: no page has a use then. Else 0.
     */
    uint32_t doubtful;
    /**
     * Bytes of a page.
     */
    uint64_t page_size;
    /**
     * Pages by their use.
     */
    uint64_t cache;
    /**
     * Page cache with data of a file system.
     */
    uint64_t cache_private;
    /**
     * Memory of processes.
     */
    uint64_t user;
    /**
     * Free.
     */
    uint64_t free;
    /**
     * Taken out of use after a memory error.
     */
    uint64_t hwpoison;
    /**
     * Given back to a hypervisor.
     */
    uint64_t offline;
    /**
     * Pages of which the kernel's record cannot be read.
     */
    uint64_t undecided;
    /**
     * Pages of which the kernel has no record.
     */
    uint64_t without_record;
};

/**
 * Pages of one use, one behind the other.
 */
struct libkdump_classes_range {
    /**
     * `sizeof (struct libkdump_classes_range)`, set by the caller.
     */
    uint32_t size;
    /**
     * LIBKDUMP_USE_ number.
     */
    uint32_t used_for;
    /**
     * Page frame number of the first page.
     */
    uint64_t first;
    /**
     * Pages, never 0.
     */
    uint64_t pages;
};

/**
 * What `crashkernel=` asks for.
 */
struct libkdump_crashkernel {
    /**
     * `sizeof (struct libkdump_crashkernel)`, set by the caller.
     */
    uint32_t size;
    /**
     * Which of the fields are set: LIBKDUMP_CRASHKERNEL_BASE and so on.
     */
    uint32_t flags;
    /**
     * Bytes of the main region.
     */
    uint64_t main;
    /**
     * Where it must begin.
     */
    uint64_t base;
    /**
     * Bytes of the low region.
     */
    uint64_t low;
    /**
     * Bytes to be shared with movable memory; 0 for none.
     */
    uint64_t cma;
};

/**
 * What a kernel would reserve.
 */
struct libkdump_reservation {
    /**
     * `sizeof (struct libkdump_reservation)`, set by the caller.
     */
    uint32_t size;
    /**
     * Zero.
     */
    uint32_t reserved;
    /**
     * First address of the main region.
     */
    uint64_t main_start;
    /**
     * Its bytes.
     */
    uint64_t main_length;
    /**
     * First address of the low region.
     */
    uint64_t low_start;
    /**
     * Its bytes; 0 when there is none.
     */
    uint64_t low_length;
    /**
     * Bytes asked for as CMA; the kernel takes what it gets, in pieces.
     */
    uint64_t cma;
};

/**
 * How much of a log there is.
 */
struct libkdump_dmesg_info {
    /**
     * `sizeof (struct libkdump_dmesg_info)`, set by the caller.
     */
    uint32_t size;
    /**
     * Number of records.
     */
    uint32_t records;
    /**
     * Number of defects (libkdump_dmesg_defect()), at most 64.
     */
    uint32_t defects;
    /**
     * Zero.
     */
    uint32_t reserved;
    /**
     * Records that are in the ring but could not be read.
     */
    uint64_t lost;
};

/**
 * One record of a log.
 */
struct libkdump_log_record {
    /**
     * `sizeof (struct libkdump_log_record)`, set by the caller.
     */
    uint32_t size;
    /**
     * 0 (emergency) to 7 (debug).
     */
    uint32_t level;
    /**
     * Syslog facility, 0 for the kernel.
     */
    uint32_t facility;
    /**
     * LIBKDUMP_CALLER_ number.
     */
    uint32_t caller_kind;
    /**
     * Who printed it.
     */
    uint64_t caller;
    /**
     * Number of the record since boot.
     */
    uint64_t seq;
    /**
     * Nanoseconds since boot.
     */
    uint64_t ts_nsec;
    /**
     * Bytes of `text`.
     */
    uint64_t text_len;
    /**
     * The text as bytes of the kernel, which may have several lines and is neither safe to print
     * nor ended by a NUL; lent until the log is freed.
     */
    const void *text;
    /**
     * NULL.
     */
    const void *reserved;
};

/**
 * What a dump is.
 */
struct libkdump_dump_info {
    /**
     * `sizeof (struct libkdump_dump_info)`, set by the caller.
     */
    uint32_t size;
    /**
     * LIBKDUMP_FORMAT_ number.
     */
    uint32_t format;
    /**
     * LIBKDUMP_ARCH_ number, LIBKDUMP_ARCH_UNKNOWN for others.
     */
    uint32_t arch;
    /**
     * Word size of the file: LIBKDUMP_CLASS_ELF32 or LIBKDUMP_CLASS_ELF64.
     */
    uint32_t elf_class;
    /**
     * Byte order: LIBKDUMP_ENDIAN_LITTLE or LIBKDUMP_ENDIAN_BIG.
     */
    uint32_t endian;
    /**
     * Number of program headers (libkdump_dump_phdr()).
     */
    uint32_t phnum;
    /**
     * Number of NT_PRSTATUS notes: libkdump_dump_cpu() may go on behind them.
     */
    uint32_t cpus;
    /**
     * Number of ranges of memory (libkdump_dump_range()).
     */
    uint32_t ranges;
    /**
     * Number of defects that were found at opening (libkdump_dump_defect()).
     */
    uint32_t defects;
    /**
     * 1 when nothing is known to be missing or damaged, else 0.
     */
    uint32_t complete;
    /**
     * Page size as VMCOREINFO has it; 0 without.
     */
    uint64_t page_size;
    /**
     * Bytes of RAM the dump describes, stored or not.
     */
    uint64_t memory;
    /**
     * Bytes the file has.
     */
    uint64_t file_size;
    /**
     * Bytes the file must have to hold all it says.
     */
    uint64_t expected_size;
    /**
     * Bytes of memory that are behind the end of the file, were behind the end of the one it was
     * saved from, or were not written because saving ended early.
     */
    uint64_t missing;
    /**
     * Bytes of memory lost in another way before the dump was saved, or corrupt.
     */
    uint64_t unreadable;
    /**
     * 1 when saving the dump was not finished, else 0.
     */
    uint32_t unfinished;
    /**
     * Zero.
     */
    uint32_t reserved;
};

/**
 * A range of physical addresses.
 */
struct libkdump_range {
    /**
     * `sizeof (struct libkdump_range)`, set by the caller.
     */
    uint32_t size;
    /**
     * What it is: LIBKDUMP_MEMORY_ of machines and plans (the type numbers of an e820 table),
     * LIBKDUMP_PAGE_ of dumps.
     */
    uint32_t kind;
    /**
     * First address.
     */
    uint64_t start;
    /**
     * Bytes, never 0.
     */
    uint64_t length;
};

/**
 * A CPU that saved its registers.
 */
struct libkdump_cpu {
    /**
     * `sizeof (struct libkdump_cpu)`, set by the caller.
     */
    uint32_t size;
    /**
     * Place in the list, from 0. It is the CPU's number only when every CPU below it left a note.
     */
    uint32_t index;
    /**
     * The task that ran, 0 when the CPU was idle; in a hypervisor's note a number of the CPU.
     */
    int32_t pid;
    /**
     * Zero.
     */
    uint32_t reserved;
    /**
     * Instruction pointer.
     */
    uint64_t instruction_pointer;
    /**
     * Stack pointer.
     */
    uint64_t stack_pointer;
    /**
     * Offset of the note's header in the file; 0 when no note has these registers.
     */
    uint64_t note_offset;
    /**
     * Bytes of `desc`.
     */
    uint64_t desc_len;
    /**
     * The note's descriptor, for the libkdump_prstatus_ functions; lent until the dump is freed.
     */
    const void *desc;
    /**
     * NULL.
     */
    const void *reserved_pointer;
};

/**
 * How to open a dump. NULL in its place means all zero.
 */
struct libkdump_open_options {
    /**
     * `sizeof (struct libkdump_open_options)`, set by the caller.
     */
    uint32_t size;
    /**
     * LIBKDUMP_OPEN_ flags, or 0.
     */
    uint32_t flags;
    /**
     * With LIBKDUMP_OPEN_RAW the physical address of the first byte of the file, else 0.
     */
    uint64_t raw_base;
    /**
     * Bytes of memory that each thread that reads keeps at most for its next reads, for 16 threads at
     * a time; 0 means 64 MiB. It is taken as memory is read.
     */
    uint64_t cache_size;
    /**
     * Threads that one read, save or verification may use where pages must be decompressed, the
     * caller's own among them, at most 1024; 0 is as good as 1. With more, the function given to
     * libkdump_dump_open_callback() is called by several at once.
     */
    uint32_t threads;
    /**
     * Zero.
     */
    uint32_t reserved;
};

/**
 * Facts about a machine.
 */
struct libkdump_machine_info {
    /**
     * `sizeof (struct libkdump_machine_info)`, set by the caller.
     */
    uint32_t size;
    /**
     * LIBKDUMP_MACHINE_ flags.
     */
    uint32_t flags;
    /**
     * LIBKDUMP_ARCH_ number.
     */
    uint32_t arch;
    /**
     * Byte order.
     */
    uint32_t endian;
    /**
     * Number of CPU notes (libkdump_machine_cpu_note()).
     */
    uint32_t cpu_notes;
    /**
     * Zero.
     */
    uint32_t reserved;
    /**
     * Bytes of a page.
     */
    uint64_t page_size;
    /**
     * Physical address of the VMCOREINFO note.
     */
    uint64_t vmcoreinfo_paddr;
    /**
     * Its room in bytes.
     */
    uint64_t vmcoreinfo_size;
    /**
     * Virtual address of the kernel image.
     */
    uint64_t text_vaddr;
    /**
     * Its physical address.
     */
    uint64_t text_paddr;
    /**
     * Its bytes.
     */
    uint64_t text_size;
    /**
     * Virtual address at which physical address 0 appears.
     */
    uint64_t direct_map_base;
    /**
     * Physical address of the ACPI root pointer.
     */
    uint64_t rsdp;
};

/**
 * Where a CPU leaves its registers.
 */
struct libkdump_cpu_note {
    /**
     * `sizeof (struct libkdump_cpu_note)`, set by the caller.
     */
    uint32_t size;
    /**
     * The CPU's number; numbers may have gaps.
     */
    uint32_t cpu;
    /**
     * Physical address of its buffer.
     */
    uint64_t paddr;
    /**
     * Bytes of the buffer.
     */
    uint64_t length;
};

/**
 * What a plan is made from. All zero but for `kernel` is what most machines need.
 *
 * Either the name of a file or its bytes are given. The library copies all of it.
 */
struct libkdump_plan_options {
    /**
     * `sizeof (struct libkdump_plan_options)`, set by the caller.
     */
    uint32_t size;
    /**
     * LIBKDUMP_PLAN_ flags.
     */
    uint32_t flags;
    /**
     * LIBKDUMP_BACKUP_ number.
     */
    uint32_t backup;
    /**
     * LIBKDUMP_MISMATCH_ number: what the purgatory does when what was loaded is damaged.
     */
    uint32_t on_mismatch;
    /**
     * First I/O port of the serial port the purgatory of x86 writes to, 0x3f8 for the first; 0 for
     * none.
     */
    uint32_t serial_base;
    /**
     * Line speed to program; 0 leaves the port as the dead kernel set it, and is all there can be without
     * `serial_base` or `serial_address`.
     */
    uint32_t serial_baud;
    /**
     * Lowest address to use.
     */
    uint64_t mem_min;
    /**
     * Highest address to use, inclusive; 0 for no limit.
     */
    uint64_t mem_max;
    /**
     * With LIBKDUMP_PLAN_SEED, else zero.
     */
    uint8_t rng_seed[32];
    /**
     * File name of the capture kernel's image.
     */
    const char *kernel;
    /**
     * File name of its initial ramdisk; NULL for none.
     */
    const char *initrd;
    /**
     * Its command line, before the parameters the plan adds; NULL for none.
     */
    const char *cmdline;
    /**
     * The image itself, instead of `kernel`, which is NULL then.
     */
    const void *kernel_data;
    /**
     * The initial ramdisk itself, instead of `initrd`, which is NULL then.
     */
    const void *initrd_data;
    /**
     * A relocatable object to be used as purgatory; NULL for the library's own.
     */
    const void *purgatory;
    /**
     * Bytes of `kernel_data`.
     */
    uint64_t kernel_len;
    /**
     * Bytes of `initrd_data`; 0 for none.
     */
    uint64_t initrd_len;
    /**
     * Bytes of `purgatory`.
     */
    uint64_t purgatory_len;
    /**
     * Physical address of the registers of the serial port the purgatory of arm64 writes to, a PL011;
     * 0 for none.
     */
    uint64_t serial_address;
};

/**
 * What only plans for arm64 have. The device tree is a segment.
 */
struct libkdump_plan_arm64 {
    /**
     * `sizeof (struct libkdump_plan_arm64)`, set by the caller.
     */
    uint32_t size;
    /**
     * Number of ranges the capture kernel is told (libkdump_plan_usable()).
     */
    uint32_t usable;
    /**
     * Bytes from a multiple of 2 MiB to the kernel.
     */
    uint64_t text_offset;
};

/**
 * The sum of a plan. What only plans for one architecture have is asked for by its name:
 * libkdump_plan_get_x86(), libkdump_plan_get_arm64().
 */
struct libkdump_plan_info {
    /**
     * `sizeof (struct libkdump_plan_info)`, set by the caller.
     */
    uint32_t size;
    /**
     * LIBKDUMP_ARCH_ number.
     */
    uint32_t arch;
    /**
     * Number of segments (libkdump_plan_segment()).
     */
    uint32_t segments;
    /**
     * Number of program headers of the elfcorehdr (libkdump_plan_phdr()).
     */
    uint32_t phnum;
    /**
     * Number of program headers of the predicted vmcore (libkdump_plan_vmcore_phdr()).
     */
    uint32_t vmcore_phnum;
    /**
     * Zero.
     */
    uint32_t reserved;
    /**
     * Physical address of the purgatory's first instruction: `entry` of kexec_load(2).
     */
    uint64_t entry;
    /**
     * `flags` of kexec_load(2).
     */
    uint64_t flags;
    /**
     * First address of the crash region everything lies in.
     */
    uint64_t region_start;
    /**
     * Its bytes.
     */
    uint64_t region_length;
    /**
     * Bytes of the region left to the kernel for its control pages.
     */
    uint64_t leftover;
    /**
     * Bytes /proc/vmcore will have.
     */
    uint64_t vmcore_size;
    /**
     * Longest command line the capture kernel takes.
     */
    uint64_t cmdline_limit;
};

/**
 * A segment as kexec_load(2) takes it.
 */
struct libkdump_segment {
    /**
     * `sizeof (struct libkdump_segment)`, set by the caller.
     */
    uint32_t size;
    /**
     * LIBKDUMP_SEGMENT_ number.
     */
    uint32_t kind;
    /**
     * Physical address.
     */
    uint64_t mem;
    /**
     * Bytes of memory.
     */
    uint64_t memsz;
    /**
     * Bytes of content; the rest is zero.
     */
    uint64_t bufsz;
    /**
     * The content, lent until the plan is freed.
     */
    const void *buf;
    /**
     * NULL.
     */
    const void *reserved;
};

/**
 * What only plans for x86 have.
 */
struct libkdump_plan_x86 {
    /**
     * `sizeof (struct libkdump_plan_x86)`, set by the caller.
     */
    uint32_t size;
    /**
     * Number of ranges the capture kernel is told (libkdump_plan_e820()).
     */
    uint32_t e820;
    /**
     * Highest address the initial ramdisk may end at, inclusive.
     */
    uint64_t initrd_limit;
};

/**
 * A segment of kexec_load(2): the kernel's own `struct kexec_segment` (linux/kexec.h), of which an
 * array may be given as it is. It has no `size` and never grows.
 */
struct libkdump_kexec_segment {
    /**
     * The content; of a preflight only looked at for NULL.
     */
    const void *buf;
    /**
     * Bytes of content; the rest is zero.
     */
    size_t bufsz;
    /**
     * Physical address.
     */
    const void *mem;
    /**
     * Bytes of memory.
     */
    size_t memsz;
};

/**
 * The sum of a preflight.
 */
struct libkdump_preflight_info {
    /**
     * `sizeof (struct libkdump_preflight_info)`, set by the caller.
     */
    uint32_t size;
    /**
     * LIBKDUMP_VERDICT_PASS when no rule fails, else LIBKDUMP_VERDICT_FAIL.
     */
    uint32_t verdict;
    /**
     * Number of findings (libkdump_preflight_finding()).
     */
    uint32_t findings;
    /**
     * The errno kexec_load(2) would fail with; 0 when it would not.
     */
    int32_t os_errno;
    /**
     * 1 when that failure would also drop the capture kernel that is loaded, else 0.
     */
    uint32_t armed_image_lost;
    /**
     * Zero.
     */
    uint32_t reserved;
};

/**
 * One rule and what it says.
 */
struct libkdump_finding {
    /**
     * `sizeof (struct libkdump_finding)`, set by the caller.
     */
    uint32_t size;
    /**
     * LIBKDUMP_VERDICT_ number.
     */
    uint32_t verdict;
    /**
     * The rule's name, lent until the preflight is freed.
     */
    const char *rule;
    /**
     * The value found and the limit, lent until the preflight is freed.
     */
    const char *detail;
};

/**
 * What a purgatory object needs.
 */
struct libkdump_purgatory_info {
    /**
     * `sizeof (struct libkdump_purgatory_info)`, set by the caller.
     */
    uint32_t size;
    /**
     * LIBKDUMP_ARCH_ number.
     */
    uint32_t arch;
    /**
     * Bytes of memory it occupies.
     */
    uint64_t memsz;
    /**
     * Alignment of its load address in bytes.
     */
    uint64_t align;
};

/**
 * How to save. NULL in its place means all zero. A field that asks for something this version
 * cannot do gives LIBKDUMP_ERR_UNSUPPORTED.
 */
struct libkdump_save_options {
    /**
     * `sizeof (struct libkdump_save_options)`, set by the caller.
     */
    uint32_t size;
    /**
     * LIBKDUMP_FORMAT_ELF, which 0 is as well, LIBKDUMP_FORMAT_KDUMP or LIBKDUMP_FORMAT_RAW.
     */
    uint32_t format;
    /**
     * LIBKDUMP_COMPRESSION_ number, for LIBKDUMP_FORMAT_KDUMP.
     */
    uint32_t compression;
    /**
     * Sum of LIBKDUMP_EXCLUDE_ numbers, not for LIBKDUMP_FORMAT_RAW; 0 leaves nothing out. 1, pages of zeros, may be
     * among them and changes nothing: they share one place.
     */
    uint32_t exclude;
    /**
     * How many threads may work; 0 and 1 mean the calling one.
     */
    uint32_t threads;
    /**
     * 0, or a sum of LIBKDUMP_SAVE_ numbers.
     */
    uint32_t flags;
    /**
     * Level of the compression; 0 is the fastest one.
     */
    uint32_t level;
    /**
     * Zero.
     */
    uint32_t reserved;
};

/**
 * How far a long call is.
 */
struct libkdump_progress {
    /**
     * `sizeof (struct libkdump_progress)` of the library.
     */
    uint32_t size;
    /**
     * Zero.
     */
    uint32_t reserved;
    /**
     * Bytes of memory that are done.
     */
    uint64_t done;
    /**
     * Bytes of memory there are.
     */
    uint64_t total;
    /**
     * Bytes written so far; 0 when nothing is written.
     */
    uint64_t written;
};

/**
 * Called from time to time, on the calling thread, with no lock held. Return 0 to go on, anything
 * else to stop: the call then ends with LIBKDUMP_ERR_CANCELLED. Must not longjmp or throw.
 */
typedef int (*libkdump_progress_fn)(void *user, const struct libkdump_progress *progress);

/**
 * What saving did.
 */
struct libkdump_save_report {
    /**
     * `sizeof (struct libkdump_save_report)`, set by the caller.
     */
    uint32_t size;
    /**
     * Number of ranges of memory that the source lacked or that could not be read.
     */
    uint32_t unreadable_ranges;
    /**
     * Program headers of the source that have no place in the saved file.
     */
    uint32_t dropped_phdrs;
    /**
     * Defects of the source besides lost memory (libkdump_dump_defect()).
     */
    uint32_t source_defects;
    /**
     * Bytes of the saved file; of a flattened stream, those of the file it describes.
     */
    uint64_t file_size;
    /**
     * Bytes of memory in it.
     */
    uint64_t memory;
    /**
     * Bytes that were written; the others are holes that read as zeros. Of a flattened stream its bytes.
     */
    uint64_t written;
    /**
     * Bytes of memory that the source lacked or that could not be read; the saved dump says where
     * and why.
     */
    uint64_t unreadable;
    /**
     * Bytes that several program headers list and the saved file holds once.
     */
    uint64_t shared;
    /**
     * Of the bytes in `unreadable`, those behind the end of the source.
     */
    uint64_t missing;
    /**
     * Of the bytes in `unreadable`, those that are damaged.
     */
    uint64_t corrupt;
    /**
     * Bytes besides, which could be read and are told to be unreadable, because the list of what
     * could not be read was full.
     */
    uint64_t given_up;
    /**
     * Pages of a kdump-compressed file that are zeros and share one place.
     */
    uint64_t pages_zero;
    /**
     * Pages of such a file that are stored as they are.
     */
    uint64_t pages_plain;
    /**
     * Pages of such a file that are compressed.
     */
    uint64_t pages_compressed;
    /**
     * Pages that were left out because that was asked for: of the page cache.
     */
    uint64_t excluded_cache;
    /**
     * Of the page cache with data of a file system.
     */
    uint64_t excluded_cache_private;
    /**
     * Of processes.
     */
    uint64_t excluded_user;
    /**
     * Free.
     */
    uint64_t excluded_free;
    /**
     * With memory errors.
     */
    uint64_t excluded_hwpoison;
    /**
     * Given back to a hypervisor.
     */
    uint64_t excluded_offline;
    /**
     * Of those that were left out, pages that are saved even so: an ELF core leaves out long runs only.
     */
    uint64_t short_runs;
    /**
     * Pages that were kept because the kernel's record of them cannot be read.
     */
    uint64_t undecided;
    /**
     * Pages that were kept because the kernel has no record of them.
     */
    uint64_t without_record;
    /**
     * 1 when all pages were kept because the kernel's records contradict what VMCOREINFO says of them, else 0.
     */
    uint32_t doubtful;
    /**
     * Zero.
     */
    uint32_t reserved;
};

/**
 * Writes all `len` bytes of `buf` at the offset `offset` of the file that is made and returns 0, or
 * returns an errno value to end the work. The head of the file is written again later; behind it the
 * offsets ascend, those of tables and those of pages each for themselves. The last call, which only a dump that is saved whole gets, has NULL in `buf` and the
 * size of the file in `offset`: what was never written below it reads as zeros. Called on the calling
 * thread. Must not longjmp or throw.
 */
typedef int (*libkdump_write_fn)(void *user, uint64_t offset, const void *buf, size_t len);

/**
 * The sum of a verification.
 */
struct libkdump_verification_info {
    /**
     * `sizeof (struct libkdump_verification_info)`, set by the caller.
     */
    uint32_t size;
    /**
     * 1 when nothing is damaged, else 0.
     */
    uint32_t sound;
    /**
     * Number of unreadable ranges that are listed (libkdump_verification_unreadable()).
     */
    uint32_t unreadable_ranges;
    /**
     * Number of other defects (libkdump_verification_defect()).
     */
    uint32_t defects;
    /**
     * Bytes of memory that were to be read.
     */
    uint64_t memory;
    /**
     * Bytes that could not be read.
     */
    uint64_t unreadable;
    /**
     * Ranges that are counted in `unreadable` but not listed.
     */
    uint64_t unlisted_ranges;
};

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Decides whether low memory must be saved before a capture kernel runs through it.
 *
 * Parameters: `machine` the machine that may crash; `backup` a LIBKDUMP_BACKUP_ constant; `out`
 * receives the decision; `error` may be NULL. Errors: LIBKDUMP_ERR_INVALID.
 */
int libkdump_machine_low_memory(const struct libkdump_machine *machine,
                                uint32_t backup,
                                struct libkdump_low_memory *out,
                                struct libkdump_error *error);

/**
 * The ELF core header of a machine, which the capture kernel is to find through elfcorehdr=.
 *
 * Parameters: `machine` the machine that may crash; `low` what becomes of its low memory; `elf_class`
 * a LIBKDUMP_CLASS_ constant, 0 for that of 64 bits; `buf` and `len` the buffer, NULL and 0 to ask
 * for the size; `written` (may be NULL) receives the size, also when the buffer is too small; `error`
 * may be NULL. Errors: LIBKDUMP_ERR_BUFFER with `need`, LIBKDUMP_ERR_TOO_LARGE for 65535 program
 * headers or more, LIBKDUMP_ERR_INVALID when 32 bits cannot hold an address.
 */
int libkdump_machine_elfcorehdr(const struct libkdump_machine *machine,
                                const struct libkdump_low_memory *low,
                                uint32_t elf_class,
                                void *buf,
                                size_t len,
                                uint64_t *written,
                                struct libkdump_error *error);

/**
 * The memory map an x86 capture kernel is to be given: what is not RAM as the running kernel
 * knows it, and as RAM only what it may use.
 *
 * Parameters: `machine` the machine that may crash; `low` what becomes of its low memory; `kept` and
 * `kept_count` the segments the capture kernel must not overwrite: elfcorehdr and the copy of low
 * memory; `map` and `capacity` receive the ranges, ascending and disjoint; `count` (may be NULL)
 * receives how many there are, also when there is no room for them; `error` may be NULL. Errors:
 * LIBKDUMP_ERR_BUFFER with `need` in ranges, LIBKDUMP_ERR_INVALID for a range without bytes.
 */
int libkdump_machine_capture_map(const struct libkdump_machine *machine,
                                 const struct libkdump_low_memory *low,
                                 const struct libkdump_extent *kept,
                                 size_t kept_count,
                                 struct libkdump_extent *map,
                                 size_t capacity,
                                 size_t *count,
                                 struct libkdump_error *error);

/**
 * Looks at the dead kernel's record of every page, also of pages the dump does not have.
 *
 * Takes a bit for each page and use, where there are pages of that use nearby.
 *
 * Parameters: `dump` the dump; `threads` how many threads may work, 0 and 1 meaning the calling one; `classes`
 * receives the handle, to be freed with libkdump_classes_free(), which needs the dump no more; `error` may be NULL. Errors:
 * LIBKDUMP_ERR_NOT_FOUND where VMCOREINFO lacks a key, LIBKDUMP_ERR_CORRUPT where it has one that no kernel
 * can have told, LIBKDUMP_ERR_UNSUPPORTED.
 */
int libkdump_dump_classify(const struct libkdump_dump *dump,
                           uint32_t threads,
                           struct libkdump_classes **classes,
                           struct libkdump_error *error);

/**
 * Frees a classification.
 *
 * Parameters: `classes` may be NULL.
 */
void libkdump_classes_free(struct libkdump_classes *classes);

/**
 * The sum of a classification.
 *
 * Parameters: `classes` the classification; `out` receives the numbers; `error` may be NULL.
 */
int libkdump_classes_get_info(const struct libkdump_classes *classes,
                              struct libkdump_classes_info *out,
                              struct libkdump_error *error);

/**
 * What a page was used for.
 *
 * Parameters: `classes` the classification; `pfn` the page frame number; `used_for` receives a LIBKDUMP_USE_ number;
 * `error` may be NULL.
 */
int libkdump_classes_page(const struct libkdump_classes *classes,
                          uint64_t pfn,
                          uint32_t *used_for,
                          struct libkdump_error *error);

/**
 * The next pages of one use, by address; what is no RAM is left out.
 *
 * Parameters: `classes` the classification; `cursor` the page frame number to go on with, 0 or any other at first, which the
 * call moves behind the range; `out` receives the range; `error` may be NULL. Returns LIBKDUMP_END behind the last.
 */
int libkdump_classes_next(const struct libkdump_classes *classes,
                          uint64_t *cursor,
                          struct libkdump_classes_range *out,
                          struct libkdump_error *error);

/**
 * Reads a command line as a kernel does.
 *
 * Parameters: `cmdline` the kernel's command line; `ram` its bytes of RAM, which range lists are
 * compared with; `arch` a LIBKDUMP_ARCH_ constant; `out` receives the request; `error` may be NULL.
 * Errors: LIBKDUMP_ERR_NOT_FOUND when nothing is asked for, LIBKDUMP_ERR_CORRUPT for a word the
 * kernel refuses.
 */
int libkdump_crashkernel_parse(const char *cmdline,
                               uint64_t ram,
                               uint32_t arch,
                               struct libkdump_crashkernel *out,
                               struct libkdump_error *error);

/**
 * What a machine's kernel would reserve at its next boot if nothing but itself were in the way.
 *
 * Parameters: `machine` the machine; `request` as libkdump_crashkernel_parse() gives it; `out`
 * receives the regions; `error` may be NULL. Errors: LIBKDUMP_ERR_TOO_LARGE when there is no room,
 * LIBKDUMP_ERR_UNSUPPORTED for an architecture that places regions by rules of its own.
 */
int libkdump_crashkernel_reserve(const struct libkdump_machine *machine,
                                 const struct libkdump_crashkernel *request,
                                 struct libkdump_reservation *out,
                                 struct libkdump_error *error);

/**
 * Reads the dead kernel's log.
 *
 * Parameters: `dump` the dump; `dmesg` receives the handle, to be freed with
 * libkdump_dmesg_free(); `error` may be NULL. Damage in one record loses only that one. Errors:
 * LIBKDUMP_ERR_NOT_FOUND when VMCOREINFO does not describe a log, LIBKDUMP_ERR_TOO_LARGE for a size that
 * no log has, those of libkdump_dump_read_virt() when its descriptor cannot be read.
 */
int libkdump_dmesg_read(const struct libkdump_dump *dump,
                        struct libkdump_dmesg **dmesg,
                        struct libkdump_error *error);

/**
 * Frees a log and the texts lent by it.
 *
 * Parameters: `dmesg` may be NULL.
 */
void libkdump_dmesg_free(struct libkdump_dmesg *dmesg);

/**
 * How many records there are, and what was lost.
 *
 * Parameters: `dmesg` the log; `out` receives the numbers; `error` may be NULL.
 */
int libkdump_dmesg_get_info(const struct libkdump_dmesg *dmesg,
                            struct libkdump_dmesg_info *out,
                            struct libkdump_error *error);

/**
 * The records one after the other, oldest first.
 *
 * Parameters: `dmesg` the log; `index` from 0; `out` receives the record; `error` may be NULL.
 * Returns LIBKDUMP_END behind the last.
 */
int libkdump_dmesg_record(const struct libkdump_dmesg *dmesg,
                          uint32_t index,
                          struct libkdump_log_record *out,
                          struct libkdump_error *error);

/**
 * One thing that was damaged in the log.
 *
 * Parameters: `dmesg` the log; `index` from 0; `out` is filled as if a call had failed with it;
 * `error` may be NULL. Returns LIBKDUMP_END behind the last.
 */
int libkdump_dmesg_defect(const struct libkdump_dmesg *dmesg,
                          uint32_t index,
                          struct libkdump_error *out,
                          struct libkdump_error *error);

/**
 * Closes a dump and gives everything back that was lent by it.
 *
 * Parameters: `dump` may be NULL. No other thread may be using it.
 */
void libkdump_dump_free(struct libkdump_dump *dump);

/**
 * The name of a dump format, for example "elf".
 *
 * Parameters: `format` a LIBKDUMP_FORMAT_ constant. Returns a text that is valid forever, or
 * NULL when there is no such format.
 */
const char *libkdump_format_name(uint32_t format);

/**
 * What a dump is and whether it is complete.
 *
 * Parameters: `dump` the dump; `out` receives the facts; `error` may be NULL.
 */
int libkdump_dump_get_info(const struct libkdump_dump *dump,
                           struct libkdump_dump_info *out,
                           struct libkdump_error *error);

/**
 * One defect that was found at opening.
 *
 * Parameters: `dump` the dump; `index` from 0; `out` is filled as if a call had failed with it;
 * `error` may be NULL. Returns LIBKDUMP_END behind the last.
 */
int libkdump_dump_defect(const struct libkdump_dump *dump,
                         uint32_t index,
                         struct libkdump_error *out,
                         struct libkdump_error *error);

/**
 * One program header of the dump.
 *
 * Parameters: `dump` the dump; `index` from 0; `out` receives the program header; `error` may be
 * NULL. Returns LIBKDUMP_END behind the last.
 */
int libkdump_dump_phdr(const struct libkdump_dump *dump,
                       uint32_t index,
                       struct libkdump_phdr *out,
                       struct libkdump_error *error);

/**
 * One range of the dumped machine's memory, in ascending order, holes included.
 *
 * Parameters: `dump` the dump; `index` from 0; `out` receives the range with a LIBKDUMP_PAGE_
 * kind; `error` may be NULL. Returns LIBKDUMP_END behind the last.
 */
int libkdump_dump_range(const struct libkdump_dump *dump,
                        uint32_t index,
                        struct libkdump_range *out,
                        struct libkdump_error *error);

/**
 * What the dump has of a page.
 *
 * Parameters: `dump` the dump; `pfn` the page frame number, in pages of the dump (4096 bytes when
 * it does not say); `state` receives the LIBKDUMP_PAGE_ number of its first byte; `error` may be NULL.
 *
 * A dump that has records of pages is asked for that of this page, which the ranges are not: pages
 * known to be zeros, never written, or listed in places that cannot be right are stored in the range
 * that libkdump_dump_find_range() gives, and LIBKDUMP_PAGE_ZERO, LIBKDUMP_PAGE_MISSING or
 * LIBKDUMP_PAGE_CORRUPT here.
 */
int libkdump_dump_page_state(const struct libkdump_dump *dump,
                             uint64_t pfn,
                             uint32_t *state,
                             struct libkdump_error *error);

/**
 * The range of memory an address lies in.
 *
 * Parameters: `dump` the dump; `paddr` a physical address; `out` receives the range with a
 * LIBKDUMP_PAGE_ kind; `error` may be NULL. Errors: LIBKDUMP_ERR_HOLE behind the last range.
 */
int libkdump_dump_find_range(const struct libkdump_dump *dump,
                             uint64_t paddr,
                             struct libkdump_range *out,
                             struct libkdump_error *error);

/**
 * The VMCOREINFO text, for the libkdump_vmcoreinfo_ functions.
 *
 * Parameters: `dump` the dump; `text` and `len` receive the text, which is lent until the dump is
 * freed and has no NUL behind it; `error` may be NULL. Errors: LIBKDUMP_ERR_NOT_FOUND when the dump
 * has none.
 */
int libkdump_dump_vmcoreinfo(const struct libkdump_dump *dump,
                             const void **text,
                             size_t *len,
                             struct libkdump_error *error);

/**
 * The CPUs that saved their registers, in the order of their notes; behind them those whose
 * registers only the dead kernel's memory has, which the first call for one of them looks for.
 *
 * Parameters: `dump` the dump; `index` from 0; `out` receives the CPU; `error` may be NULL. Returns
 * LIBKDUMP_END behind the last. Errors: LIBKDUMP_ERR_TRUNCATED for a note that is too short,
 * LIBKDUMP_ERR_UNSUPPORTED for an unknown architecture, and for a CPU behind the notes
 * LIBKDUMP_ERR_IO when the system could not read the kernel's memory: the next call looks again.
 */
int libkdump_dump_cpu(const struct libkdump_dump *dump,
                      uint32_t index,
                      struct libkdump_cpu *out,
                      struct libkdump_error *error);

/**
 * A register of a CPU by name.
 *
 * Parameters: `dump` the dump; `cpu` as `index` of libkdump_dump_cpu(); `name` the kernel's
 * name, for example "rip"; `value` receives it; `error` may be NULL. Errors: those of
 * libkdump_dump_cpu(), LIBKDUMP_ERR_NOT_FOUND for an unknown name.
 */
int libkdump_dump_register(const struct libkdump_dump *dump,
                           uint32_t cpu,
                           const char *name,
                           uint64_t *value,
                           struct libkdump_error *error);

/**
 * The registers of a CPU one after the other.
 *
 * Parameters: `dump` the dump; `cpu` as `index` of libkdump_dump_cpu(); `index` from 0; `out`
 * receives the register; `error` may be NULL. Returns LIBKDUMP_END behind the last. Errors: those
 * of libkdump_dump_cpu().
 */
int libkdump_dump_register_at(const struct libkdump_dump *dump,
                              uint32_t cpu,
                              uint32_t index,
                              struct libkdump_register *out,
                              struct libkdump_error *error);

/**
 * Where the registers of a CPU were found. The first call for a dump reads the kernel's symbols.
 *
 * Parameters: `dump` the dump; `cpu` as `index` of libkdump_dump_cpu(); `source` receives one of
 * LIBKDUMP_REGISTERS_; `error` may be NULL. Errors: LIBKDUMP_ERR_NOT_FOUND when there is no such
 * CPU.
 */
int libkdump_dump_cpu_source(const struct libkdump_dump *dump,
                             uint32_t cpu,
                             uint32_t *source,
                             struct libkdump_error *error);

/**
 * The number of a CPU that saved its registers, as the dead kernel's own memory tells, or the
 * hypervisor: the notes of a dump do not, and a CPU that did not answer left none. The first call
 * for a dump reads the kernel's symbols.
 *
 * Parameters: `dump` the dump; `cpu` as `index` of libkdump_dump_cpu(); `number` receives the
 * number; `error` may be NULL. Errors: LIBKDUMP_ERR_NOT_FOUND when there is no such CPU, when its note
 * is in no CPU's buffer, or without the keys of VMCOREINFO; LIBKDUMP_ERR_UNSUPPORTED when the dump does
 * not tell where the buffers are; LIBKDUMP_ERR_TOO_LARGE for more CPUs than there can be; those of
 * libkdump_dump_read_virt() when the buffers cannot be read.
 */
int libkdump_dump_cpu_number(const struct libkdump_dump *dump,
                             uint32_t cpu,
                             uint32_t *number,
                             struct libkdump_error *error);

/**
 * The notes of a dump one after the other, in file order.
 *
 * Parameters: `dump` the dump; `index` from 0; `out` receives the note, whose `offset` is that
 * in the file and whose pointers are lent until the dump is freed; `error` may be NULL. Returns
 * LIBKDUMP_END behind the last note.
 */
int libkdump_dump_note(const struct libkdump_dump *dump,
                       uint32_t index,
                       struct libkdump_note *out,
                       struct libkdump_error *error);

/**
 * Opens a dump by the names of its files.
 *
 * Parameters: `paths` and `count` the files, 1 to 256, more than one for a split dump; `options` may be
 * NULL; `dump` receives the handle, to be freed with libkdump_dump_free(); `error` may be NULL.
 * Errors: LIBKDUMP_ERR_IO with `os_errno`, LIBKDUMP_ERR_FORMAT, LIBKDUMP_ERR_UNSUPPORTED for a
 * format or a split dump this version does not read, LIBKDUMP_ERR_TRUNCATED, LIBKDUMP_ERR_CORRUPT,
 * LIBKDUMP_ERR_TOO_LARGE for more than 256 files, a number of elements or a raw image that no dump has room for.
 */
int libkdump_dump_open(const char *const *paths,
                       size_t count,
                       const struct libkdump_open_options *options,
                       struct libkdump_dump **dump,
                       struct libkdump_error *error);

/**
 * Opens a dump by a descriptor, which the library duplicates (close on exec) and the caller
 * keeps. The file offset is not used.
 *
 * Parameters: `fd` a descriptor open for reading; the others as for libkdump_dump_open(). Errors: those
 * of libkdump_dump_open().
 */
int libkdump_dump_open_fd(int fd,
                          const struct libkdump_open_options *options,
                          struct libkdump_dump **dump,
                          struct libkdump_error *error);

/**
 * Opens a dump that a function of the caller reads.
 *
 * Parameters: `size` the bytes there are; `read` and `user` the function and its first argument:
 * it is given offsets below `size` in place of addresses, never asked for bytes behind `size`, and
 * returns 0 or an errno value; both must stay valid until the dump is freed; the others as for
 * libkdump_dump_open(). The function may read the dump it serves, but such a read finds nothing that was kept:
 * it calls the function again for all it needs, so that one which does so at every call must end by itself. Errors: those of libkdump_dump_open().
 */
int libkdump_dump_open_callback(uint64_t size,
                                libkdump_read_fn read,
                                void *user,
                                const struct libkdump_open_options *options,
                                struct libkdump_dump **dump,
                                struct libkdump_error *error);

/**
 * Reads memory by physical address.
 *
 * Parameters: `dump` the dump; `paddr` the first address; `buf` and `len` the buffer; `done`
 * (may be NULL) receives the bytes read, on failure the good ones at the start of `buf`; `error`
 * may be NULL. On failure `address` and `pfn` of the error are the first ones missing. Errors:
 * LIBKDUMP_ERR_HOLE, LIBKDUMP_ERR_EXCLUDED, LIBKDUMP_ERR_TRUNCATED, LIBKDUMP_ERR_CORRUPT,
 * LIBKDUMP_ERR_IO, LIBKDUMP_ERR_UNSUPPORTED for a compression this build does not have.
 */
int libkdump_dump_read_phys(const struct libkdump_dump *dump,
                            uint64_t paddr,
                            void *buf,
                            size_t len,
                            size_t *done,
                            struct libkdump_error *error);

/**
 * Reads memory by virtual address of the dead kernel.
 *
 * Parameters: `vaddr` the first address; the others as for libkdump_dump_read_phys(). Errors:
 * those of libkdump_dump_read_phys(), for the memory or for a page table on the way to it, which
 * the message tells; LIBKDUMP_ERR_NOT_MAPPED only where the page tables say so; `address` of the
 * error is virtual.
 */
int libkdump_dump_read_virt(const struct libkdump_dump *dump,
                            uint64_t vaddr,
                            void *buf,
                            size_t len,
                            size_t *done,
                            struct libkdump_error *error);

/**
 * Translates a virtual address of the dead kernel.
 *
 * Parameters: `dump` the dump; `vaddr` the address; `paddr` receives the physical address;
 * `length` (may be NULL) receives how many bytes from there are mapped without a break; `error`
 * may be NULL. Errors: those of libkdump_dump_read_virt(), for a page table that could not be read.
 */
int libkdump_dump_translate(const struct libkdump_dump *dump,
                            uint64_t vaddr,
                            uint64_t *paddr,
                            uint64_t *length,
                            struct libkdump_error *error);

/**
 * Whether this library, as it was built and installed, has a feature.
 *
 * Parameters: `feature` a LIBKDUMP_FEATURE_ constant. Returns 1 or 0; 0 for numbers it does not
 * know, which a newer header may have.
 */
int libkdump_has(uint32_t feature);

/**
 * Loads a plan with kexec_load(2), after the kernel's rules were applied to it.
 *
 * When a rule fails the kernel is not asked, because it would drop the capture kernel that is
 * loaded before it looks at the new one.
 *
 * Parameters: `plan` the plan; `error` may be NULL. Errors: LIBKDUMP_ERR_REFUSED; `os_errno` is 0
 * when the kernel was not asked, and the message names the rule or the cause and what to do.
 * LIBKDUMP_ERR_INVALID for the plan of a machine that was not collected from "/", unless it was made
 * with LIBKDUMP_PLAN_FOREIGN.
 */
int libkdump_plan_load(const struct libkdump_plan *plan,
                       struct libkdump_error *error);

/**
 * Has the running kernel read, verify and place a capture kernel itself (kexec_file_load(2)), after
 * everything that can be judged beforehand was.
 *
 * When the images are incomplete, too large for the crash region or not images at all, when the
 * command line is too long or the caller may not load, the kernel is not asked, because it would
 * drop the capture kernel that is loaded before it looks at the new one.
 *
 * Parameters: `kernel` file name of the image; `initrd` file name of the initial ramdisk, NULL for
 * none; `cmdline` the command line, to which the kernel adds elfcorehdr=; `error` may be NULL.
 * Errors: LIBKDUMP_ERR_REFUSED, with `os_errno` 0 when the kernel was not asked; LIBKDUMP_ERR_IO,
 * LIBKDUMP_ERR_FORMAT for what is no regular file, LIBKDUMP_ERR_TRUNCATED for a file that became shorter
 * meanwhile; those of libkdump_machine_collect().
 */
int libkdump_load_files(const char *kernel,
                        const char *initrd,
                        const char *cmdline,
                        struct libkdump_error *error);

/**
 * Removes the capture kernel that is loaded; it is no error when there is none.
 *
 * Parameters: `error` may be NULL. Errors: LIBKDUMP_ERR_REFUSED with `os_errno`.
 */
int libkdump_unload(struct libkdump_error *error);

/**
 * Describes the machine whose /proc and /sys are below a directory.
 *
 * Parameters: `root` that directory, NULL for "/" (the running machine); `machine` receives the
 * handle, to be freed with libkdump_machine_free(); `error` may be NULL. Errors:
 * LIBKDUMP_ERR_NOT_FOUND when /proc/iomem is missing, LIBKDUMP_ERR_IO when the kernel hides its
 * addresses from this user, LIBKDUMP_ERR_CORRUPT, LIBKDUMP_ERR_TOO_LARGE for files longer than any
 * machine's, LIBKDUMP_ERR_UNSUPPORTED for an unknown architecture.
 */
int libkdump_machine_collect(const char *root,
                             struct libkdump_machine **machine,
                             struct libkdump_error *error);

/**
 * Frees a machine and the texts lent by it. Plans made of it stay valid.
 *
 * Parameters: `machine` may be NULL.
 */
void libkdump_machine_free(struct libkdump_machine *machine);

/**
 * Facts about a machine.
 *
 * Parameters: `machine` the machine; `out` receives them; `error` may be NULL.
 */
int libkdump_machine_get_info(const struct libkdump_machine *machine,
                              struct libkdump_machine_info *out,
                              struct libkdump_error *error);

/**
 * The ranges of one list one after the other, ascending.
 *
 * Parameters: `machine` the machine; `list` a LIBKDUMP_RANGES_ constant; `index` from 0; `out`
 * receives the range; `error` may be NULL. Returns LIBKDUMP_END behind the last. Errors:
 * LIBKDUMP_ERR_INVALID when there is no such list.
 */
int libkdump_machine_range(const struct libkdump_machine *machine,
                           uint32_t list,
                           uint32_t index,
                           struct libkdump_range *out,
                           struct libkdump_error *error);

/**
 * Where the CPUs leave their registers, by CPU number.
 *
 * Parameters: `machine` the machine; `index` from 0; `out` receives the place; `error` may be NULL.
 * Returns LIBKDUMP_END behind the last.
 */
int libkdump_machine_cpu_note(const struct libkdump_machine *machine,
                              uint32_t index,
                              struct libkdump_cpu_note *out,
                              struct libkdump_error *error);

/**
 * A sentence about something that was dropped, rounded or could not be found out.
 *
 * Parameters: `machine` the machine; `index` from 0; `text` receives the sentence, lent until the machine is
 * freed; `error` may be NULL. Returns LIBKDUMP_END behind the last.
 */
int libkdump_machine_note(const struct libkdump_machine *machine,
                          uint32_t index,
                          const char **text,
                          struct libkdump_error *error);

/**
 * A sentence about what stands in the way of a dump on this machine.
 *
 * Parameters: `machine` the machine; `index` from 0; `text` receives the sentence, lent until the machine is
 * freed; `error` may be NULL. Returns LIBKDUMP_END behind the last.
 */
int libkdump_machine_advice(const struct libkdump_machine *machine,
                            uint32_t index,
                            const char **text,
                            struct libkdump_error *error);

/**
 * The running kernel's command line, lent until the machine is freed; NULL for what is no machine.
 */
const char *libkdump_machine_cmdline(const struct libkdump_machine *machine);

/**
 * The running kernel's release, lent until the machine is freed; NULL when it is not known.
 */
const char *libkdump_machine_release(const struct libkdump_machine *machine);

/**
 * Plans a crash load: reads the files, places the segments, links the purgatory.
 *
 * Parameters: `machine` the machine that may crash; `options` what the plan is made from; `plan`
 * receives the handle, to be freed with libkdump_plan_free(); `error` may be NULL. Nothing is loaded.
 * Errors: LIBKDUMP_ERR_NOT_FOUND when no crash region is reserved, LIBKDUMP_ERR_IO,
 * LIBKDUMP_ERR_FORMAT when the file is no kernel image or no regular file, LIBKDUMP_ERR_TRUNCATED
 * for an image that is cut, LIBKDUMP_ERR_CORRUPT for one with a field that cannot be right or a
 * purgatory that cannot be linked, LIBKDUMP_ERR_TOO_LARGE with `need` when there is no room or the
 * command line is too long, LIBKDUMP_ERR_REFUSED when a part with a fixed address lies outside the
 * crash region, LIBKDUMP_ERR_INVALID also for options that contradict each other or the machine,
 * LIBKDUMP_ERR_UNSUPPORTED for an architecture (libkdump_has()).
 */
int libkdump_plan_new(const struct libkdump_machine *machine,
                      const struct libkdump_plan_options *options,
                      struct libkdump_plan **plan,
                      struct libkdump_error *error);

/**
 * Frees a plan and everything lent by it.
 *
 * Parameters: `plan` may be NULL.
 */
void libkdump_plan_free(struct libkdump_plan *plan);

/**
 * What only plans for arm64 have.
 *
 * Parameters: `plan` the plan; `out` receives it; `error` may be NULL. Errors:
 * LIBKDUMP_ERR_NOT_FOUND when the plan is for another architecture.
 */
int libkdump_plan_get_arm64(const struct libkdump_plan *plan,
                            struct libkdump_plan_arm64 *out,
                            struct libkdump_error *error);

/**
 * One range of the memory an arm64 capture kernel is told to use, the one it is loaded into first.
 *
 * Parameters: `plan` the plan; `index` from 0; `out` receives the range, of kind LIBKDUMP_MEMORY_RAM;
 * `error` may be NULL. Returns LIBKDUMP_END behind the last. Errors: LIBKDUMP_ERR_NOT_FOUND when
 * the plan is for another architecture.
 */
int libkdump_plan_usable(const struct libkdump_plan *plan,
                         uint32_t index,
                         struct libkdump_range *out,
                         struct libkdump_error *error);

/**
 * The sum of a plan.
 *
 * Parameters: `plan` the plan; `out` receives it; `error` may be NULL.
 */
int libkdump_plan_get_info(const struct libkdump_plan *plan,
                           struct libkdump_plan_info *out,
                           struct libkdump_error *error);

/**
 * The segments one after the other, in the order of the system call.
 *
 * Parameters: `plan` the plan; `index` from 0; `out` receives the segment; `error` may be NULL.
 * Returns LIBKDUMP_END behind the last.
 */
int libkdump_plan_segment(const struct libkdump_plan *plan,
                          uint32_t index,
                          struct libkdump_segment *out,
                          struct libkdump_error *error);

/**
 * The name of a kind of segment, for example "elfcorehdr".
 *
 * Parameters: `kind` a LIBKDUMP_SEGMENT_ constant. Returns a text that is valid forever, or NULL
 * when there is no such kind.
 */
const char *libkdump_segment_name(uint32_t kind);

/**
 * One program header of the elfcorehdr.
 *
 * Parameters: `plan` the plan; `index` from 0; `out` receives the program header; `error` may be
 * NULL. Returns LIBKDUMP_END behind the last.
 */
int libkdump_plan_phdr(const struct libkdump_plan *plan,
                       uint32_t index,
                       struct libkdump_phdr *out,
                       struct libkdump_error *error);

/**
 * One program header of the vmcore the capture kernel will export.
 *
 * Parameters: `plan` the plan; `index` from 0; `out` receives the program header; `error` may be
 * NULL. Returns LIBKDUMP_END behind the last.
 */
int libkdump_plan_vmcore_phdr(const struct libkdump_plan *plan,
                              uint32_t index,
                              struct libkdump_phdr *out,
                              struct libkdump_error *error);

/**
 * The capture kernel's command line, lent until the plan is freed; NULL for what is no plan.
 */
const char *libkdump_plan_cmdline(const struct libkdump_plan *plan);

/**
 * A sentence about something that was dropped, rounded or guessed.
 *
 * Parameters: `plan` the plan; `index` from 0; `text` receives the sentence, lent until the plan is
 * freed; `error` may be NULL. Returns LIBKDUMP_END behind the last.
 */
int libkdump_plan_note(const struct libkdump_plan *plan,
                       uint32_t index,
                       const char **text,
                       struct libkdump_error *error);

/**
 * The plan as one JSON document in ASCII, the same that `kdump plan --json` prints. Hashes every
 * segment.
 *
 * Parameters: `plan` the plan; `buf` and `buf_len` receive the text and a NUL; `text_len` (may be
 * NULL) receives its length without NUL, also when the buffer is too small; `error` may be NULL.
 * Errors: LIBKDUMP_ERR_BUFFER with `need`.
 */
int libkdump_plan_json(const struct libkdump_plan *plan,
                       char *buf,
                       size_t buf_len,
                       size_t *text_len,
                       struct libkdump_error *error);

/**
 * What only plans for x86 have.
 *
 * Parameters: `plan` the plan; `out` receives it; `error` may be NULL. Errors:
 * LIBKDUMP_ERR_NOT_FOUND when the plan is for another architecture.
 */
int libkdump_plan_get_x86(const struct libkdump_plan *plan,
                          struct libkdump_plan_x86 *out,
                          struct libkdump_error *error);

/**
 * One range of the memory map an x86 capture kernel is given.
 *
 * Parameters: `plan` the plan; `index` from 0; `out` receives the range with a LIBKDUMP_MEMORY_
 * kind; `error` may be NULL. Returns LIBKDUMP_END behind the last. Errors:
 * LIBKDUMP_ERR_NOT_FOUND when the plan is for another architecture.
 */
int libkdump_plan_e820(const struct libkdump_plan *plan,
                       uint32_t index,
                       struct libkdump_range *out,
                       struct libkdump_error *error);

/**
 * Applies the kernel's rules to a plan, in the state the machine is in now. Nothing is loaded.
 *
 * Parameters: `plan` the plan; `preflight` receives the handle, to be freed with
 * libkdump_preflight_free(); `error` may be NULL. A rule that fails is no failure of this call.
 */
int libkdump_plan_preflight(const struct libkdump_plan *plan,
                            struct libkdump_preflight **preflight,
                            struct libkdump_error *error);

/**
 * Applies the kernel's rules to a load that the caller put together itself, in the state the
 * machine is in now. Nothing is loaded. The rules are those of kexec_load(2) alone: what makes a
 * capture kernel work, such as its memory map, only a plan can be asked for.
 *
 * Parameters: `machine` the machine; `entry`, `segments`, `count` and `flags` what kexec_load(2) is
 * to be given, the architecture in the upper half of `flags`; `preflight` receives the handle, to be
 * freed with libkdump_preflight_free(); `error` may be NULL. A rule that fails is no failure of
 * this call, and senseless segments only make rules fail. So does a `count` of 0: kexec_load(2)
 * takes it and unloads, hence LIBKDUMP_VERDICT_FAIL without an errno.
 */
int libkdump_machine_preflight(const struct libkdump_machine *machine,
                               uint64_t entry,
                               const struct libkdump_kexec_segment *segments,
                               size_t count,
                               uint64_t flags,
                               struct libkdump_preflight **preflight,
                               struct libkdump_error *error);

/**
 * Frees a preflight and the texts lent by it.
 *
 * Parameters: `preflight` may be NULL.
 */
void libkdump_preflight_free(struct libkdump_preflight *preflight);

/**
 * The sum of a preflight.
 *
 * Parameters: `preflight` the result; `out` receives it; `error` may be NULL.
 */
int libkdump_preflight_get_info(const struct libkdump_preflight *preflight,
                                struct libkdump_preflight_info *out,
                                struct libkdump_error *error);

/**
 * The rules one after the other, in the order the kernel applies them.
 *
 * Parameters: `preflight` the result; `index` from 0; `out` receives the finding; `error` may be
 * NULL. Returns LIBKDUMP_END behind the last.
 */
int libkdump_preflight_finding(const struct libkdump_preflight *preflight,
                               uint32_t index,
                               struct libkdump_finding *out,
                               struct libkdump_error *error);

/**
 * Takes a relocatable object (ELF, ET_REL), the caller's own or the library's.
 *
 * Parameters: `object` and `len` the object, which is copied; NULL and 0 for the library's own;
 * `arch` a LIBKDUMP_ARCH_ constant, used only for the library's own; `purgatory` receives the
 * handle, to be freed with libkdump_purgatory_free(); `error` may be NULL. Errors:
 * LIBKDUMP_ERR_FORMAT, LIBKDUMP_ERR_CORRUPT naming the defect, LIBKDUMP_ERR_UNSUPPORTED when the
 * library has none for `arch`.
 */
int libkdump_purgatory_new(const void *object,
                           size_t len,
                           uint32_t arch,
                           struct libkdump_purgatory **purgatory,
                           struct libkdump_error *error);

/**
 * Frees a purgatory.
 *
 * Parameters: `purgatory` may be NULL.
 */
void libkdump_purgatory_free(struct libkdump_purgatory *purgatory);

/**
 * What a purgatory object needs.
 *
 * Parameters: `purgatory` the object; `out` receives the facts; `error` may be NULL.
 */
int libkdump_purgatory_get_info(const struct libkdump_purgatory *purgatory,
                                struct libkdump_purgatory_info *out,
                                struct libkdump_error *error);

/**
 * Links a purgatory for a load address. Values of symbols set before are lost.
 *
 * Parameters: `purgatory` the object; `base` the physical address, a multiple of its alignment;
 * `error` may be NULL. Errors: LIBKDUMP_ERR_CORRUPT naming relocation, offset and symbol.
 */
int libkdump_purgatory_link(const struct libkdump_purgatory *purgatory,
                            uint64_t base,
                            struct libkdump_error *error);

/**
 * The bytes to load; the rest up to `memsz` is zero.
 *
 * Parameters: `purgatory` a linked object; `bytes` and `len` receive them; `error` may be NULL.
 * Errors: LIBKDUMP_ERR_NOT_FOUND before it is linked.
 */
int libkdump_purgatory_bytes(const struct libkdump_purgatory *purgatory,
                             const void **bytes,
                             size_t *len,
                             struct libkdump_error *error);

/**
 * The address of a symbol, for example "purgatory_start".
 *
 * Parameters: `purgatory` a linked object; `symbol` a global symbol; `address` receives its physical
 * address; `error` may be NULL. Errors: LIBKDUMP_ERR_NOT_FOUND.
 */
int libkdump_purgatory_address(const struct libkdump_purgatory *purgatory,
                               const char *symbol,
                               uint64_t *address,
                               struct libkdump_error *error);

/**
 * The value of a symbol.
 *
 * Parameters: `purgatory` a linked object; `symbol` a global symbol; `buf` and `len` receive its
 * bytes; `value_len` (may be NULL) receives how many, also when the buffer is too small; `error` may
 * be NULL. Errors: LIBKDUMP_ERR_NOT_FOUND, LIBKDUMP_ERR_BUFFER with `need`.
 */
int libkdump_purgatory_get(const struct libkdump_purgatory *purgatory,
                           const char *symbol,
                           void *buf,
                           size_t len,
                           size_t *value_len,
                           struct libkdump_error *error);

/**
 * Sets the value of a symbol.
 *
 * Parameters: `purgatory` a linked object; `symbol` a global symbol; `value` and `len` its bytes,
 * as many as the symbol has; `error` may be NULL. Errors: LIBKDUMP_ERR_NOT_FOUND,
 * LIBKDUMP_ERR_INVALID for another size.
 */
int libkdump_purgatory_set(const struct libkdump_purgatory *purgatory,
                           const char *symbol,
                           const void *value,
                           size_t len,
                           struct libkdump_error *error);

/**
 * Saves a dump into a file, which appears under its name only when it is finished, or onto a
 * block device.
 *
 * Until then the file is named with ".incomplete" appended, is locked and readable by its owner
 * only, and replaces what is there in one step. When saving ends early the ".incomplete" file stays,
 * cut to what is good, and says that it is unfinished; one that no process has locked is removed by
 * the next call. What the dump is read from is never written over, a directory, FIFO or symbolic
 * link is refused, and a device that is in use or, without LIBKDUMP_SAVE_FORCE, holds something else
 * than a dump.
 *
 * Returns LIBKDUMP_OK when the source lacked nothing; LIBKDUMP_LACKING when the dump is saved, but memory
 * was lost or damaged, or the source had other defects: the report counts them, and the saved dump
 * remembers them.
 *
 * Parameters: `dump` the source; `path` the destination; `options` may be NULL; `progress` (may be
 * NULL) is called with `user` about every 2 MiB; `report` (may be NULL) receives what was done,
 * also on failure as far as it went; `error` may be NULL. Errors: LIBKDUMP_ERR_IO with `os_errno`
 * (ENOSPC: what is usable is in the message), LIBKDUMP_ERR_REFUSED, LIBKDUMP_ERR_CANCELLED,
 * LIBKDUMP_ERR_INVALID for options that contradict each other, LIBKDUMP_ERR_NOT_FOUND where VMCOREINFO lacks a key that
 * `exclude` needs, LIBKDUMP_ERR_UNSUPPORTED. In all of these there is no saved dump.
 */
int libkdump_dump_save(const struct libkdump_dump *dump,
                       const char *path,
                       const struct libkdump_save_options *options,
                       libkdump_progress_fn progress,
                       void *user,
                       struct libkdump_save_report *report,
                       struct libkdump_error *error);

/**
 * Saves a dump as a set of kdump-compressed files, each with a share of the pages, which are read together
 * (libkdump_dump_open() with all of them).
 *
 * Each file is written by a thread of its own, and as libkdump_dump_save() writes one. One that fails stays as far
 * as it came and ends none of the others.
 *
 * Parameters: `dump` the source; `paths` and `count` the destinations, 1 to 256; `options` as for
 * libkdump_dump_save(), with LIBKDUMP_FORMAT_KDUMP; the others as for it, the report being that of all files. Returns
 * LIBKDUMP_OK or LIBKDUMP_LACKING as libkdump_dump_save(). Errors: those of libkdump_dump_save(),
 * LIBKDUMP_ERR_INVALID for no file and LIBKDUMP_ERR_TOO_LARGE for more than 256 files.
 */
int libkdump_dump_save_split(const struct libkdump_dump *dump,
                             const char *const *paths,
                             size_t count,
                             const struct libkdump_save_options *options,
                             libkdump_progress_fn progress,
                             void *user,
                             struct libkdump_save_report *report,
                             struct libkdump_error *error);

/**
 * What saving would do, as far as that is known without reading the memory.
 *
 * Parameters: `dump` the source; `options` as for libkdump_dump_save(), or NULL; `report` receives the bytes of
 * memory, the bytes of the file at most, and the pages that would be left out or kept in doubt, the other numbers being zero;
 * `error` may be NULL. Errors: those of libkdump_dump_save() that do not come from writing.
 */
int libkdump_dump_save_estimate(const struct libkdump_dump *dump,
                                const struct libkdump_save_options *options,
                                struct libkdump_save_report *report,
                                struct libkdump_error *error);

/**
 * Saves a dump by a descriptor, which stays the caller's.
 *
 * A regular file is written from its start on, whatever its offset, and should be empty. Nothing
 * is made to last, nothing renamed: until the call returns the file says that it is unfinished. What
 * cannot be written at offsets, such as a pipe, a socket or what was opened with O_APPEND, takes
 * LIBKDUMP_SAVE_FLATTEN only: a stream that `makedumpfile -R` and this library put in order. A stream goes to
 * the descriptor's offset, of a regular file as well, moves it and cuts nothing that is behind it. What the
 * dump is read from is never written over, as far as the library opened it or was given its descriptor.
 *
 * Parameters: `dump` the source; `fd` a descriptor open for writing; `options` as for
 * libkdump_dump_save(), of which LIBKDUMP_SAVE_FORCE does not matter, or NULL; `progress`, `user`
 * and `report` as for libkdump_dump_save(); `error` may be NULL. Returns LIBKDUMP_OK or LIBKDUMP_LACKING
 * as libkdump_dump_save(). Errors: LIBKDUMP_ERR_IO with `os_errno`, LIBKDUMP_ERR_CANCELLED,
 * LIBKDUMP_ERR_UNSUPPORTED, LIBKDUMP_ERR_REFUSED for a file the dump is read from and for one opened with O_APPEND
 * where LIBKDUMP_SAVE_FLATTEN is not given.
 */
int libkdump_dump_save_fd(const struct libkdump_dump *dump,
                          int fd,
                          const struct libkdump_save_options *options,
                          libkdump_progress_fn progress,
                          void *user,
                          struct libkdump_save_report *report,
                          struct libkdump_error *error);

/**
 * Saves a dump through a function of the caller.
 *
 * Where the function writes cannot be known: it must not write over what the dump is read from.
 *
 * Parameters: `dump` the source; `write` and `write_user` the function and its first argument; the
 * others as for libkdump_dump_save_fd(), without LIBKDUMP_SAVE_FLATTEN. Returns LIBKDUMP_OK or LIBKDUMP_LACKING as libkdump_dump_save().
 * Errors: those of libkdump_dump_save_fd(), LIBKDUMP_ERR_IO also for what the function returns.
 */
int libkdump_dump_save_callback(const struct libkdump_dump *dump,
                                libkdump_write_fn write,
                                void *write_user,
                                const struct libkdump_save_options *options,
                                libkdump_progress_fn progress,
                                void *user,
                                struct libkdump_save_report *report,
                                struct libkdump_error *error);

/**
 * Reads all notes, registers and memory of a dump.
 *
 * Parameters: `dump` the dump; `progress` (may be NULL) is called with `user` about every 2 MiB;
 * `verification` receives the handle, to be freed with libkdump_verification_free(); `error` may
 * be NULL. Damage is not a failure of this call. Errors: LIBKDUMP_ERR_CANCELLED.
 */
int libkdump_dump_verify(const struct libkdump_dump *dump,
                         libkdump_progress_fn progress,
                         void *user,
                         struct libkdump_verification **verification,
                         struct libkdump_error *error);

/**
 * Frees a verification.
 *
 * Parameters: `verification` may be NULL.
 */
void libkdump_verification_free(struct libkdump_verification *verification);

/**
 * The sum of a verification.
 *
 * Parameters: `verification` the result; `out` receives the numbers; `error` may be NULL.
 */
int libkdump_verification_get_info(const struct libkdump_verification *verification,
                                   struct libkdump_verification_info *out,
                                   struct libkdump_error *error);

/**
 * One range of memory that could not be read, and why.
 *
 * Parameters: `verification` the result; `index` from 0; `range` receives the range, of kind
 * LIBKDUMP_PAGE_STORED; `cause` (may be NULL) is filled as if reading its first byte had failed
 * with it; `error` may be NULL. Returns LIBKDUMP_END behind the last.
 */
int libkdump_verification_unreadable(const struct libkdump_verification *verification,
                                     uint32_t index,
                                     struct libkdump_range *range,
                                     struct libkdump_error *cause,
                                     struct libkdump_error *error);

/**
 * One defect of headers, notes or registers.
 *
 * Parameters: `verification` the result; `index` from 0; `cause` is filled as if a call had failed
 * with it; `error` may be NULL. Returns LIBKDUMP_END behind the last.
 */
int libkdump_verification_defect(const struct libkdump_verification *verification,
                                 uint32_t index,
                                 struct libkdump_error *cause,
                                 struct libkdump_error *error);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* LIBKDUMP_H */
