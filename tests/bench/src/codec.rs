//! The codecs of pages against the distribution's libraries, both directions, in one run.
#![allow(clippy::arithmetic_side_effects, reason = "all values come from constants of this file")]

use core::error::Error;
use core::hint::black_box;
use core::time::Duration;

use codecpeers::Peer;
use kdump_vmcore::codec::{Codec, Decoder, Encoder};

use crate::clock;

const PAGE: usize = 4096;
/// Pages of each kind.
const PAGES: usize = 400;
/// The best round counts; everything takes its turn in each, so that a busy machine is busy
/// for all.
const ROUNDS: usize = 9;

/// Every failure is told to a person.
type Result<T> = core::result::Result<T, Box<dyn Error>>;

/// Prints sizes, throughputs per page and ratios.
///
/// # Errors
/// A library is missing, or a page does not come back.
pub(crate) fn run() -> Result<()> {
    let peers = Peer::all()?;
    let kinds = kinds()?;
    println!(
        "{PAGES} pages of {PAGE} bytes of each kind, best of {ROUNDS} rounds; ratios above 1: ours is faster"
    );
    println!("{:24} {:>22} {:>24}  {:>6}", "", "compress, MB/s", "decompress, MB/s", "size");
    println!(
        "{:24} {:>7} {:>7} {:>6} {:>9} {:>7} {:>6}",
        "", "ours", "peer", "ratio", "ours", "peer", "ratio"
    );
    for peer in &peers {
        let codec = Codec::from_name(peer.codec).ok_or("a peer of no codec")?;
        let mut all = Figures::default();
        for (name, pages) in &kinds {
            let figures = compare(codec, peer, pages)?;
            figures.print(&format!("{codec}, {name}"), pages.len());
            all.add(&figures);
        }
        all.print(&format!("{codec}, all"), PAGES * kinds.len());
    }
    Ok(())
}

/// Sums over pages: times and bytes of ours and of the peer.
#[derive(Default)]
struct Figures {
    compress: [Duration; 2],
    decompress: [Duration; 2],
    size: [usize; 2],
}

impl Figures {
    fn add(&mut self, other: &Self) {
        for side in 0..2_usize {
            if let (Some(a), Some(b)) = (self.compress.get_mut(side), other.compress.get(side)) {
                *a += *b;
            }
            if let (Some(a), Some(b)) = (self.decompress.get_mut(side), other.decompress.get(side)) {
                *a += *b;
            }
            if let (Some(a), Some(b)) = (self.size.get_mut(side), other.size.get(side)) {
                *a += *b;
            }
        }
    }

    fn print(&self, name: &str, pages: usize) {
        let bytes = f64::from(u32::try_from(pages * PAGE).unwrap_or(u32::MAX));
        let rate = |time: Duration| bytes / time.as_secs_f64() / 1e6;
        let [ours, peer] = self.compress.map(rate);
        print!("{name:24} {ours:7.0} {peer:7.0} {:6.2}", ours / peer);
        let [ours, peer] = self.decompress.map(rate);
        print!(" {ours:9.0} {peer:7.0} {:6.2}", ours / peer);
        let [ours, peer] = self.size.map(|size| f64::from(u32::try_from(size).unwrap_or(u32::MAX)));
        println!("  {:.3} of the page, {:+.1} % of the peer", ours / bytes, (ours / peer - 1.0) * 100.0);
    }
}

fn compare(codec: Codec, peer: &Peer, pages: &[Vec<u8>]) -> Result<Figures> {
    let mut encoder = Encoder::new(codec)?;
    let mut decoder = Decoder::new();
    let mut output = vec![0; 3 * PAGE];
    let mut page = vec![0; PAGE];
    let mut figures = Figures::default();
    // Both decompress what the peer compressed: those are the pages found in dumps.
    let mut data = Vec::new();
    for source in pages {
        let len = encoder.encode(source, &mut output)?.ok_or("the bound is too small")?;
        peer.decompress(output.get(..len).unwrap_or_default(), &mut page)?;
        if page != *source {
            return Err(format!("{} reads another page than we wrote", peer.file).into());
        }
        figures.size[0] += len.min(PAGE);
        let len = peer.compress(source, &mut output)?;
        data.push(output.get(..len).unwrap_or_default().to_vec());
        figures.size[1] += len.min(PAGE);
    }
    let [mut ours, mut theirs, mut ours_back, mut theirs_back] = [Duration::MAX; 4];
    for _ in 0..ROUNDS {
        ours = ours.min(clock::time(|| each(pages, |source| encoder.encode(source, &mut output).is_ok())));
        theirs = theirs.min(clock::time(|| each(pages, |source| peer.compress(source, &mut output).is_ok())));
        ours_back =
            ours_back.min(clock::time(|| each(&data, |data| decoder.decode(codec, data, &mut page).is_ok())));
        theirs_back =
            theirs_back.min(clock::time(|| each(&data, |data| peer.decompress(data, &mut page).is_ok())));
    }
    figures.compress = [ours, theirs];
    figures.decompress = [ours_back, theirs_back];
    Ok(figures)
}

