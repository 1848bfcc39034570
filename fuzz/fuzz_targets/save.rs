//! Damaged dumps are saved, and what is saved has the memory of its source.
#![cfg_attr(not(feature = "one-program"), no_main)]

use kdump_fuzz::fuzz_target;
use kdump_vmcore::{Dump, Error, PhysMemory, SavePlan, SpanKind, WriteAt};

/// More than any seed has.
const LIMIT: usize = 8 << 20;

/// A file in memory.
#[derive(Default)]
struct Memory(Vec<u8>);

impl WriteAt for Memory {
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let start = usize::try_from(offset).expect("it was judged before");
        let end = start + bytes.len();
        assert!(end <= LIMIT, "no more than the plan says");
        self.0.resize(end.max(self.0.len()), 0);
        self.0[start..end].copy_from_slice(bytes);
        Ok(())
    }

    fn is_sparse(&self) -> bool {
        true
    }

    fn finish(&mut self, size: u64) -> Result<(), Error> {
        self.0.resize(usize::try_from(size).expect("it was judged before"), 0);
        Ok(())
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((&which, input)) = input.split_first() else { return };
    let source = if which % 2 == 0 { kdump_fuzz::elf(input) } else { kdump_fuzz::kdump(input) };
    let Ok(dump) = Dump::open(source) else { return };
    let Ok(plan) = SavePlan::elf(&dump) else { return };
    if plan.size() > LIMIT as u64 {
        return;
    }
    let (size, mut saved) = (plan.size(), Memory::default());
    let Ok(report) = plan.copy(&mut saved, &mut |_| core::ops::ControlFlow::Continue(())) else { return };
    assert_eq!(saved.0.len() as u64, size);
    let again = Dump::open(saved.0).expect("what was saved opens");
    assert!(!report.is_whole() || again.completeness().is_complete());
    let (mut old, mut new) = (dump.reader(), again.reader());
    for span in dump.spans().filter(|span| matches!(span.kind, SpanKind::Stored | SpanKind::Zero)).take(64) {
        for at in [span.range.start(), span.range.last()] {
            let (mut before, mut after) = ([0], [0xA5]);
            if old.read_phys(kdump_elf::Paddr(at), &mut before).is_ok() {
                new.read_phys(kdump_elf::Paddr(at), &mut after).expect("it was there");
                assert_eq!(before, after, "at {at:#x}");
            }
        }
    }
});
