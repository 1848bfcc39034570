# How the purgatory for ppc64le is entered and how it leaves.
#
# Entered little-endian in real mode: the MMU and external interrupts are off, the physical number of
# the processor is in r3, and there is nothing else to rely on. Everything is addressed relative to
# r2, as compiled code has it (64-Bit ELF V2 ABI, "TOC Pointer Usage").

    .section .text.entry, "ax", @progbits

# The dead kernel copies the first 256 bytes to address 0 and releases the other processors to
# address 0x60. All of them but the first instruction are those of the next kernel, in which they wait
# until it calls them.
    .globl purgatory_start
    .type purgatory_start, @function
purgatory_start:
    b 1f
    .globl purgatory_head
    .type purgatory_head, @object
purgatory_head:
    .skip 252
    .size purgatory_head, . - purgatory_head

1:  mr 30, 3
    bcl 20, 31, .Lhere
.Lhere:
    mflr 12
    addis 2, 12, .TOC.-.Lhere@ha
    addi 2, 2, .TOC.-.Lhere@l

    # Compiled code may use the registers of the floating-point and vector units (Power ISA, MSR: FP,
    # VEC and VSX), which nothing has switched on.
    mfmsr 31
    ori 0, 31, 0x2000
    oris 0, 0, 0x0280
    mtmsrd 0
    isync

    addis 1, 2, stack_end@toc@ha
    addi 1, 1, stack_end@toc@l
    addi 1, 1, -64
    li 0, 0
    std 0, 0(1)

    # Returns only when the next kernel is to be entered.
    bl purgatory_main
    nop

    # The next kernel boots on this processor, which the tree names in its header: boot_cpuid_phys, at
    # 28, big-endian (Devicetree Specification, "Header").
    addis 3, 2, ppc64_dtb_addr@toc@ha
    addi 3, 3, ppc64_dtb_addr@toc@l
    ld 3, 0(3)
    li 5, 28
    stwbrx 30, 3, 5

    # The tree in r3, the place of the kernel in r4, no open firmware in r5. In big-endian mode, as
    # ePAPR ("Boot Program Image Entry") has it; kernels of either order begin with code for both.
    addis 4, 2, ppc64_kernel_entry@toc@ha
    addi 4, 4, ppc64_kernel_entry@toc@l
    ld 4, 0(4)
    li 5, 0
    li 6, 0
    li 7, 0
    li 8, 0
    li 9, 0
    sync
    isync
    li 10, 1
    andc 31, 31, 10
    mtsrr0 4
    mtsrr1 31
    rfid
    .size purgatory_start, . - purgatory_start

# Writes one byte, in r4, to the terminal of r3: H_PUT_TERM_CHAR (LoPAPR, "H_PUT_TERM_CHAR"). The
# characters are the bytes of r6 and r7 from the highest on. Returns what the hypervisor does.
    .section .text.hypervisor, "ax", @progbits
    .globl put_term_char
    .type put_term_char, @function
put_term_char:
    sldi 6, 4, 56
    mr 4, 3
    li 3, 0x58
    li 5, 1
    li 7, 0
    sc 1
    blr
    .size put_term_char, . - put_term_char

# For compiled code, which copies and compares arrays by them.
    .globl memcpy
    .type memcpy, @function
memcpy:
    mr 6, 3
    cmpdi 5, 0
    beqlr
    mtctr 5
2:  lbz 7, 0(4)
    stb 7, 0(6)
    addi 4, 4, 1
    addi 6, 6, 1
    bdnz 2b
    blr
    .size memcpy, . - memcpy

    .globl bcmp
    .type bcmp, @function
bcmp:
    mr 6, 3
    li 3, 0
    cmpdi 5, 0
    beqlr
    mtctr 5
3:  lbz 7, 0(4)
    lbz 8, 0(6)
    xor 7, 7, 8
    or 3, 3, 7
    addi 4, 4, 1
    addi 6, 6, 1
    bdnz 3b
    blr
    .size bcmp, . - bcmp

# Bytes of the object, not .bss: whatever is loaded is in the file.
    .section .data.stack, "aw", @progbits
    .balign 16
    .globl stack
    .type stack, @object
stack:
    .skip 4096
    .size stack, . - stack
    .globl stack_end
stack_end:
