//! A kernel image to plan with.

/// A bzImage with a valid setup header and a protected-mode part of 64 KiB
/// (Documentation/arch/x86/boot.rst).
pub(crate) fn bzimage() -> Vec<u8> {
    let mut file = vec![0; 5 * 512 + 0x10000];
    let mut put = |offset: usize, bytes: &[u8]| file[offset..offset + bytes.len()].copy_from_slice(bytes);
    put(0x1f1, &[4]);
    put(0x1f4, &(0x10000_u32 / 16).to_le_bytes());
    put(0x1fe, &[0x55, 0xaa, 0xeb, 0x6a]);
    put(0x202, b"HdrS\x0f\x02");
    put(0x211, &[1]);
    put(0x22c, &0x7fff_ffff_u32.to_le_bytes());
    put(0x230, &0x20_0000_u32.to_le_bytes());
    put(0x234, &[1, 0, 0x7f]);
    put(0x238, &2047_u32.to_le_bytes());
    put(0x258, &0x100_0000_u64.to_le_bytes());
    put(0x260, &0x200_0000_u32.to_le_bytes());
    put(5 * 512, &[0xcc]);
    file
}
