//! The log of Linux 3.5 to 5.9, as 64-bit little-endian machines keep it.

/// A byte ring of records, each a 16-byte header and its text.
#[derive(Clone, Debug)]
pub struct LogBuf {
    /// Virtual address of the image: the variables, then the ring.
    pub base: u64,
    /// Bytes of the ring.
    pub size: usize,
    /// Where the first record begins.
    pub first_idx: usize,
}

impl LogBuf {
    /// The image from `base` on, and the VMCOREINFO lines that describe it. Texts that do not
    /// fit in front of the ring's end go to its beginning, behind a header of length 0.
    #[must_use]
    pub fn build(&self, records: &[(u64, &str)]) -> (Vec<u8>, String) {
        let ring_at = 64;
        let mut image = vec![0; ring_at + self.size];
        let mut index = self.first_idx;
        for (ts_nsec, text) in records {
            let len = (16 + text.len()).div_ceil(8) * 8;
            if index + len + 16 > self.size {
                image[ring_at + index..ring_at + index + 16].fill(0);
                index = 0;
            }
            let at = ring_at + index;
            image[at..at + 8].copy_from_slice(&ts_nsec.to_le_bytes());
            image[at + 8..at + 10].copy_from_slice(&(len as u16).to_le_bytes());
            image[at + 10..at + 12].copy_from_slice(&(text.len() as u16).to_le_bytes());
            image[at + 14] = 3;
            image[at + 15] = 4 << 5;
            image[at + 16..at + 16 + text.len()].copy_from_slice(text.as_bytes());
            index += len;
        }
        image[0..8].copy_from_slice(&(self.base + ring_at as u64).to_le_bytes());
        for (at, value) in [(8, self.size), (12, self.first_idx), (16, index)] {
            image[at..at + 4].copy_from_slice(&(value as u32).to_le_bytes());
        }
        let mut info = String::new();
        for (name, at) in [("log_buf", 0), ("log_buf_len", 8), ("log_first_idx", 12), ("log_next_idx", 16)] {
            info += &format!("SYMBOL({name})={:x}\n", self.base + at);
        }
        info += "SIZE(printk_log)=16\nOFFSET(printk_log.ts_nsec)=0\nOFFSET(printk_log.len)=8\n\
                 OFFSET(printk_log.text_len)=10\nOFFSET(printk_log.dict_len)=12\n";
        (image, info)
    }
}
