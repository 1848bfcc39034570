// How the purgatory for arm64 is entered and how it leaves.
//
// Entered at EL1 or EL2 with the MMU and the data cache off, exceptions masked and nothing else to
// rely on. Memory is of type Device then: no access may be unaligned, which the code is compiled for.
// Only the digest is computed with both on.
// Everything is addressed relative to the program counter, because the program may lie anywhere.

    .section .text.entry, "ax", @progbits

    .globl purgatory_start
    .type purgatory_start, @function
purgatory_start:
    msr daifset, #0xf
    adr x0, stack_end
    mov sp, x0

    // The registers of SIMD, which the digest may use (Arm ARM, CPACR_EL1 and CPTR_EL2): allowed at
    // EL1 by FPEN, at EL2 by FPEN where the host extensions are on, else by TFP.
    mrs x19, CurrentEL
    cmp x19, #0x8
    b.eq 1f
    mrs x20, cpacr_el1
    orr x0, x20, #0x300000
    msr cpacr_el1, x0
    b 3f
1:  mrs x20, cptr_el2
    mrs x0, hcr_el2
    tbz x0, #34, 2f
    orr x0, x20, #0x300000
    msr cptr_el2, x0
    b 3f
2:  bic x0, x20, #0x400
    msr cptr_el2, x0
3:  isb

    // Returns only when the next kernel is to be entered; 16-byte aligned stack here.
    bl purgatory_main

    // The next kernel finds the control register as the dead one left it.
    cmp x19, #0x8
    b.eq 4f
    msr cpacr_el1, x20
    b 5f
4:  msr cptr_el2, x20
5:  dsb sy
    ic iallu
    dsb sy
    isb

    // Documentation/arch/arm64/booting.rst, "Call the kernel image".
    adr x4, arm64_kernel_entry
    ldr x4, [x4]
    adr x0, arm64_dtb_addr
    ldr x0, [x0]
    mov x1, xzr
    mov x2, xzr
    mov x3, xzr
    br x4
    .size purgatory_start, . - purgatory_start

// Bytes of the object, not .bss: whatever is loaded is in the file.
    .section .data.stack, "aw", @progbits
    .balign 16
    .globl stack
    .type stack, @object
stack:
    .skip 4096
    .size stack, . - stack
    .globl stack_end
stack_end:

// Page tables of the identity map, 24 of them, cleared when they are used. They are no bytes of the
// object; the map and what is cleaned afterwards reach from the first instruction to their end.
    .section .tables, "aw", @nobits
    .balign 4096
    .globl tables
    .type tables, @object
tables:
    .skip 24 * 4096
    .size tables, . - tables
    .globl tables_end
tables_end:
