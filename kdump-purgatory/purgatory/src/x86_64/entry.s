# How the purgatory for x86_64 is entered and how it leaves.
#
# Entered in 64-bit mode with an identity map, interrupts off and nothing else to rely on: the
# descriptor tables may have a limit of zero, so that no selector can be loaded and any
# exception is a triple fault; CR4 is reduced to PAE (and LA57, MCE), so that SSE is undefined;
# the stack lies in a page of the dead kernel. Every address is formed relative to RIP because
# the program may lie above 4 GiB.

    .section .text.entry, "ax", @progbits
    .code64

    .globl purgatory_start
    .type purgatory_start, @function
purgatory_start:
    cli
    cld
    lea rsp, [rip + stack_end]

    # Own descriptors, before any selector is touched.
    lea rax, [rip + gdt64]
    call load_gdt
    mov eax, 0x18
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov fs, eax
    mov gs, eax
    push 0x10
    lea rax, [rip + 1f]
    push rax
    retfq
1:
    # An NMI, say of a watchdog, must not cost the dump: it is ignored. Every exception stays
    # what it was on entry, a triple fault, which resets the machine.
    lea rax, [rip + ignore_nmi]
    lea rdx, [rip + nmi_gate]
    mov [rdx], ax
    shr rax, 16
    mov [rdx + 6], ax
    shr rax, 16
    mov [rdx + 8], eax
    sub rsp, 16
    mov word ptr [rsp], 3 * 16 - 1
    lea rax, [rip + idt]
    mov [rsp + 2], rax
    lidt [rsp]
    add rsp, 16

    # SSE, which compiled code uses freely (Intel SDM vol. 3, "Providing Operating System
    # Support for SSE"): CR0.EM and CR0.TS clear, CR0.MP set, CR4.OSFXSR and CR4.OSXMMEXCPT set.
    mov rax, cr0
    push rax
    and eax, ~((1 << 2) | (1 << 3))
    or eax, 1 << 1
    mov cr0, rax
    mov rax, cr4
    push rax
    or eax, (1 << 9) | (1 << 10)
    mov cr4, rax

    # Returns only when the next kernel is to be entered; 16-byte aligned stack here.
    call purgatory_main

    # The next kernel finds the control registers as the dead one left them.
    pop rax
    mov cr4, rax
    pop rax
    mov cr0, rax

    cmp qword ptr [rip + entry64_regs + 128], 0
    je enter32

    mov rax, [rip + entry64_regs + 0]
    mov rbx, [rip + entry64_regs + 8]
    mov rcx, [rip + entry64_regs + 16]
    mov rdx, [rip + entry64_regs + 24]
    mov rsi, [rip + entry64_regs + 32]
    mov rdi, [rip + entry64_regs + 40]
    mov rsp, [rip + entry64_regs + 48]
    mov rbp, [rip + entry64_regs + 56]
    mov r8, [rip + entry64_regs + 64]
    mov r9, [rip + entry64_regs + 72]
    mov r10, [rip + entry64_regs + 80]
    mov r11, [rip + entry64_regs + 88]
    mov r12, [rip + entry64_regs + 96]
    mov r13, [rip + entry64_regs + 104]
    mov r14, [rip + entry64_regs + 112]
    mov r15, [rip + entry64_regs + 120]
    jmp [rip + entry64_regs + 128]
    .size purgatory_start, . - purgatory_start

# Loads the four descriptors at rax.
    .type load_gdt, @function
load_gdt:
    sub rsp, 16
    mov word ptr [rsp], 4 * 8 - 1
    mov [rsp + 2], rax
    lgdt [rsp]
    add rsp, 16
    ret
    .size load_gdt, . - load_gdt

# Runs on the stack of what it interrupts, which keeps nothing below its stack pointer: the
# program is compiled without a red zone.
    .type ignore_nmi, @function
ignore_nmi:
    iretq
    .size ignore_nmi, . - ignore_nmi

# Leaves 64-bit mode (Intel SDM vol. 3, "Switching Out of IA-32e Mode Operation") and enters a
# kernel by its 32-bit boot protocol. The program lies below 4 GiB here: linking sees to it.
    .type enter32, @function
enter32:
    lea rbp, [rip + entry32_regs]
    mov eax, [rbp + 32]
    mov [rip + jump_eip], eax
    # Gates of 64-bit mode mean nothing outside it.
    push 0
    push 0
    lidt [rsp]
    lea rax, [rip + gdt32]
    call load_gdt
    push 0x10
    lea rax, [rip + compatibility]
    push rax
    retfq

    .code32
compatibility:
    mov eax, 0x18
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov fs, eax
    mov gs, eax
    mov eax, cr0
    and eax, ~(1 << 31)
    mov cr0, eax
    jmp 1f
1:
    mov ecx, 0xc0000080
    rdmsr
    and eax, ~(1 << 8)
    wrmsr
    xor eax, eax
    mov cr4, eax

    mov eax, [ebp + 0]
    mov ebx, [ebp + 4]
    mov ecx, [ebp + 8]
    mov edx, [ebp + 12]
    mov esi, [ebp + 16]
    mov edi, [ebp + 20]
    mov esp, [ebp + 24]
    mov ebp, [ebp + 28]
    # A far jump to an address stored in the instruction itself: all registers are spoken for,
    # and 32-bit code could name a variable only by an absolute address.
    .byte 0xea
jump_eip:
    .long 0
    .word 0x10
    .size enter32, . - enter32
    .code64

# Flat descriptors with the selectors of the boot protocol, 0x10 code and 0x18 data.
    .section .rodata.gdt, "a", @progbits
    .balign 8
gdt64:
    .quad 0
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
gdt32:
    .quad 0
    .quad 0
    .quad 0x00cf9b000000ffff
    .quad 0x00cf93000000ffff

# Interrupt gates for vectors 0 to 2, of which only the NMI's is present; its offset is filled in
# at run time (Intel SDM vol. 3, "64-Bit Mode IDT").
    .section .data.idt, "aw", @progbits
    .balign 8
idt:
    .quad 0, 0, 0, 0
nmi_gate:
    .word 0, 0x10, 0x8e00, 0
    .long 0, 0

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
