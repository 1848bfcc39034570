/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * kdump.so: libkdump inside the crash utility (crash> extend ./kdump.so; crash> help kdump).
 *
 * crash leaves a command by longjmp() when Ctrl-C is typed, a pipe closes or error(FATAL) is
 * called. None of that may jump over a frame of the library, so signals are held back while it
 * runs, errors are printed only after it has returned, and what a jump over this file's frames
 * would leak hangs on static pointers.
 */

#include <inttypes.h>
#include <signal.h>

#include <crash/defs.h>

#include <kdump.h>

static struct libkdump_dump *opened;        /* by the first command */
static struct libkdump_verification *verification;
static int (*own_readmem)(int, void *, int, ulong, physaddr_t); /* crash's, while diverted */
static ulong diverted_reads, diverted_failures;
static int hole_error;                  /* what crash answers for addresses that are not RAM */

/* Holds back what would jump out of the library. */
static void hold(sigset_t *before)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGPIPE);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, before);
}

/* Lets it come, and with it a jump. */
static void release(const sigset_t *before)
{
    sigprocmask(SIG_SETMASK, before, NULL);
}

/* Runs a call of the library with signals held back; gives what it returns. */
#define HELD(call)            \
    ({                        \
        sigset_t before_;     \
        int code_;            \
                              \
        hold(&before_);       \
        code_ = (call);       \
        release(&before_);    \
        code_;                \
    })

static void say(const char *what, const struct libkdump_error *why)
{
    error(INFO, "%s: %s\n", what, why->message);
}

/* The dump crash has open, or NULL after a message. */
static const struct libkdump_dump *the_dump(void)
{
    struct libkdump_error why = { .size = sizeof(why) };
    const char *path = pc->dumpfile;

    if (opened)
        return opened;
    if (!path || ACTIVE()) {
        error(INFO, "there is no dump file in this session\n");
        return NULL;
    }
    if (HELD(libkdump_dump_open(&path, 1, NULL, &opened, &why)))
        say(path, &why);
    return opened;
}

/* Takes the place of pc->readmem: prints nothing, the caller decides what a failure means. */
static int read_by_libkdump(int fd, void *buf, int len, ulong vaddr, physaddr_t paddr)
{
    int code = HELD(libkdump_dump_read_phys(opened, paddr, buf, len, NULL, NULL));

    (void)fd;
    (void)vaddr;
    diverted_reads++;
    if (code == LIBKDUMP_OK)
        return len;
    diverted_failures++;
    switch (code) {
    case LIBKDUMP_ERR_HOLE:
        return hole_error;
    case LIBKDUMP_ERR_EXCLUDED:
        return PAGE_EXCLUDED;
    default:
        return READ_ERROR;
    }
}

static void divert(void)
{
    struct libkdump_dump_info info = { .size = sizeof(info) };
    struct libkdump_error why = { .size = sizeof(why) };

    if (own_readmem) {
        fprintf(fp, "physical reads go through libkdump already\n");
        return;
    }
    if (!the_dump())
        return;
    if (HELD(libkdump_dump_get_info(opened, &info, &why))) {
        say("on", &why);
        return;
    }
    /* crash's reader of ELF dumps calls a hole a read error, that of compressed ones a seek error. */
    hole_error = info.format == LIBKDUMP_FORMAT_ELF ? READ_ERROR : SEEK_ERROR;
    own_readmem = pc->readmem;
    pc->readmem = read_by_libkdump;
    diverted_reads = diverted_failures = 0;
    fprintf(fp, "physical reads go through libkdump %s\n", libkdump_version_string());
}

static void restore(void)
{
    if (!own_readmem) {
        fprintf(fp, "physical reads go through crash\n");
        return;
    }
    pc->readmem = own_readmem;
    own_readmem = NULL;
    fprintf(fp, "physical reads go through crash again; libkdump did %lu, %lu failed\n",
        diverted_reads, diverted_failures);
}

