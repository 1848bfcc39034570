//! What an emulated machine says, and how it ends.

use core::time::Duration;
use std::io::Read;
use std::process::{Child, ExitStatus};
use std::sync::mpsc;

/// How long a halted machine is watched.
const HALTED: Duration = Duration::from_secs(2);

/// Everything that is said on standard output, and how the emulator ended: `None` if it said
/// nothing more and was ended here. `halted` is called once the purgatory says that it has stopped.
pub(crate) fn listen(mut child: Child, halted: impl FnOnce()) -> (String, Option<ExitStatus>) {
    let mut stdout = child.stdout.take().expect("piped");
    let (sender, receiver) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(len @ 1..) = stdout.read(&mut buffer) {
            if sender.send(buffer[..len].to_vec()).is_err() {
                break;
            }
        }
    });
    let mut said = Vec::new();
    let mut patience = Duration::from_secs(60);
    let mut halted = Some(halted);
    let ended = loop {
        match receiver.recv_timeout(patience) {
            Ok(bytes) => said.extend(bytes),
            Err(mpsc::RecvTimeoutError::Disconnected) => break true,
            Err(mpsc::RecvTimeoutError::Timeout) => break false,
        }
        if said.windows(8).any(|window| window == b"; halted") {
            halted.take().into_iter().for_each(|halted| halted());
            patience = HALTED;
        }
    };
    if !ended {
        child.kill().expect("killed");
    }
    let status = child.wait().expect("ended");
    reader.join().expect("reader");
    (String::from_utf8_lossy(&said).replace('\r', ""), ended.then_some(status))
}
