//! Reading the files of a machine: the running one or a recorded one.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kdump_elf::Endian;

use super::files::parse_index;
use super::kcore_head::read_head;
use super::open_file::{Content, Root, TEXT_LIMIT, is_absent, read_limited};
use super::paths::{
    ARCH, DEVICE_TREE, ENVIRONMENT, FDT, FILES, IOMEM, KALLSYMS, KCORE, KCORE_VALUES, NUMBERED,
};
use super::record::{MANIFEST, parse_manifest};
use super::{Kcore, Machine, MachineFiles, Symbols, symbols};
use crate::target::ppc64::TREE;
use crate::{Error, room};

/// Several times what the largest kernels list. It is filtered while it is read, not held.
const KALLSYMS_LIMIT: u64 = 64 << 20;
/// All texts of one machine together.
const TOTAL_LIMIT: u64 = 64 << 20;
/// Twice as many as the kernel supports CPUs, and far more than a firmware's map has ranges.
pub(super) const ENTRIES_LIMIT: usize = 16 << 10;
/// CPUs without a note that are told one by one.
const TOLD_CPUS: usize = 16;

impl Machine {
    /// Describes the machine whose `proc` and `sys` are under `root`: `/` for the running
    /// one, or a directory made by [`Machine::record`].
    ///
    /// # Errors
    /// Those of [`MachineFiles::read`] and [`Machine::from_files`].
    pub fn collect(root: &Path) -> Result<Self, Error> {
        Self::from_files(&MachineFiles::read(root)?)
    }
}

impl MachineFiles {
    /// Reads what a description needs from `proc` and `sys` under `root`.
    ///
    /// Files that are absent are left out; files that exist but cannot be read are remembered
    /// with the cause. So are files of more than 16 MiB, those that would make more than 64 MiB
    /// in all, and what a directory has beyond 16384 entries: the kernel shows no such machine.
    /// Symbolic links are resolved as if `root` were the root of the file system. Of /proc/kcore only the ELF header, the program headers and the notes
    /// are read, of /proc/kallsyms only a few lines are kept.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for a proc/iomem far larger than what the kernel writes.
    pub fn read(root: &Path) -> Result<Self, Error> {
        Self::read_with(root, &[])
    }

    /// What a description needs, and what tells whether the kernel would accept a load.
    pub(super) fn read_all(root: &Path) -> Result<Self, Error> {
        Self::read_with(root, &ENVIRONMENT)
    }

    fn read_with(root: &Path, more: &[&str]) -> Result<Self, Error> {
        let mut reader = Reader { path: root, root: Root::new(root), files: Self::new(), left: TOTAL_LIMIT };
        for path in FILES.iter().chain(more) {
            reader.text(path)?;
        }
        for (dir, prefix, names) in NUMBERED {
            for number in reader.numbers(dir, prefix)? {
                for name in names {
                    reader.text(&format!("{dir}/{prefix}{number}/{name}"))?;
                }
            }
        }
        reader.cpus_without_notes()?;
        reader.boot_params_of_debugfs()?;
        reader.kallsyms()?;
        reader.kcore()?;
        reader.manifest()?;
        reader.host_arch();
        reader.trees()?;
        Ok(reader.files)
    }
}

pub(super) struct Reader<'a> {
    path: &'a Path,
    pub(super) root: Root,
    pub(super) files: MachineFiles,
    /// Bytes of text that may still be read.
    left: u64,
}

