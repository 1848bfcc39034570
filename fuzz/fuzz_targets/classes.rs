//! The classes of pages of a machine whose records are damaged: of RAM alone, disjoint, and the same by
//! whatever way they are asked for.
#![cfg_attr(not(feature = "one-program"), no_main)]

use kdump_fuzz::fuzz_target;
use kdump_vmcore::{ClassMap, Dump, PageClass, SpanKind};

/// Ranges that are looked at.
const RANGES: usize = 4096;

fuzz_target!(|input: &[u8]| {
    let Ok(dump) = Dump::open(kdump_fuzz::pages(input)) else { return };
    let Ok(map) = ClassMap::new(&dump, 1) else { return };
    let size = map.page_size();
    let ram: Vec<_> =
        dump.spans().filter(|span| span.kind != SpanKind::Hole).map(|span| span.range).collect();
    let pages = ram.iter().map(|range| range.end().div_ceil(size) - range.start() / size).sum::<u64>();
    let (mut behind, mut counted, mut all) = (0, 0, true);
    for (index, (pfns, class)) in map.ranges().enumerate() {
        if index >= RANGES {
            all = false;
            break;
        }
        assert!(behind <= pfns.start && pfns.start < pfns.end, "{pfns:?}");
        behind = pfns.end;
        counted += pfns.end - pfns.start;
        for pfn in [pfns.start, pfns.end - 1] {
            assert_eq!(map.class(pfn), class, "{pfn:#x}");
            let page = pfn * size..(pfn + 1) * size;
            let inside = ram.iter().any(|range| range.start() < page.end && page.start < range.end());
            assert!(inside, "{pfn:#x} is no RAM");
        }
        assert_eq!(map.range_from(pfns.end - 1), Some((pfns.end - 1..pfns.end, class)));
        assert!(class.is_none() || !map.is_doubtful());
    }
    let of_classes = PageClass::ALL.into_iter().map(|class| map.pages(class)).sum::<u64>();
    assert!(of_classes <= pages && counted <= pages, "{of_classes} {counted} of {pages}");
    assert!(!all || counted == pages || ram.len() > 1, "{counted} of {pages}");
    let report = map.report();
    assert!(report.unreadable <= pages && report.without <= pages, "{report:?}");
    // Threads change nothing.
    if input.len() % 16 == 0 {
        let other = ClassMap::new(&dump, 3).expect("it could be made before");
        assert!(other.ranges().take(RANGES).eq(map.ranges().take(RANGES)) && other.report() == report);
    }
});
