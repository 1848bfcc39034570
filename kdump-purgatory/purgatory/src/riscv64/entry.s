# How the purgatory for riscv64 is entered and how it leaves.
#
# Entered in supervisor mode without translation, interrupts off: a0 has the hart, nothing else is to be
# relied on. Everything is addressed relative to the program counter, because the program may lie anywhere.

    .section .text.entry, "ax", @progbits

    .globl purgatory_start
    .type purgatory_start, @function
purgatory_start:
    mv s0, a0
    lla sp, stack_end

    # Returns only when the next kernel is to be entered; 16-byte aligned stack here.
    call purgatory_main

    # Documentation/arch/riscv/boot.rst, "Register state". What was loaded are instructions now.
    fence
    fence.i
    lla t0, riscv64_kernel_entry
    ld t0, 0(t0)
    lla a1, riscv64_dtb_addr
    ld a1, 0(a1)
    mv a0, s0
    mv a2, zero
    jr t0
    .size purgatory_start, . - purgatory_start

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