impl Reader<'_> {
    /// Reads one whole file, if there is one.
    pub(super) fn text(&mut self, path: &str) -> Result<(), Error> {
        if let Some(content) = self.content(path, path)? {
            self.files.insert(path, content);
        }
        Ok(())
    }

    /// The content of the file at `place`; trouble is reported under the name `path`.
    fn content(&mut self, place: &str, path: &str) -> Result<Option<Vec<u8>>, Error> {
        let Some(file) = self.open(place, path)? else { return Ok(None) };
        let limit = self.left.min(TEXT_LIMIT);
        match read_limited(file, limit) {
            Ok(Content::Whole(content)) => {
                self.left = self.left.saturating_sub(content.len() as u64);
                return Ok(Some(content));
            }
            // Without the map of the memory there is no machine; everything else is optional.
            Ok(Content::TooLong(_)) if path == IOMEM => {
                let path = self.path.join(place).display().to_string();
                return Err(Error::TooLarge { path, limit });
            }
            Ok(Content::TooLong(spent)) => {
                self.left = self.left.saturating_sub(spent);
                let cause = match limit {
                    TEXT_LIMIT => format!("it has more than {TEXT_LIMIT:#x} bytes"),
                    _ => format!("no more than {TOTAL_LIMIT:#x} bytes in all are read of a machine"),
                };
                self.files.insert_unreadable(path, cause);
            }
            Err(error) => self.trouble(path, &error)?,
        }
        Ok(None)
    }

    pub(super) fn open(&mut self, place: &str, path: &str) -> Result<Option<File>, Error> {
        match self.root.open(place) {
            Ok(file) => return Ok(Some(file)),
            Err(error) if is_absent(&error) => {}
            Err(error) => self.trouble(path, &error)?,
        }
        Ok(None)
    }

    /// Remembers why a file cannot be read. That memory ran out is no property of the file, and a
    /// machine without it would be another.
    pub(super) fn trouble(&mut self, path: &str, error: &std::io::Error) -> Result<(), Error> {
        if error.kind() == ErrorKind::OutOfMemory {
            return Err(Error::OutOfMemory { what: "files of the machine", need: 0 });
        }
        self.files.insert_unreadable(path, error.to_string());
        Ok(())
    }

    /// The numbers of the directories `<prefix>N` in `dir`.
    fn numbers(&mut self, dir: &str, prefix: &str) -> Result<Vec<u32>, Error> {
        let names = match self.root.names(dir, ENTRIES_LIMIT) {
            Ok((names, false)) => names,
            Ok((names, true)) => {
                let cause = format!("it has more than {ENTRIES_LIMIT} entries, the rest is left out");
                self.files.insert_unreadable(dir, cause);
                names
            }
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            Err(error) => {
                self.trouble(dir, &error)?;
                return Ok(Vec::new());
            }
        };
        let numbers = names.iter().filter_map(|name| parse_index(name.strip_prefix(prefix)?));
        let mut numbers = room::collect("entries of a directory", numbers)?;
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Where some CPUs have a note, one that has none will be missing from the dump.
    fn cpus_without_notes(&mut self) -> Result<(), Error> {
        let path = |cpu: u32| format!("sys/devices/system/cpu/cpu{cpu}/crash_notes");
        let cpus = self.numbers("sys/devices/system/cpu", "cpu")?;
        if !cpus.iter().any(|&cpu| self.files.get(&path(cpu)).is_some()) {
            return Ok(());
        }
        let mut more = 0_usize;
        for cpu in cpus {
            let path = path(cpu);
            if self.files.get(&path).is_some() || self.files.is_unreadable(&path) {
                continue;
            }
            more = more.saturating_add(1);
            if more <= TOLD_CPUS {
                let cause = "it is not there; this CPU's registers will be missing";
                self.files.insert_unreadable(path, cause);
            }
        }
        if let Some(more) = more.checked_sub(TOLD_CPUS).filter(|&more| more > 0) {
            let cause = format!("{more} more have no crash_notes; these CPUs' registers will be missing");
            self.files.insert_unreadable("sys/devices/system/cpu/cpu*/crash_notes", cause);
        }
        Ok(())
    }

    /// Kernels without `/sys/kernel/boot_params` have it in debugfs, wherever that is mounted.
    fn boot_params_of_debugfs(&mut self) -> Result<(), Error> {
        if self.files.get("sys/kernel/boot_params/data").is_some() {
            return Ok(());
        }
        let Some(dir) = self.files.get("proc/mounts").and_then(debugfs) else { return Ok(()) };
        for name in ["data", "version"] {
            let path = format!("sys/kernel/boot_params/{name}");
            if let Some(content) = self.content(&format!("{dir}/boot_params/{name}"), &path)? {
                self.files.insert(path, content);
            }
        }
        Ok(())
    }

    fn kallsyms(&mut self) -> Result<(), Error> {
        let Some(file) = self.open(KALLSYMS, KALLSYMS)? else { return Ok(()) };
        let too_long = || format!("it has {KALLSYMS_LIMIT:#x} bytes or more");
        if file.metadata().is_ok_and(|metadata| metadata.len() >= KALLSYMS_LIMIT) {
            self.files.insert_unreadable(KALLSYMS, too_long());
            return Ok(());
        }
        let mut file = file.take(KALLSYMS_LIMIT);
        match symbols::filter(|piece| file.read(piece).map_err(Trouble::Io)) {
            Ok(_) if file.limit() == 0 => {
                self.files.insert_unreadable(KALLSYMS, too_long());
            }
            Ok(lines) => self.files.insert(KALLSYMS, lines),
            Err(Trouble::Io(error)) => self.trouble(KALLSYMS, &error)?,
            Err(Trouble::Own(error)) => return Err(error),
        }
        Ok(())
    }

    fn kcore(&mut self) -> Result<(), Error> {
        let Some(file) = self.open(KCORE, KCORE)? else { return Ok(()) };
        let head = match read_head(&file) {
            Ok(head) => head,
            Err(error) => return self.trouble(KCORE, &error),
        };
        if self.files.get(KCORE_VALUES).is_none() {
            if let Some(base) = self.page_offset_base(&file, &head)? {
                self.files.insert(KCORE_VALUES, format!("page_offset_base {base:x}\n"));
            }
        }
        self.files.insert(KCORE, head);
        Ok(())
    }

    /// The variable `page_offset_base` of the running kernel. A recorded kcore ends before it.
    fn page_offset_base(&self, file: &File, head: &[u8]) -> Result<Option<u64>, Error> {
        let symbols = self.files.get(KALLSYMS).map(Symbols::parse);
        let Some(vaddr) = symbols.and_then(|symbols| symbols.get("page_offset_base")) else {
            return Ok(None);
        };
        let kcore = match Kcore::parse(head) {
            Err(error @ Error::OutOfMemory { .. }) => return Err(error),
            kcore => kcore.ok(),
        };
        Ok(kcore.and_then(|kcore| {
            let load = kcore.load_of(vaddr)?;
            let offset = load.offset.checked_add(load.offset_of(vaddr)?)?;
            let mut word = [0_u8; 8];
            let word = word.get_mut(..kcore.encoding.class.word_size())?;
            file.read_exact_at(word, offset).ok()?;
            kcore.encoding.endian.unsigned(word)
        }))
    }

    /// The device tree as directories, where no file has it. That of a machine whose firmware changes it while
    /// the kernel runs is read even so, for the file has that of the start; a recording has it as one file.
    fn trees(&mut self) -> Result<(), Error> {
        let ppc64 = self.files.get(ARCH).is_some_and(|arch| arch.starts_with(b"ppc64"));
        let file = if ppc64 { TREE } else { FDT };
        if self.files.get(file).is_some() || ppc64 && self.files.is_unreadable(TREE) {
            return Ok(());
        }
        self.device_tree()?;
        if !ppc64 {
            return Ok(());
        }
        match self.files.flattened_tree() {
            Some(Ok(tree)) => self.files.insert(TREE, tree),
            Some(Err(cause)) => self.files.insert_unreadable(TREE, cause),
            None => {
                let told = self.files.unreadable().find(|(path, _)| *path == DEVICE_TREE);
                let cause = told.map(|(_, cause)| String::from(cause));
                if let Some(cause) = cause {
                    self.files.insert_unreadable(TREE, cause);
                }
                return Ok(());
            }
        }
        self.without_directories()
    }

    /// What could not be read when the machine was recorded.
    fn manifest(&mut self) -> Result<(), Error> {
        if let Some(text) = self.content(MANIFEST, MANIFEST)? {
            for (path, cause) in parse_manifest(&text) {
                self.files.insert_unreadable(path, cause);
            }
        }
        Ok(())
    }

    /// Kernels before 6.1 have no `/proc/sys/kernel/arch`; the running one is of the
    /// architecture this program runs on.
    fn host_arch(&mut self) {
        if self.files.get(ARCH).is_none() && matches!(self.root, Root::Whole) {
            let name = match (std::env::consts::ARCH, Endian::native()) {
                ("powerpc64", Endian::Little) => "ppc64le",
                (name, _) => name,
            };
            self.files.insert(ARCH, format!("{name}\n"));
        }
    }
}

/// Why a text could not be filtered.
enum Trouble {
    Io(std::io::Error),
    Own(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Own(error)
    }
}

/// Where debugfs is mounted, relative to the root (`proc_mounts(5)`).
fn debugfs(mounts: &[u8]) -> Option<String> {
    mounts.split(|&byte| byte == b'\n').find_map(|line| {
        let mut words = core::str::from_utf8(line).ok()?.split(' ');
        let (_, dir, kind) = (words.next()?, words.next()?, words.next()?);
        (kind == "debugfs").then(|| dir.trim_start_matches('/').to_owned())
    })
}
