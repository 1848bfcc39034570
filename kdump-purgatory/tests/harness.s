# A machine state like the one a kexec leaves, and two kernels which report how they were entered.
#
# Never run here: the bytes between harness_start and harness_end become a multiboot image
# (Multiboot 0.6.96) for an emulator, loaded at 1 MiB. Addresses are therefore written as 1 MiB
# plus a distance, and data follows at fixed places: parameters 0x102000 {source, destination,
# length, entry, whether to enter without paging}, page tables 0x400000, stack below 0x500000.

    .pushsection .rodata.harness, "a", @progbits
    .set BASE, 0x100000
    .set PARAMETERS, 0x102000
    .set TABLES, 0x400000
    .set STACK, 0x500000
    .set COM1, 0x3f8

    .code32
    .balign 16
    .globl harness_start
harness_start:
    .long 0x1badb002, 0x10000, -(0x1badb002 + 0x10000)
    .long BASE, BASE, 0, 0, BASE + (start32 - harness_start)

start32:
    cli
    cld
    movl $STACK, %esp
    .set NOTHING_AT, BASE + (nothing - harness_start)
    cmpl $0, PARAMETERS + 32
    je long_mode

    # As a kexec leaves i386: paging off, CR4 zero. Again CR0.EM and CR0.TS make exceptions of the
    # instructions of SSE and of the floating-point unit.
    movl %cr0, %eax
    orl $0xd, %eax
    movl %eax, %cr0
    xorl %eax, %eax
    movl %eax, %cr4
    movl PARAMETERS + 0, %esi
    movl PARAMETERS + 8, %edi
    movl PARAMETERS + 16, %ecx
    rep movsb
    movl PARAMETERS + 24, %eax
    movl %eax, STACK - 8
    lgdt NOTHING_AT
    lidt NOTHING_AT
    movl $(STACK - 4), %esp
    xorl %eax, %eax
    xorl %ebx, %ebx
    xorl %ecx, %ecx
    xorl %edx, %edx
    xorl %esi, %esi
    xorl %edi, %edi
    xorl %ebp, %ebp
    jmp *(STACK - 8)

long_mode:
    # 8 GiB identity mapped by 2 MiB pages: one level 4, one level 3, eight level 2 tables.
    movl $TABLES, %edi
    xorl %eax, %eax
    movl $(10 * 1024), %ecx
    rep stosl
    movl $(TABLES + 0x1003), TABLES
    movl $(TABLES + 0x2003), %eax
    movl $(TABLES + 0x1000), %edi
    movl $8, %ecx
1:  movl %eax, (%edi)
    addl $0x1000, %eax
    addl $8, %edi
    loop 1b
    movl $0x83, %eax
    xorl %ebx, %ebx
    movl $(TABLES + 0x2000), %edi
    movl $(8 * 512), %ecx
2:  movl %eax, (%edi)
    movl %ebx, 4(%edi)
    addl $0x200000, %eax
    adcl $0, %ebx
    addl $8, %edi
    loop 2b

    # CR4 is PAE alone; CR0.EM and CR0.TS make every SSE instruction an exception.
    movl $0x20, %eax
    movl %eax, %cr4
    movl $TABLES, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl %cr0, %eax
    orl $0x8000000d, %eax
    movl %eax, %cr0
    .set DESCRIPTORS_AT, BASE + (descriptors - harness_start)
    .set START64_AT, BASE + (start64 - harness_start)
    lgdt DESCRIPTORS_AT
    ljmp $0x08, $START64_AT

    .code64
start64:
    movl $PARAMETERS, %ebp
    movq 0(%rbp), %rsi
    movq 8(%rbp), %rdi
    movq 16(%rbp), %rcx
    rep movsb
    movq 24(%rbp), %rax
    lgdt NOTHING_AT
    lidt NOTHING_AT
    movl $(STACK - 8), %esp
    movq $0, (%rsp)
    xorl %ebx, %ebx
    xorl %ecx, %ecx
    xorl %edx, %edx
    xorl %esi, %esi
    xorl %edi, %edi
    xorl %ebp, %ebp
    jmp *%rax

    .balign 8
descriptors:
    .word 2 * 8 - 1
    .long BASE + (table - harness_start)
    .balign 8
table:
    .quad 0, 0x00af9b000000ffff
nothing:
    .word 0
    .quad 0


    .globl harness_kernel64
harness_kernel64:
    movq %rsp, %r8
    movl $(STACK - 0x100), %esp
    movb $'\n', %al
    call put64
    movb $'L', %al
    call put64
    .irp value, %rsi, %r8, %rbx, %rbp, %rdi, %cr0, %cr4
    movq \value, %r9
    call hex64
    .endr
    movl %cs, %r9d
    call hex64
    movl %ds, %r9d
    call hex64
    # Is low memory, without the page the firmware works in, the same at 16 MiB?
    movl $0x1000, %esi
    movl $0x1001000, %edi
    movl $0x9e000, %ecx
    repe cmpsb
    setne %r9b
    movzbl %r9b, %r9d
    call hex64
    jmp finish

hex64:
    movb $' ', %al
    call put64
    movl $16, %r10d
1:  rolq $4, %r9
    movl %r9d, %eax
    andl $15, %eax
    addl $'0', %eax
    cmpl $'9', %eax
    jbe 2f
    addl $('a' - '0' - 10), %eax
2:  call put64
    decl %r10d
    jnz 1b
    ret

put64:
    movb %al, %r11b
    movl $(COM1 + 5), %edx
1:  inb %dx, %al
    testb $0x20, %al
    jz 1b
    movb %r11b, %al
    movl $COM1, %edx
    outb %al, %dx
    ret

finish:
    movb $'\n', %al
    call put64
    movl $0x10, %eax
    outl %eax, $0xf4
1:  hlt
    jmp 1b

    .code32
    .globl harness_kernel32
harness_kernel32:
    movl %esp, PARAMETERS
    movl $(STACK - 0x100), %esp
    pushl PARAMETERS
    pushl %ebp
    pushl %edi
    pushl %ebx
    pushl %esi
    movl %cr0, %eax
    pushl %eax
    movl %cr4, %eax
    pushl %eax
    movl $0xc0000080, %ecx
    rdmsr
    pushl %eax
    movl %cs, %eax
    pushl %eax
    movl %ds, %eax
    pushl %eax
    movb $'\n', %al
    call put32
    movb $'P', %al
    call put32
    movl $10, %edi
1:  popl %ebx
    call hex32
    decl %edi
    jnz 1b
    movl $0x1000, %esi
    movl $0x1001000, %edi
    movl $0x9e000, %ecx
    repe cmpsb
    setne %bl
    movzbl %bl, %ebx
    call hex32
    movb $'\n', %al
    call put32
    movl $0x10, %eax
    outl %eax, $0xf4
1:  hlt
    jmp 1b

hex32:
    movb $' ', %al
    call put32
    movl $8, %ebp
1:  roll $4, %ebx
    movl %ebx, %eax
    andl $15, %eax
    addl $'0', %eax
    cmpl $'9', %eax
    jbe 2f
    addl $('a' - '0' - 10), %eax
2:  call put32
    decl %ebp
    jnz 1b
    ret

put32:
    movb %al, %cl
    movl $(COM1 + 5), %edx
1:  inb %dx, %al
    testb $0x20, %al
    jz 1b
    movb %cl, %al
    movl $COM1, %edx
    outb %al, %dx
    ret

    .globl harness_end
harness_end:
    .code64
    .popsection
