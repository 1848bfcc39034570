//! The panic handler of `libkdump-core.a`. Nothing in the library is known to panic; should
//! it happen, the CPU stops here, where a debugger finds it.

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