/// Works through `items`; says so when one fails, because its time would count for nothing.
fn each(items: &[Vec<u8>], mut work: impl FnMut(&[u8]) -> bool) {
    let failed = items.iter().filter(|item| !work(black_box(item))).count();
    if failed > 0 {
        println!("{failed} pages FAILED");
    }
}

type Kind = (&'static str, Vec<Vec<u8>>);

/// Pages as they lie in dumps: the same in every run, but for the program's own code.
fn kinds() -> Result<[Kind; 5]> {
    let program = std::fs::read(std::env::current_exe()?)?;
    let page_of = |make: &mut dyn FnMut(&mut Vec<u8>)| {
        let mut page = Vec::with_capacity(2 * PAGE);
        while page.len() < PAGE {
            make(&mut page);
        }
        page.truncate(PAGE);
        page
    };
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut many = |make: fn(&mut Random, &mut Vec<u8>)| -> Vec<Vec<u8>> {
        (0..PAGES).map(|_| page_of(&mut |page| make(&mut random, page))).collect()
    };
    let objects = many(object);
    let tables = many(page_table);
    let text = many(log_line);
    let sparse = many(mostly_zero);
    let first = program.len() / 4;
    let code = (0..PAGES).filter_map(|at| {
        let offset = (first + at * 3 * PAGE) % program.len().saturating_sub(PAGE).max(1);
        Some(program.get(offset..)?.get(..PAGE)?.to_vec())
    });
    let code = code.collect();
    Ok([
        ("objects", objects),
        ("page tables", tables),
        ("text", text),
        ("mostly zero", sparse),
        ("code", code),
    ])
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % limit
    }
}

/// 64 to 512 bytes of a slab: list heads that point to neighbours, counters, flags, a name.
fn object(random: &mut Random, page: &mut Vec<u8>) {
    let heap = 0xFFFF_8880_0000_0000 + (random.below(1 << 16) << 12);
    let words = 8 << random.below(4);
    for at in 0..words {
        let word = match random.below(8) {
            0 => heap + random.below(512) * 8,
            1 => 0xFFFF_FFFF_8100_0000 + random.below(1 << 21) * 16,
            2 => random.below(256),
            3 => u64::from_le_bytes(*b"kworker/"),
            4 => 0x6B6B_6B6B_6B6B_6B6B,
            5 => heap + at * 8,
            _ => 0,
        };
        page.extend_from_slice(&word.to_le_bytes());
    }
}

/// A run of entries for neighbouring pages, or for none.
fn page_table(random: &mut Random, page: &mut Vec<u8>) {
    let present = random.below(4) > 0;
    let first = random.below(1 << 20) << 12;
    for at in 0..=random.below(40) {
        let entry = if present { 0x8000_0000_0000_0063 + first + (at << 12) } else { 0 };
        page.extend_from_slice(&entry.to_le_bytes());
    }
}

/// A line of a log.
fn log_line(random: &mut Random, page: &mut Vec<u8>) {
    const WORDS: [&str; 12] = [
        "usb",
        "device",
        "enumerated",
        "memory",
        "pci 0000:00",
        "BAR",
        "size",
        "systemd",
        "started",
        "ext4",
        "mounted",
        "irq",
    ];
    page.extend_from_slice(format!("[{:5}.{:06}] ", random.below(9999), random.below(1_000_000)).as_bytes());
    for _ in 0..=random.below(9) {
        let word = usize::try_from(random.below(WORDS.len() as u64)).unwrap_or(0);
        page.extend_from_slice(WORDS.get(word).unwrap_or(&"").as_bytes());
        page.push(b' ');
    }
    page.extend_from_slice(format!("{:#x}\n", random.below(1 << 32)).as_bytes());
}

/// A few numbers in a long run of zeros.
fn mostly_zero(random: &mut Random, page: &mut Vec<u8>) {
    let zeros = usize::try_from(random.below(1500)).unwrap_or(0);
    page.resize(page.len() + zeros, 0);
    for _ in 0..=random.below(8) {
        page.extend_from_slice(&random.below(1 << 40).to_le_bytes());
    }
}
