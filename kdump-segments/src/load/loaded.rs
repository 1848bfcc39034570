//! What was loaded, noted where `kdump status` finds it: the kernel shows only that something is.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use alloc::format;
use alloc::string::{String, ToString};

use super::LoadRecord;
use crate::capture_need::Fit;
use crate::machine::{Root, read_text};

/// The note, below the root of the machine. /run is empty after a boot, as is the crash region.
const DIR: &str = "run/kdump";
const FILE: &str = "loaded";
/// A few lines; what is longer was not written here.
const LIMIT: usize = 64 << 10;

impl LoadRecord {
    /// Writes the note below `root`, replacing that of an earlier load, which is gone even when
    /// this one cannot be written: it would be believed.
    ///
    /// # Errors
    /// Those of the file system, with the file's name.
    pub fn write(&self, root: &Path) -> io::Result<()> {
        let dir = root.join(DIR);
        fs::create_dir_all(&dir).map_err(|error| named(&dir, &error))?;
        let part = dir.join(format!("{FILE}.{}", std::process::id()));
        // Of a program that had this number before and was killed; nothing that is there is
        // written through or waited for.
        let _ = fs::remove_file(&part);
        let done = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&part)
            .and_then(|mut file| file.write_all(self.text().as_bytes()))
            .and_then(|()| fs::rename(&part, dir.join(FILE)));
        done.map_err(|error| {
            let _ = fs::remove_file(&part);
            let _ = Self::remove(root);
            named(&part, &error)
        })
    }

    /// Removes the note below `root`; there may be none.
    ///
    /// # Errors
    /// Those of the file system, with the file's name.
    pub fn remove(root: &Path) -> io::Result<()> {
        let path = root.join(DIR).join(FILE);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(named(&path, &error)),
            _ => Ok(()),
        }
    }

    /// The note below `root`, if there is one and it can be understood.
    #[must_use]
    pub fn read(root: &Path) -> Option<Self> {
        let text =
            read_text(&Root::new(root), &format!("{DIR}/{FILE}")).ok().filter(|text| text.len() <= LIMIT)?;
        Self::parse(&text)
    }

    fn text(&self) -> String {
        // One line each: a name may hold anything.
        let line = |name: &str| name.chars().flat_map(char::escape_debug).collect::<String>();
        let mut text = format!("need={}\nroom={}\nreserved={}\n", self.need, self.room, self.reserved);
        text.push_str(&format!("kernel={}\n", line(&self.kernel)));
        if let Some(initrd) = &self.initrd {
            text.push_str(&format!("initrd={}\n", line(initrd)));
        }
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let value = |key: &str| {
            let mut found = text.lines().filter_map(|line| line.split_once('='));
            found.find_map(|(name, value)| (name == key).then_some(value))
        };
        let number = |key: &str| value(key)?.parse::<u64>().ok();
        Some(Self {
            need: number("need")?,
            room: number("room")?,
            reserved: number("reserved")?,
            kernel: value("kernel")?.to_string(),
            initrd: value("initrd").map(ToString::to_string),
        })
    }

    /// Whether what was loaded can live in its region.
    #[must_use]
    pub fn fit(&self) -> Fit {
        if self.need <= self.room { Fit::Enough } else { Fit::Unlikely }
    }
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> LoadRecord {
        LoadRecord {
            need: 98 << 20,
            room: 88 << 20,
            reserved: 88 << 20,
            kernel: String::from("/boot/vm\nlinuz"),
            initrd: None,
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let root = std::env::temp_dir().join(format!("kdump-loaded-{}", std::process::id()));
        record().write(&root).unwrap();
        let read = LoadRecord::read(&root).unwrap();
        assert_eq!(read, LoadRecord { kernel: String::from("/boot/vm\\nlinuz"), ..record() });
        assert_eq!(read.fit(), Fit::Unlikely);
        // Nothing that notes a load writes so much.
        let file = root.join(DIR).join(FILE);
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text + &"#".repeat(LIMIT)).unwrap();
        assert_eq!(LoadRecord::read(&root), None);
        LoadRecord::remove(&root).unwrap();
        assert_eq!(LoadRecord::read(&root), None);
        LoadRecord::remove(&root).unwrap();
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn what_is_in_the_way_of_a_record_is_not_written_through_and_leaves_no_old_one() {
        let root = std::env::temp_dir().join(format!("kdump-loaded-way-{}", std::process::id()));
        record().write(&root).unwrap();
        let part = root.join(DIR).join(format!("{FILE}.{}", std::process::id()));
        let victim = root.join("victim");
        fs::write(&victim, "mine").unwrap();
        std::os::unix::fs::symlink(&victim, &part).unwrap();
        let other = LoadRecord { need: 1, ..record() };
        other.write(&root).unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
        assert_eq!(LoadRecord::read(&root).unwrap().need, 1);
        fs::create_dir(&part).unwrap();
        record().write(&root).unwrap_err();
        assert_eq!(LoadRecord::read(&root), None, "the note of another load would be believed");
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn nonsense_is_no_record() {
        for text in [
            "",
            "need=1\n",
            "need=x\nroom=1\nreserved=1\nkernel=k\n",
            "need=-1\nroom=1\nreserved=1\nkernel=k",
        ] {
            assert_eq!(LoadRecord::parse(text), None, "{text:?}");
        }
    }
}