static void show_info(void)
{
    const struct libkdump_dump *dump = the_dump();
    struct libkdump_dump_info info = { .size = sizeof(info) };
    struct libkdump_error why = { .size = sizeof(why) }, defect = { .size = sizeof(defect) };
    const char *format, *arch;
    uint32_t i;

    if (!dump)
        return;
    if (HELD(libkdump_dump_get_info(dump, &info, &why))) {
        say("info", &why);
        return;
    }
    format = libkdump_format_name(info.format);
    arch = libkdump_arch_name(info.arch);
    fprintf(fp, "    LIBRARY: libkdump %s\n", libkdump_version_string());
    fprintf(fp, "       FILE: %s\n", pc->dumpfile);
    fprintf(fp, "     FORMAT: %s, %s\n", format ? format : "unknown", arch ? arch : "unknown");
    fprintf(fp, "  PAGE SIZE: %" PRIu64 "\n", info.page_size);
    fprintf(fp, "     MEMORY: %" PRIu64 " bytes in %" PRIu32 " ranges\n", info.memory, info.ranges);
    fprintf(fp, "       CPUS: %" PRIu32 "\n", info.cpus);
    fprintf(fp, "   COMPLETE: %s", info.complete ? "yes" : "no");
    if (info.missing)
        fprintf(fp, ", %" PRIu64 " bytes are behind the end of the file", info.missing);
    fprintf(fp, "\n");
    for (i = 0; i < info.defects; i++)
        if (HELD(libkdump_dump_defect(dump, i, &defect, NULL)) == LIBKDUMP_OK)
            fprintf(fp, "     DEFECT: %s\n", defect.message);
    if (own_readmem)
        fprintf(fp, "      READS: through libkdump, %lu so far, %lu failed\n", diverted_reads,
            diverted_failures);
    else
        fprintf(fp, "      READS: through crash\n");
}

static void show_cpu(const struct libkdump_dump *dump, uint32_t index)
{
    struct libkdump_register reg = { .size = sizeof(reg) };
    struct libkdump_error why = { .size = sizeof(why) };
    struct libkdump_cpu cpu = { .size = sizeof(cpu) };
    uint32_t i;
    int code;

    if (HELD(libkdump_dump_cpu(dump, index, &cpu, &why))) {
        say("CPU", &why);
        return;
    }
    fprintf(fp, "CPU NOTE %" PRIu32 "  PID: %" PRId32 "\n", index, cpu.pid);
    for (i = 0; (code = HELD(libkdump_dump_register_at(dump, index, i, &reg, &why))) == LIBKDUMP_OK; i++)
        fprintf(fp, "%10s: %016" PRIx64 "%s", reg.name, reg.value, i % 3 == 2 ? "\n" : "");
    fprintf(fp, "%s\n", i % 3 ? "\n" : "");
    if (code != LIBKDUMP_END)
        say("registers", &why);
}

static void show_cpus(void)
{
    const struct libkdump_dump *dump = the_dump();
    struct libkdump_dump_info info = { .size = sizeof(info) };
    uint32_t i;

    if (!dump || HELD(libkdump_dump_get_info(dump, &info, NULL)))
        return;
    for (i = 0; i < info.cpus; i++)
        show_cpu(dump, i);
}

/* A number as a C programmer writes it; 0 and a message when it is none. */
static int number(const char *text, uint64_t *value)
{
    char *end;

    errno = 0;
    *value = strtoull(text, &end, 0);
    if (errno == 0 && end != text && *end == '\0' && *text != '-')
        return 1;
    error(INFO, "not a number: %s\n", text);
    return 0;
}

static const char *state_name(uint32_t state)
{
    switch (state) {
    case LIBKDUMP_PAGE_STORED:
        return "stored";
    case LIBKDUMP_PAGE_HOLE:
        return "not RAM";
    case LIBKDUMP_PAGE_MISSING:
        return "missing: the file is truncated";
    case LIBKDUMP_PAGE_UNREADABLE:
        return "lost: it could not be read when the dump was saved";
    case LIBKDUMP_PAGE_CORRUPT:
        return "corrupt";
    case LIBKDUMP_PAGE_ZERO:
        return "zero";
    case LIBKDUMP_PAGE_UNKNOWN:
        return "unknown";
    default:    /* the codes between these say why a page was left out */
        return "excluded";
    }
}

static void show_pages(void)
{
    const struct libkdump_dump *dump = the_dump();
    struct libkdump_error why = { .size = sizeof(why) };
    uint32_t state;
    uint64_t pfn;
    int i;

    for (i = 2; dump && i < argcnt; i++) {
        if (!number(args[i], &pfn))
            return;
        if (HELD(libkdump_dump_page_state(dump, pfn, &state, &why)))
            say(args[i], &why);
        else
            fprintf(fp, "%16" PRIx64 "  %s\n", pfn, state_name(state));
    }
}

static void show_bytes(uint64_t address, const unsigned char *bytes, size_t len)
{
    size_t at, i;

    for (at = 0; at < len; at += 16) {
        fprintf(fp, "%16" PRIx64 ": ", address + at);
        for (i = at; i < at + 16; i++)
            i < len ? fprintf(fp, " %02x", bytes[i]) : fprintf(fp, "   ");
        fprintf(fp, "  ");
        for (i = at; i < at + 16 && i < len; i++)
            fputc(bytes[i] >= ' ' && bytes[i] <= '~' ? bytes[i] : '.', fp);
        fputc('\n', fp);
    }
}

