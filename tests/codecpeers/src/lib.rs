//! The distribution's compression libraries, to compare the codecs of dumps with.
//!
//! They are loaded when asked for, so that only what compares needs them; `cargo xtask setup`
//! installs them. Their declarations are ours, from their manuals: liblzo2 is GPL, and none of
//! its files is used to build this.
#![allow(unsafe_code, reason = "calls C libraries")]

mod library;

use core::ffi::{c_int, c_void};

use library::Library;

/// What a peer failed with, for a person.
pub type Result<T> = core::result::Result<T, String>;

/// Compresses all of the first slice into the second; the length, or what the library said.
type Call = Box<dyn Fn(&[u8], &mut [u8]) -> Result<usize>>;

/// A compression library, at the settings makedumpfile uses.
pub struct Peer {
    /// The name of the codec.
    pub codec: &'static str,
    /// The file that was loaded.
    pub file: &'static str,
    compress: Call,
    decompress: Call,
}

impl core::fmt::Debug for Peer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Peer").field("codec", &self.codec).field("file", &self.file).finish_non_exhaustive()
    }
}

impl Peer {
    /// All of them: lzo, zlib, snappy and zstd.
    ///
    /// # Errors
    /// A library or a function of it is missing.
    pub fn all() -> Result<[Self; 4]> {
        Ok([lzo()?, zlib()?, snappy()?, zstd()?])
    }

    /// Compresses `input` into `output`, which must have room for the worst case: twice the
    /// input and 1 KiB more is enough for all.
    ///
    /// # Errors
    /// What the library said.
    pub fn compress(&self, input: &[u8], output: &mut [u8]) -> Result<usize> {
        if output.len() < input.len().saturating_mul(2).saturating_add(1024) {
            return Err(format!("{}: an output of {} bytes is too small", self.codec, output.len()));
        }
        (self.compress)(input, output)
    }

    /// Decompresses `input` into `output`.
    ///
    /// # Errors
    /// What the library said.
    pub fn decompress(&self, input: &[u8], output: &mut [u8]) -> Result<usize> {
        (self.decompress)(input, output)
    }
}

/// Turns a library's status and the length it wrote into a result.
fn outcome(status: c_int, len: usize) -> Result<usize> {
    if status == 0 { Ok(len) } else { Err(format!("status {status}")) }
}

/// `lzo1x_1_compress` and `lzo1x_decompress_safe`: lengths are `lzo_uint`, as wide as a pointer.
type Lzo = unsafe extern "C" fn(*const u8, usize, *mut u8, *mut usize, *mut c_void) -> c_int;

fn lzo() -> Result<Peer> {
    let file = "liblzo2.so.2";
    let library = Library::open(file)?;
    // SAFETY: the documented prototype.
    let compress: Lzo = unsafe { library.get(c"lzo1x_1_compress") }?;
    // SAFETY: the documented prototype.
    let decompress: Lzo = unsafe { library.get(c"lzo1x_decompress_safe") }?;
    // LZO1X_1_MEM_COMPRESS is 16384 pointers at most.
    let work = core::cell::RefCell::new(vec![0_u64; 16384]);
    let call = move |function: Lzo, input: &[u8], output: &mut [u8]| {
        let mut len = output.len();
        let mut work = work.borrow_mut();
        let work = work.as_mut_ptr().cast();
        // SAFETY: two slices with their lengths, and work memory of the documented size.
        let status =
            unsafe { function(input.as_ptr(), input.len(), output.as_mut_ptr(), &raw mut len, work) };
        outcome(status, len)
    };
    let other = call.clone();
    Ok(Peer {
        codec: "lzo",
        file,
        compress: Box::new(move |input, output| call(compress, input, output)),
        decompress: Box::new(move |input, output| other(decompress, input, output)),
    })
}

type Compress2 = unsafe extern "C" fn(*mut u8, *mut libc::c_ulong, *const u8, libc::c_ulong, c_int) -> c_int;
type Uncompress = unsafe extern "C" fn(*mut u8, *mut libc::c_ulong, *const u8, libc::c_ulong) -> c_int;

