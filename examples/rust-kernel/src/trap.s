# Every exception and NMI: saves all registers in the order of pr_reg and never returns.
#
# An exception in this kernel is its end, so nothing restores registers and there is no iretq.

    .section .text.trap, "ax", @progbits
    .code64
# One stub of 16 bytes per vector. The CPU pushes an error code for some (Intel SDM vol. 3,
# "Error Code"); the others push 0 to make the frames alike.
    .balign 16
    .globl trap_stubs
trap_stubs:
    .set vector, 0
    .rept 32
    .balign 16
    .if ((0x60227d00 >> vector) & 1) == 0
    push 0
    .endif
    push rdi
    mov edi, vector
    jmp trap_common
    .set vector, vector + 1
    .endr

trap_common:
    push rsi
    push rdx
    push rcx
    push rax
    push r8
    push r9
    push r10
    push r11
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    mov esi, edi
    mov rdi, rsp
    # The crash path has a stack of its own, the first field of the per-CPU data: the one that
    # was in use may be what is broken.
    mov rsp, gs:[0]
    xor ebp, ebp
    cld
    call trap
    ud2

# What follows is called from Rust; debuggers learn where the saved registers are.
    .macro save register
    push \register
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset \register, 0
    .endm
    .macro restore register
    pop \register
    .cfi_adjust_cfa_offset -8
    .cfi_restore \register
    .endm

# switch_stack(rdi: where to leave the stack pointer, rsi: the stack pointer to take).
    .section .text.switch_stack, "ax", @progbits
    .globl switch_stack
    .type switch_stack, @function
switch_stack:
    .cfi_startproc
    save rbx
    save rbp
    save r12
    save r13
    save r14
    save r15
    mov [rdi], rsp
    mov rsp, rsi
    restore r15
    restore r14
    restore r13
    restore r12
    restore rbp
    restore rbx
    ret
    .cfi_endproc
    .size switch_stack, . - switch_stack

# hold(rdi: base of the values, rsi: turns): r12 to r15 hold known values for a while, for a
# dump to show.
    .section .text.hold, "ax", @progbits
    .globl hold
    .type hold, @function
hold:
    .cfi_startproc
    save r12
    save r13
    save r14
    save r15
    lea r12, [rdi + 12]
    lea r13, [rdi + 13]
    lea r14, [rdi + 14]
    lea r15, [rdi + 15]
1:  pause
    dec rsi
    jnz 1b
    restore r15
    restore r14
    restore r13
    restore r12
    ret
    .cfi_endproc
    .size hold, . - hold

# enter(rdi: address): leaves this kernel in the state Linux leaves its own in: CR4 reduced to
# PAE, descriptor tables empty, all registers 0, on an identity map that the caller made.
    .section .text.enter, "ax", @progbits
    .globl enter
    .type enter, @function
enter:
    cli
    mov rax, cr3
    mov cr3, rax
    mov eax, 1 << 5
    mov cr4, rax
    push 0
    push 0
    lidt [rsp]
    lgdt [rsp]
    xor eax, eax
    mov rbx, rax
    mov rcx, rax
    mov rdx, rax
    mov rsi, rax
    mov rbp, rax
    mov r8, rax
    mov r9, rax
    mov r10, rax
    mov r11, rax
    mov r12, rax
    mov r13, rax
    mov r14, rax
    mov r15, rax
    push rdi
    xor edi, edi
    ret
    .size enter, . - enter
