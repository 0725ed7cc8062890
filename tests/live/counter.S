/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* counter: the firmware of a guest that is nothing but this: in pass N it writes
 * N to 4 words of each of 128 pages, from MEMORY_AT on, in ascending order, two
 * pages in each tick of 1 ms.  So at any moment the words are N, N, ..., N,
 * N - 1, ..., N - 1, and memory that is not of that moment shows.  Before it
 * writes a word it checks that it is N - 1, and counts at DAMAGE_AT those that
 * are not, since what it writes hides them.
 *
 *     as --32 -o counter.o counter.S
 *     ld -m elf_i386 -Ttext 0 --oformat binary -o counter.bin counter.o
 *
 * 64 KiB, for QEMU's -bios.  QEMU starts it in real mode at its last 16 bytes.
 */
	.code16
	.globl _start
	.set	SEGMENTS, 8		/* of 64 KiB, */
	.set	MEMORY_AT, 0x10000	/* the first here */
	.set	STEP, 1024		/* bytes from word to word */
	.set	DAMAGE_AT, 0x90000
	.set	SLICE, 0x2000		/* bytes for one tick */
	.set	PIT, 1193182 / 1000	/* ticks of it between two of ours */

_start:
	cli
	cld
	xorw	%ax, %ax
	movw	%ax, %ss
	movw	%ax, %ds
	movw	$0x8000, %sp
	/* The local APIC must pass on what the interrupt controller requests;
	 * its registers are reached with a segment of 4 GiB. */
	movw	%cs, %ax
	movw	%ax, %ds
	lgdtl	gdt_at
	movl	%cr0, %eax
	orb	$1, %al
	movl	%eax, %cr0
	movw	$8, %bx
	movw	%bx, %ds
	andb	$~1, %al
	movl	%eax, %cr0
	movl	$0xfee00350, %ebx
	movl	$0x8700, (%ebx)
	xorw	%ax, %ax
	movw	%ax, %ds
	/* The timer's interrupt wakes the hlt, and does nothing else. */
	movw	$tick, 0x20 * 4
	movw	$0xf000, 0x20 * 4 + 2
	movb	$0x11, %al		/* the interrupt controller: */
	outb	%al, $0x20
	movb	$0x20, %al		/* vectors from 0x20 on, */
	outb	%al, $0x21
	movb	$0x04, %al
	outb	%al, $0x21
	movb	$0x01, %al
	outb	%al, $0x21
	movb	$0xfe, %al		/* the timer's alone */
	outb	%al, $0x21
	movb	$0x34, %al		/* the timer: again and again */
	outb	%al, $0x43
	movb	$(PIT & 0xff), %al
	outb	%al, $0x40
	movb	$(PIT >> 8), %al
	outb	%al, $0x40
	movw	$(DAMAGE_AT >> 4), %ax
	movw	%ax, %fs
	xorl	%edx, %edx

pass:
	movl	%edx, %eax
	incl	%edx
	movw	$(MEMORY_AT >> 4), %bx
	movw	$SEGMENTS, %cx
segment:
	movw	%bx, %es
	xorw	%di, %di
word:
	cmpl	%eax, %es:(%di)
	je	sound
	incl	%fs:0
sound:
	movl	%edx, %es:(%di)
	addw	$STEP, %di
	testw	$(SLICE - 1), %di
	jnz	word
	sti
	hlt
	cli
	testw	%di, %di
	jnz	word
	addw	$0x1000, %bx
	loop	segment
	jmp	pass

tick:
	pushw	%ax
	movb	$0x20, %al
	outb	%al, $0x20
	popw	%ax
	iret

gdt:	.quad	0, 0x00cf92000000ffff
gdt_at:	.word	15
	.long	0xf0000 + gdt

	.org	0xfff0
	ljmp	$0xf000, $_start
	.org	0x10000
