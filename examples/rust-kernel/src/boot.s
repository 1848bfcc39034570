# From the first instruction to Rust.
#
# Three ways lead here. The first kernel is started by PVH: 32-bit protected mode, paging off,
# ebx = hvm_start_info (Xen "x86/HVM direct boot ABI"). The second one is entered by the 64-bit
# boot protocol of Linux: long mode, identity map, rsi = boot_params
# (Documentation/arch/x86/boot.rst). Further CPUs come out of reset in real mode.
# All end in kernel_main or ap_main, at the virtual address of the image, on the same page
# tables: all memory from 0xffff800000000000 on, and once more from 0 on while booting.

    .section .boot, "ax", @progbits
    .globl image_start
image_start:

# Where the linker script says QEMU loads the image; known only to PVH.
    .set KERNEL_PHYSICAL, 0x400000

# Physical address of a symbol; ebp has that of the image. The assembler takes the
# difference of two symbols as a displacement in AT&T syntax only.
    .macro locate register, symbol
    .att_syntax
    leal \symbol - image_start(%ebp), %\register
    .intel_syntax noprefix
    .endm

    .code32
pvh_entry:
    cld
    mov ebp, offset KERNEL_PHYSICAL
    # Pages of 1 GiB: 512 entries map the first 512 GiB.
    locate edi, direct_pdpt
    xor ecx, ecx
1:  mov eax, ecx
    shl eax, 30
    or eax, 0x83
    mov [edi + ecx * 8], eax
    mov eax, ecx
    shr eax, 2
    mov [edi + ecx * 8 + 4], eax
    inc ecx
    cmp ecx, 512
    jb 1b
    lea eax, [edi + 3]
    locate edi, pml4
    mov [edi], eax
    # Long mode (Intel SDM vol. 3, "Initializing IA-32e Mode"): PAE, CR3, LME, PG.
    mov eax, cr4
    or eax, 1 << 5
    mov cr4, eax
    mov cr3, edi
    mov ecx, 0xc0000080
    rdmsr
    or eax, 1 << 8
    wrmsr
    mov eax, cr0
    or eax, (1 << 31) | 1
    mov cr0, eax
    locate esp, boot_stack_end
    locate eax, boot_gdt
    push 0
    push eax
    push (2 * 8 - 1) << 16
    lgdt [esp + 2]
    push 8
    locate eax, pvh64
    push eax
    retf

    .code64
pvh64:
    mov esi, ebx
    xor edi, edi
    jmp 1f

    .globl boot64
boot64:
    mov edi, 1
1:  cli
    cld
    lea rbp, [rip + image_start]
    lea rbx, [rip + direct_pdpt]
    xor ecx, ecx
2:  mov rax, rcx
    shl rax, 30
    or rax, 0x83
    mov [rbx + rcx * 8], rax
    inc ecx
    cmp ecx, 512
    jb 2b
    lea rdx, [rip + pml4]
    lea rax, [rbx + 3]
    mov [rdx], rax
    mov [rdx + 256 * 8], rax
    lea rax, [rip + image_pdpt + 3]
    mov [rdx + 511 * 8], rax
    lea rbx, [rip + image_pd + 3]
    mov [rip + image_pdpt + 510 * 8], rbx
    # The image in pages of 4 KiB, so that single ones can be taken away as guards.
    lea rbx, [rip + image_pd]
    lea rax, [rip + image_pt + 3]
    mov ecx, 4
3:  mov [rbx], rax
    add rbx, 8
    add rax, 4096
    dec ecx
    jnz 3b
    lea rbx, [rip + image_pt]
    lea rax, [rbp + 3]
    mov ecx, 4 * 512
4:  mov [rbx], rax
    add rbx, 8
    add rax, 4096
    dec ecx
    jnz 4b
    mov cr3, rdx
    mov rax, cr0
    or eax, 1 << 16
    mov cr0, rax
    # From the identity map to the virtual address of the image.
    mov rcx, 0xffffffff80000000
    sub rcx, rbp
    lea rax, [rip + 5f]
    add rax, rcx
    jmp rax
5:  lea rsp, [rip + boot_stack_end]
    # Painted (stack.rs), to see later how much of it was used.
    mov r8, rdi
    lea rdi, [rip + boot_stack]
    mov ecx, 65536
    mov al, 0xc5
    rep stosb
    mov rdi, r8
    mov rdx, rbp
    xor ebp, ebp
    call kernel_main
    ud2

    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff

# XEN_ELFNOTE_PHYS32_ENTRY: makes this ELF file bootable by PVH. Eight bytes, as QEMU reads it.
    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 8, 18
    .asciz "Xen"
    .quad pvh_entry - image_start + KERNEL_PHYSICAL

# Copied to a page below 1 MiB, where a CPU begins after INIT and SIPI: CS = page >> 4, IP = 0.
    .section .trampoline, "a", @progbits
    .balign 16
    .code16
    .globl ap_start
ap_start:
    cli
    mov ax, cs
    mov ds, ax
    # lgdt [ap_gdt_pointer], with a 32-bit base
    .byte 0x66, 0x0f, 0x01, 0x16
    .word ap_gdt_pointer - ap_start
    mov eax, cr4
    or eax, 1 << 5
    mov cr4, eax
    # mov eax, [ap_cr3]
    .byte 0x66, 0xa1
    .word ap_cr3 - ap_start
    mov cr3, eax
    mov ecx, 0xc0000080
    rdmsr
    or eax, 1 << 8
    wrmsr
    mov eax, cr0
    or eax, (1 << 31) | (1 << 16) | 1
    mov cr0, eax
    # ljmp [ap_target], a 32-bit offset and a selector
    .byte 0x66, 0xff, 0x2e
    .word ap_target - ap_start
    .code64
    .globl ap_long
ap_long:
    mov rsp, [rip + ap_stack]
    pop rdi
    xor ebp, ebp
    call [rip + ap_main_address]
    ud2
    .balign 8
ap_gdt:
    .quad 0
    .quad 0x00af9b000000ffff
# Filled in by smp.rs in the copy.
    .globl ap_gdt_pointer, ap_gdt, ap_cr3, ap_target, ap_stack, ap_main_address, ap_end
ap_gdt_pointer:
    .word 2 * 8 - 1
    .long 0
    .balign 8
ap_cr3:
    .quad 0
ap_target:
    .long 0
    .word 8
    .balign 8
ap_stack:
    .quad 0
ap_main_address:
    .quad 0
ap_end:

    .section .bss.page_tables, "aw", @nobits
    .balign 4096
    .globl pml4, direct_pdpt, image_pt, boot_stack
pml4: .skip 4096
direct_pdpt: .skip 4096
image_pdpt: .skip 4096
image_pd: .skip 4096
image_pt: .skip 4 * 4096
boot_stack:     # its lowest page becomes the guard
    .skip 65536
boot_stack_end:
