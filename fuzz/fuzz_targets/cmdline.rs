//! Any text as a kernel command line, edited: what is added must come out again.
#![cfg_attr(not(feature = "one-program"), no_main)]

use kdump_fuzz::fuzz_target;
use kdump_segments::cmdline::CommandLine;

fuzz_target!(|text: &str| {
    let Ok(mut cmdline) = CommandLine::new(text) else { return };
    let _ = cmdline.remove("crashkernel").unwrap();
    assert!(cmdline.parameters().all(|word| !word.starts_with("crashkernel=")));
    let _ = cmdline.remove("elfcorehdr").unwrap();
    cmdline.append(format_args!("elfcorehdr={}K", 1234)).unwrap();
    assert_eq!(
        cmdline.parameters().filter(|word| *word == "elfcorehdr=1234K").count(),
        1,
        "{}",
        cmdline.as_str()
    );
    assert!(cmdline.check_length(u64::MAX).is_ok());
});