/* In pieces, so that no length is too long and what can be read is shown. */
static void show_memory(const char *address_text, const char *len_text, int is_virtual)
{
    const struct libkdump_dump *dump = the_dump();
    struct libkdump_error why = { .size = sizeof(why) };
    unsigned char piece[4096];
    uint64_t address, len;
    size_t done;
    int code;

    if (!dump || !number(address_text, &address) || !number(len_text, &len))
        return;
    while (len) {
        size_t want = len < sizeof(piece) ? len : sizeof(piece);

        if (is_virtual)
            code = HELD(libkdump_dump_read_virt(dump, address, piece, want, &done, &why));
        else
            code = HELD(libkdump_dump_read_phys(dump, address, piece, want, &done, &why));
        show_bytes(address, piece, done);
        if (code) {
            say("read", &why);
            return;
        }
        address += done;
        len -= done;
    }
}

/* Stops the library when a signal waits to interrupt the command. */
static int is_interrupted(void *user, const struct libkdump_progress *progress)
{
    sigset_t pending;

    (void)user;
    (void)progress;
    return sigpending(&pending) == 0 && (sigismember(&pending, SIGINT) || sigismember(&pending, SIGTERM));
}

static void verify(void)
{
    const struct libkdump_dump *dump = the_dump();
    struct libkdump_verification_info info = { .size = sizeof(info) };
    struct libkdump_error why = { .size = sizeof(why) }, cause = { .size = sizeof(cause) };
    struct libkdump_range range = { .size = sizeof(range) };
    uint32_t i;

    if (!dump)
        return;
    libkdump_verification_free(verification);
    verification = NULL;
    if (HELD(libkdump_dump_verify(dump, is_interrupted, NULL, &verification, &why)) ||
        HELD(libkdump_verification_get_info(verification, &info, &why))) {
        say("verify", &why);
        return;
    }
    for (i = 0; i < info.unreadable_ranges; i++)
        if (!HELD(libkdump_verification_unreadable(verification, i, &range, &cause, NULL)))
            fprintf(fp, "%16" PRIx64 " +%" PRIx64 ": %s\n", range.start, range.length, cause.message);
    for (i = 0; i < info.defects; i++)
        if (!HELD(libkdump_verification_defect(verification, i, &cause, NULL)))
            fprintf(fp, "%s\n", cause.message);
    if (info.unlisted_ranges)
        fprintf(fp, "and %" PRIu64 " more ranges\n", info.unlisted_ranges);
    fprintf(fp, "%s: %" PRIu64 " bytes of memory, %" PRIu64 " unreadable, %" PRIu32 " other defects\n",
        info.sound ? "sound" : "damaged", info.memory, info.unreadable, info.defects);
}

static void cmd_kdump(void)
{
    const char *what = argcnt > 1 ? args[1] : "";
    int is_virtual = argcnt > 2 && STREQ(args[2], "-v");

    if (STREQ(what, "info") && argcnt == 2)
        show_info();
    else if (STREQ(what, "cpus") && argcnt == 2)
        show_cpus();
    else if (STREQ(what, "pages") && argcnt > 2)
        show_pages();
    else if (STREQ(what, "read") && argcnt == 4 + is_virtual)
        show_memory(args[2 + is_virtual], args[3 + is_virtual], is_virtual);
    else if (STREQ(what, "verify") && argcnt == 2)
        verify();
    else if (STREQ(what, "on") && argcnt == 2)
        divert();
    else if (STREQ(what, "off") && argcnt == 2)
        restore();
    else
        cmd_usage(pc->curcmd, SYNOPSIS);
}

static char *help_kdump[] = {
    "kdump",
    "the dump as libkdump reads it",
    "info | cpus | pages PFN... | read [-v] ADDRESS LENGTH | verify | on | off",
    "  info      format, memory and completeness of the dump file",
    "  cpus      the registers of every CPU, from its note",
    "  pages     whether each page is stored, was excluded, or is not RAM",
    "  read      bytes at a physical address, or with -v a virtual one",
    "  verify    reads everything and reports what cannot be read",
    "  on, off   divert crash's own reads of physical memory to libkdump, and back",
    "",
    "  Numbers are decimal unless they begin with 0x.",
    NULL
};

static struct command_table_entry command_table[] = {
    { "kdump", cmd_kdump, help_kdump, MINIMAL },
    { NULL }
};

__attribute__((constructor)) static void plugin_init(void)
{
    register_extension(command_table);
}

__attribute__((destructor)) static void plugin_fini(void)
{
    if (own_readmem)
        pc->readmem = own_readmem;
    libkdump_verification_free(verification);
    libkdump_dump_free(opened);
}