fn zlib() -> Result<Peer> {
    let file = "libz.so.1";
    let library = Library::open(file)?;
    // SAFETY: the prototype of zlib's manual.
    let compress: Compress2 = unsafe { library.get(c"compress2") }?;
    // SAFETY: the prototype of zlib's manual.
    let uncompress: Uncompress = unsafe { library.get(c"uncompress") }?;
    Ok(Peer {
        codec: "zlib",
        file,
        compress: Box::new(move |input, output| {
            let mut len = output.len() as libc::c_ulong;
            let size = input.len() as libc::c_ulong;
            // SAFETY: two slices with their lengths.
            let status = unsafe { compress(output.as_mut_ptr(), &raw mut len, input.as_ptr(), size, 1) };
            outcome(status, usize::try_from(len).unwrap_or(0))
        }),
        decompress: Box::new(move |input, output| {
            let mut len = output.len() as libc::c_ulong;
            let size = input.len() as libc::c_ulong;
            // SAFETY: two slices with their lengths.
            let status = unsafe { uncompress(output.as_mut_ptr(), &raw mut len, input.as_ptr(), size) };
            outcome(status, usize::try_from(len).unwrap_or(0))
        }),
    })
}

/// `snappy_compress` and `snappy_uncompress` of snappy-c.h.
type Snappy = unsafe extern "C" fn(*const u8, usize, *mut u8, *mut usize) -> c_int;

fn snappy() -> Result<Peer> {
    let file = "libsnappy.so.1";
    let library = Library::open(file)?;
    // SAFETY: the prototype of snappy-c.h.
    let compress: Snappy = unsafe { library.get(c"snappy_compress") }?;
    // SAFETY: the prototype of snappy-c.h.
    let uncompress: Snappy = unsafe { library.get(c"snappy_uncompress") }?;
    let call = |function: Snappy, input: &[u8], output: &mut [u8]| {
        let mut len = output.len();
        // SAFETY: two slices with their lengths.
        let status = unsafe { function(input.as_ptr(), input.len(), output.as_mut_ptr(), &raw mut len) };
        outcome(status, len)
    };
    Ok(Peer {
        codec: "snappy",
        file,
        compress: Box::new(move |input, output| call(compress, input, output)),
        decompress: Box::new(move |input, output| call(uncompress, input, output)),
    })
}

type Create = unsafe extern "C" fn() -> *mut c_void;
type CompressCCtx = unsafe extern "C" fn(*mut c_void, *mut u8, usize, *const u8, usize, c_int) -> usize;
type DecompressDCtx = unsafe extern "C" fn(*mut c_void, *mut u8, usize, *const u8, usize) -> usize;
type IsError = unsafe extern "C" fn(usize) -> core::ffi::c_uint;

fn zstd() -> Result<Peer> {
    let file = "libzstd.so.1";
    let library = Library::open(file)?;
    // SAFETY: the prototype of zstd.h.
    let new_c: Create = unsafe { library.get(c"ZSTD_createCCtx") }?;
    // SAFETY: the prototype of zstd.h.
    let new_d: Create = unsafe { library.get(c"ZSTD_createDCtx") }?;
    // SAFETY: the prototype of zstd.h.
    let compress: CompressCCtx = unsafe { library.get(c"ZSTD_compressCCtx") }?;
    // SAFETY: the prototype of zstd.h.
    let decompress: DecompressDCtx = unsafe { library.get(c"ZSTD_decompressDCtx") }?;
    // SAFETY: the prototype of zstd.h.
    let is_error: IsError = unsafe { library.get(c"ZSTD_isError") }?;
    // SAFETY: they take nothing; the contexts live as long as the process.
    let (context_c, context_d) = (unsafe { new_c() }, unsafe { new_d() });
    if context_c.is_null() || context_d.is_null() {
        return Err("libzstd has no memory".to_owned());
    }
    let judge = move |code: usize| {
        // SAFETY: a function of a number.
        if unsafe { is_error(code) } == 0 { Ok(code) } else { Err(format!("code -{}", code.wrapping_neg())) }
    };
    Ok(Peer {
        codec: "zstd",
        file,
        compress: Box::new(move |input, output| {
            let (to, from) = (output.as_mut_ptr(), input.as_ptr());
            // SAFETY: two slices with their lengths, and a context of this library.
            judge(unsafe { compress(context_c, to, output.len(), from, input.len(), 1) })
        }),
        decompress: Box::new(move |input, output| {
            let (to, from) = (output.as_mut_ptr(), input.as_ptr());
            // SAFETY: two slices with their lengths, and a context of this library.
            judge(unsafe { decompress(context_d, to, output.len(), from, input.len()) })
        }),
    })
}
