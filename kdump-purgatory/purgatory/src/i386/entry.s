# How the purgatory for i386 is entered and how it leaves.
#
# Entered in protected mode with paging off, flat segments, interrupts off and nothing else to rely
# on: the descriptor tables may have a limit of zero, so that no selector can be loaded and any
# exception is a triple fault; CR4 may be zero; the stack lies in a page of the dead kernel. The
# program is linked for its address, which is therefore written wherever one is needed.

    .section .text.entry, "ax", @progbits
    .code32

    .globl purgatory_start
    .type purgatory_start, @function
purgatory_start:
    cli
    cld
    lea esp, [stack_end]

    # Own descriptors, before any selector is touched, with the selectors of the boot protocol.
    lgdt [gdt_pointer]
    mov eax, 0x18
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov fs, eax
    mov gs, eax
    push 0x10
    lea eax, [1f]
    push eax
    retf
1:
    # An NMI, say of a watchdog, must not cost the dump: it is ignored. Every exception stays
    # what it was on entry, a triple fault, which resets the machine.
    lea eax, [ignore_nmi]
    mov word ptr [nmi_gate], ax
    shr eax, 16
    mov word ptr [nmi_gate + 6], ax
    lidt [idt_pointer]

    # Returns only when the next kernel is to be entered; 16-byte aligned stack here.
    call purgatory_main

    mov eax, dword ptr [entry32_regs + 0]
    mov ebx, dword ptr [entry32_regs + 4]
    mov ecx, dword ptr [entry32_regs + 8]
    mov edx, dword ptr [entry32_regs + 12]
    mov esi, dword ptr [entry32_regs + 16]
    mov edi, dword ptr [entry32_regs + 20]
    mov esp, dword ptr [entry32_regs + 24]
    mov ebp, dword ptr [entry32_regs + 28]
    jmp dword ptr [entry32_regs + 32]
    .size purgatory_start, . - purgatory_start

# Runs on the stack of what it interrupts, which keeps nothing below its stack pointer.
    .type ignore_nmi, @function
ignore_nmi:
    iretd
    .size ignore_nmi, . - ignore_nmi

# For compiled code, which copies arrays by it: (destination, source, bytes) on the stack, the
# destination in eax on return; esi and edi are the caller's.
    .globl memcpy
    .type memcpy, @function
memcpy:
    push edi
    push esi
    mov edi, [esp + 12]
    mov esi, [esp + 16]
    mov ecx, [esp + 20]
    mov eax, edi
    rep movsb
    pop esi
    pop edi
    ret
    .size memcpy, . - memcpy

# As well: (one, another, bytes), not 0 in eax if they differ.
    .globl bcmp
    .type bcmp, @function
bcmp:
    push edi
    push esi
    mov edi, [esp + 12]
    mov esi, [esp + 16]
    mov ecx, [esp + 20]
    xor eax, eax
    repe cmpsb
    setne al
    pop esi
    pop edi
    ret
    .size bcmp, . - bcmp

# Flat descriptors, 0x10 code and 0x18 data.
    .section .rodata.gdt, "a", @progbits
    .balign 8
gdt:
    .quad 0
    .quad 0
    .quad 0x00cf9b000000ffff
    .quad 0x00cf93000000ffff
gdt_pointer:
    .word 4 * 8 - 1
    .long gdt
idt_pointer:
    .word 3 * 8 - 1
    .long idt

# Interrupt gates for vectors 0 to 2, of which only the NMI's is present; its offset is filled in
# at run time (Intel SDM vol. 3, "IDT Descriptors").
    .section .data.idt, "aw", @progbits
    .balign 8
idt:
    .quad 0, 0
nmi_gate:
    .word 0, 0x10, 0x8e00, 0

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
