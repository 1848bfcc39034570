//! Runs the middle of the shipped object on this machine, against serial ports that answer, never
//! answer or stop answering: an I/O instruction is a fault here, and the handler is the port.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(unsafe_code, reason = "maps machine code, calls it and handles its faults")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "a test: what goes wrong must stop it"
)]

mod common;

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Mutex, Once, PoisonError};

use common::Random;
use kdump_elf::Arch;
use kdump_purgatory::ObjectPurgatory;
use kdump_segments::purgatory::{
    DigestRegion, Entry, Handover, MismatchAction, Purgatory, Serial, SerialPort,
};

const BASE: u16 = 0x3f8;
/// Polls of the line status that a port may cost, however much there is to be said.
const PATIENCE: u32 = 100_000;

/// The port: how many bytes it takes before it never is ready again, polls of its line status
/// since it took the last one, and what it took.
static READY_FOR: AtomicU32 = AtomicU32::new(0);
static POLLS: AtomicU32 = AtomicU32::new(0);
static TAKEN: AtomicU32 = AtomicU32::new(0);
static TEXT: [AtomicU32; 1024] = [const { AtomicU32::new(0) }; 1024];
/// One port, hence one test at a time.
static PORT: Mutex<()> = Mutex::new(());

/// `in al, dx` and `out dx, al`, which fault outside ring 0; anything else is a fault of the test.
extern "C" fn port(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: what the kernel hands to a handler with SA_SIGINFO; nothing else refers to it.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    let registers = &mut context.uc_mcontext.gregs;
    let number = (registers[libc::REG_RDX as usize] as u16).wrapping_sub(BASE);
    // SAFETY: the instruction that faulted is readable.
    match unsafe { *(registers[libc::REG_RIP as usize] as *const u8) } {
        0xec => {
            let taken = TAKEN.load(SeqCst);
            // Far beyond what is allowed it is ready after all, so that the test ends.
            let ready = taken < READY_FOR.load(SeqCst) || POLLS.fetch_add(1, SeqCst) > 4 * PATIENCE;
            let status = if number == 5 && ready { 0x20 } else { 0 };
            registers[libc::REG_RAX as usize] = registers[libc::REG_RAX as usize] & !0xff | status;
        }
        0xee => {
            if number == 0 {
                let at = TAKEN.fetch_add(1, SeqCst) as usize;
                TEXT[at].store(registers[libc::REG_RAX as usize] as u32 & 0xff, SeqCst);
            }
        }
        // SAFETY: ends the process, as the fault would have done.
        _ => unsafe { libc::abort() },
    }
    registers[libc::REG_RIP as usize] += 1;
}

/// Installs the handler, once.
fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: all zeros is a valid sigaction.
        let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
        action.sa_sigaction = port as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO;
        // SAFETY: a handler of this signature.
        let failed = unsafe { libc::sigaction(libc::SIGSEGV, &raw const action, core::ptr::null_mut()) };
        assert_eq!(failed, 0, "{}", std::io::Error::last_os_error());
    });
}

/// What the program said to a port that takes `ready_for` bytes, and the polls spent in vain.
fn say(ready_for: u32, damage: bool) -> (String, u32) {
    let _alone = PORT.lock().unwrap_or_else(PoisonError::into_inner);
    install();
    let mut data = Random(7).bytes(5000);
    let before = data.clone();
    let start = data.as_ptr() as u64;
    let purgatory = ObjectPurgatory::builtin(Arch::X86_64).expect("built in");
    let size = usize::try_from(purgatory.memsz()).expect("small");
    let all = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new private mapping wherever the kernel likes.
    let at = unsafe { libc::mmap(core::ptr::null_mut(), size, all, flags, -1, 0) };
    assert_ne!(at, libc::MAP_FAILED, "mmap: {}", std::io::Error::last_os_error());
    let regions = [DigestRegion { start, bytes: &before }];
    let handover = Handover::new(&regions, Entry::X86Bits64 { rip: 0x100_0200, boot_params: 0x9_0000 })
        .serial(Some(Serial { port: SerialPort::Port(BASE), baud: None }))
        .on_mismatch(MismatchAction::Continue);
    let linked = purgatory.link(at as u64, &handover).expect("links");
    if damage {
        data[1234] ^= 4;
    }
    // SAFETY: the mapping holds memsz bytes, at least as many as there are.
    unsafe { core::ptr::copy_nonoverlapping(linked.bytes.as_ptr(), at.cast(), linked.bytes.len()) };
    let image = purgatory.object().link(at as u64).expect("links");
    let main = image.address("purgatory_main").expect("there") as usize;
    // SAFETY: the code at the symbol has this signature.
    let main = unsafe { core::mem::transmute::<usize, unsafe extern "C" fn()>(main) };
    READY_FOR.store(ready_for, SeqCst);
    POLLS.store(0, SeqCst);
    TAKEN.store(0, SeqCst);
    // SAFETY: an ordinary function, whose I/O instructions are handled.
    unsafe { main() };
    // SAFETY: the mapping is ours and nothing runs in it any more.
    unsafe { libc::munmap(at, size) };
    let taken = TAKEN.load(SeqCst) as usize;
    let text = TEXT[..taken].iter().map(|byte| char::from(byte.load(SeqCst) as u8)).collect();
    (text, POLLS.load(SeqCst))
}

#[test]
fn a_port_that_answers_is_told_everything() {
    assert_eq!(say(u32::MAX, false), ("purgatory: digest matches\r\n".to_owned(), 0));
    let (text, polls) = say(u32::MAX, true);
    assert!(text.starts_with("purgatory: digest mismatch, expected "), "{text}");
    assert!(text.ends_with("; continuing\r\n") && text.len() > 150 && polls == 0, "{text}");
}

#[test]
fn a_dead_port_costs_its_patience_once() {
    let (text, polls) = say(0, true);
    assert_eq!(text, "");
    assert_eq!(polls, PATIENCE);
}

#[test]
fn a_port_that_dies_is_given_up() {
    let (text, polls) = say(10, true);
    assert_eq!(text, "purgatory:");
    assert_eq!(polls, PATIENCE);
}
