//! Reading a segment file through a memory map.
//!
//! A gallery is far larger than what a process should copy in at start, so segment files are
//! mapped read-only. Two operations need `unsafe`; beside the kernels' they are the crate's only ones.
//! (Under Miri, which has no maps of files, they are read into ordinary memory.)
#![allow(unsafe_code)]

use std::fs::File;
use std::io;

#[cfg(all(target_os = "linux", not(miri)))]
use memmap2::Advice;
#[cfg(not(miri))]
use memmap2::{Mmap, MmapMut};

#[cfg(not(target_endian = "little"))]
compile_error!("segment files hold little-endian f32 and are read in place");

#[cfg(miri)]
type Mmap = aligned::Bytes;

/// The bytes of one immutable segment file.
#[derive(Debug)]
pub(crate) struct Mapping(Mmap);

impl Mapping {
    /// Maps `file` read-only, as long as it is now.
    #[cfg(not(miri))]
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        // SAFETY: the danger of a map is that somebody changes or shortens the file under it. A
        // segment file is written under a fresh number with `create_new`, synced, and only then
        // named in a manifest; from that moment no code in this crate opens it for writing, and
        // `create_new` refuses an existing name, so it is immutable until it is unlinked.
        // Unlinking leaves existing maps whole. The folder is created 0700 and files 0600, so
        // only processes of the same account could break this, and the documentation forbids it.
        // We never make a mutable map, and every access goes through a checked slice.
        unsafe { Mmap::map(file) }.map(Mapping)
    }

    #[cfg(miri)]
    pub(crate) fn of(mut file: &File) -> io::Result<Self> {
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut file, &mut bytes)?;
        Ok(Mapping(aligned::Bytes::of(&bytes)))
    }

    /// Everything in the file.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A copy of some bytes in memory of this process's own, in huge pages where the system has them: a
/// pass over a mapped file spends much of its time finding small pages.
#[derive(Debug)]
pub(crate) struct Memory(Mmap);

impl Memory {
    /// Copies `bytes`.
    #[cfg(not(miri))]
    pub(crate) fn of(bytes: &[u8]) -> io::Result<Self> {
        let mut map = MmapMut::map_anon(bytes.len().max(1))?;
        #[cfg(target_os = "linux")]
        let _ = map.advise(Advice::HugePage); // small pages serve as well, only slower
        map[..bytes.len()].copy_from_slice(bytes);
        map.make_read_only().map(Memory)
    }

    #[cfg(miri)]
    pub(crate) fn of(bytes: &[u8]) -> io::Result<Self> {
        Ok(Memory(aligned::Bytes::of(bytes)))
    }

    /// The copy; at least as long as what was copied.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// `bytes` seen as f32, or `None` if they are not aligned for it or not a whole number of them.
pub(crate) fn floats(bytes: &[u8]) -> Option<&[f32]> {
    // SAFETY: every 32-bit pattern is a valid f32, f32 has no padding, the result borrows from
    // `bytes`, and `align_to` itself puts whatever is not aligned into the outer parts, which we
    // require to be empty. Byte order is settled at compile time above.
    let (before, floats, after) = unsafe { bytes.align_to::<f32>() };
    (before.is_empty() && after.is_empty()).then_some(floats)
}

#[cfg(miri)]
mod aligned {
    /// Bytes as aligned as a page's begin, as far as f32 can tell.
    #[derive(Debug)]
    pub(crate) struct Bytes(Vec<u64>, usize);

    impl Bytes {
        pub(crate) fn of(bytes: &[u8]) -> Self {
            let word = |chunk: &[u8]| u64::from_ne_bytes(std::array::from_fn(|i| chunk.get(i).copied().unwrap_or(0)));
            Bytes(bytes.chunks(8).map(word).collect(), bytes.len())
        }
    }

    impl std::ops::Deref for Bytes {
        type Target = [u8];

        fn deref(&self) -> &[u8] {
            // SAFETY: every byte of a u64 is a valid u8; u8 needs no alignment, so all is in the middle.
            let (_, bytes, _) = unsafe { self.0.align_to::<u8>() };
            &bytes[..self.1]
        }
    }
}
