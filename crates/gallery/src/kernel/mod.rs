//! The inner loops, once in plain Rust and once for each family of vector instructions.
//!
//! All kernels compute the same integers, and the same f32 from them by the same operations in the
//! same order, so what they let through is equal bit by bit; a test compares
//! them. Which one runs is chosen when a gallery is opened, from what the processor says of itself.
//!
//! `unsafe` appears for two reasons only: calling a function compiled for instructions that the
//! processor was asked about, and loading vectors through pointers that a bounds check or an
//! assertion above the loop covers.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod scalar;

/// How far ahead of a pass codes are asked for, in bytes.
const PASS_AHEAD: usize = 4_096;
/// The same for the sixth bits, of which there is a line for five of the coarse table.
#[cfg(target_arch = "x86_64")]
const SIXTH_AHEAD: usize = 1_024;
/// How many rows ahead of a look fine codes are asked for.
const LOOK_AHEAD: usize = 8;

use crate::codes::{self, CodedProbe, Depth, GROUP, LINE};

/// Probes that one pass over the codes serves.
pub(crate) const MOST_PROBES: usize = 16;

/// Which instructions the inner loops use. The answer does not depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// Plain Rust, on every processor.
    Scalar,
    /// x86-64 AVX2 and FMA.
    Avx2,
    /// x86-64 AVX-512 with byte dot products (`vpdpbusd`).
    Avx512Vnni,
}

impl Kernel {
    /// The kernels that run on this processor, best last.
    pub fn available() -> Vec<Kernel> {
        #[allow(unused_mut)]
        let mut kernels = vec![Kernel::Scalar];
        #[cfg(target_arch = "x86_64")]
        {
            if usable(Kernel::Avx2) {
                kernels.push(Kernel::Avx2);
            }
            if usable(Kernel::Avx512Vnni) {
                kernels.push(Kernel::Avx512Vnni);
            }
        }
        kernels
    }

    /// The best kernel that runs on this processor.
    pub fn best() -> Kernel {
        Kernel::available().pop().unwrap_or(Kernel::Scalar)
    }
}

#[cfg(target_arch = "x86_64")]
fn has(feature: &str) -> bool {
    match feature {
        "avx512f" => std::is_x86_feature_detected!("avx512f"),
        "avx512bw" => std::is_x86_feature_detected!("avx512bw"),
        "avx512vl" => std::is_x86_feature_detected!("avx512vl"),
        _ => std::is_x86_feature_detected!("avx512vnni"),
    }
}

/// Up to [`MOST_PROBES`] coded probes, laid out for a pass over the codes: for every line, four
/// bytes of each probe for the low nibbles, then four of each for the high ones.
#[derive(Debug, Clone)]
pub(crate) struct Packed {
    depth: Depth,
    /// Probes, padded with nobody to 1, 2, 4, 8 or 16.
    count: usize,
    /// `2 · count` entries a line.
    cells: Vec<i32>,
    offset: [i32; MOST_PROBES],
    scale: [f32; MOST_PROBES],
    length: [f32; MOST_PROBES],
    /// The same once more, for a kernel that multiplies in pairs.
    #[cfg(target_arch = "x86_64")]
    pairs: Option<avx512::Pairs>,
}

impl Packed {
    /// Packs 1 to [`MOST_PROBES`] probes of one dimension for a pass of some depth.
    pub(crate) fn new(probes: &[CodedProbe], depth: Depth) -> Self {
        let count = probes.len().clamp(1, MOST_PROBES).next_power_of_two();
        let lines = probes.first().map_or(0, |p| p.low.len());
        let mut packed = Packed {
            depth,
            count,
            cells: vec![0; 2 * count * lines],
            offset: [0; MOST_PROBES],
            scale: [0.0; MOST_PROBES],
            length: [0.0; MOST_PROBES],
            #[cfg(target_arch = "x86_64")]
            pairs: None,
        };
        for (at, probe) in probes.iter().take(count).enumerate() {
            for (line, (low, high)) in packed.cells.chunks_exact_mut(2 * count).zip(probe.low.iter().zip(&probe.high)) {
                line[at] = i32::from_le_bytes(low.map(|c| c as u8));
                line[count + at] = i32::from_le_bytes(high.map(|c| c as u8));
            }
            packed.offset[at] = probe.offset(depth);
            packed.scale[at] = probe.scale(depth);
            packed.length[at] = probe.length;
        }
        #[cfg(target_arch = "x86_64")]
        if count == MOST_PROBES && depth == Depth::Six {
            packed.pairs = Some(avx512::Pairs::new(&packed));
        }
        packed
    }

    fn lines(&self) -> usize {
        self.cells.len() / (2 * self.count)
    }
}

/// The references of a stretch of codes that one probe could not let go, in row order: row, the sum
/// `I` of the pass's depth, upper end without what all share, step and residual (of that depth) as two
/// bf16, and `t`.
#[derive(Debug, Clone)]
pub(crate) struct Survivors {
    len: usize,
    rows: Box<[u32]>,
    sums: Box<[i32]>,
    uppers: Box<[f32]>,
    packed: Box<[u32]>,
    along: Box<[f32]>,
}

/// One of [`Survivors`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Survivor {
    pub(crate) row: u32,
    pub(crate) sum: i32,
    pub(crate) upper: f32,
    pub(crate) packed: u32,
    pub(crate) along: f32,
}

impl Survivors {
    /// Room for all references of up to `groups` groups.
    pub(crate) fn for_groups(groups: usize) -> Self {
        // One group more than fits, because a kernel stores whole registers.
        let room = (groups + 1) * GROUP;
        Survivors {
            len: 0,
            rows: vec![0; room].into(),
            sums: vec![0; room].into(),
            uppers: vec![0.0; room].into(),
            packed: vec![0; room].into(),
            along: vec![0.0; room].into(),
        }
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Survivor> + '_ {
        let parts = self.rows.iter().zip(&self.sums).zip(&self.uppers).zip(&self.packed).zip(&self.along).take(self.len);
        parts.map(|((((row, sum), upper), packed), along)| Survivor { row: *row, sum: *sum, upper: *upper, packed: *packed, along: *along })
    }

    /// Whether a stretch of `groups` groups fits beside nothing.
    fn holds(&self, groups: usize) -> bool {
        let room = (groups + 1) * GROUP;
        [self.rows.len(), self.sums.len(), self.uppers.len(), self.packed.len(), self.along.len()].iter().all(|len| *len >= room)
    }

    fn push(&mut self, one: Survivor) {
        self.rows[self.len] = one.row;
        self.sums[self.len] = one.sum;
        self.uppers[self.len] = one.upper;
        self.packed[self.len] = one.packed;
        self.along[self.len] = one.along;
        self.len += 1;
    }
}

/// The codes of some groups, and the number of their first row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch<'a> {
    pub(crate) coarse: &'a [u8],
    /// The same groups' rows of the sixth table, read by passes that look so deep only.
    pub(crate) sixth: &'a [u8],
    pub(crate) first_row: u32,
}

/// Passes over the codes of some groups, and leaves in `out[p]` the references whose upper end for
/// probe `p` is at least `floors[p]`.
///
/// # Panics
/// If `stretch` is not whole rows of the probes' dimension, or there is too little room in `out`: a
/// bug in this crate.
pub(crate) fn scan(kernel: Kernel, stretch: Stretch<'_>, probes: &Packed, floors: &[f32], out: &mut [Survivors]) {
    let row = codes::tail(probes.lines()) + codes::TAIL;
    assert_eq!(stretch.coarse.len() % row, 0, "whole rows");
    let groups = stretch.coarse.len() / row;
    if probes.depth == Depth::Six {
        assert_eq!(stretch.sixth.len(), groups * (codes::sixth_tail(probes.lines()) + 2 * GROUP), "the same groups");
    }
    assert!(floors.len() <= probes.count && out.len() == floors.len());
    assert!(out.iter().all(|o| o.holds(groups)), "room for all");
    // Nobody's floor is above everything.
    let mut all = [f32::INFINITY; MOST_PROBES];
    all[..floors.len()].copy_from_slice(floors);
    out.iter_mut().for_each(|o| o.len = 0);
    match kernel {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `usable` asked the processor for the instructions; what else they demand is asserted above.
        Kernel::Avx2 if usable(kernel) => unsafe { avx2::scan(stretch, probes, &all, out) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Kernel::Avx512Vnni if usable(kernel) => unsafe { avx512::scan(stretch, probes, &all, out) },
        _ => scalar::scan(stretch, probes, &all, out),
    }
}

/// Replaces `out` by `Σ l·z̃` over those bits `l` of the lower nibbles of each of `rows` that a pass of
/// `depth` has not seen, `fine` being the fine codes of a whole segment.
///
/// # Panics
/// If there is no such row: a bug in this crate.
pub(crate) fn fine_sums(kernel: Kernel, fine: &[u8], rows: &[u32], probe: &CodedProbe, depth: Depth, out: &mut Vec<i32>) {
    let (low, high) = (probe.low.as_flattened(), probe.high.as_flattened());
    out.clear();
    out.reserve(rows.len());
    match kernel {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `usable` asked the processor for the instructions.
        Kernel::Avx2 if usable(kernel) => unsafe { avx2::fine_sums(fine, rows, low, high, depth.unseen(), out) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Kernel::Avx512Vnni if usable(kernel) => unsafe { avx512::fine_sums(fine, rows, low, high, depth.unseen(), out) },
        _ => scalar::fine_sums(fine, rows, low, high, depth.unseen(), out),
    }
}

/// The fine codes of the `at`-th of `rows`, and a word to the processor about those to come.
#[inline(always)]
fn fine_row<'a>(fine: &'a [u8], rows: &[u32], at: usize, bytes: usize) -> &'a [u8] {
    if let Some(soon) = rows.get(at + LOOK_AHEAD) {
        prefetch(fine.get(*soon as usize * bytes..(*soon as usize + 1) * bytes).unwrap_or_default());
    }
    &fine[rows[at] as usize * bytes..(rows[at] as usize + 1) * bytes]
}

/// Runs `work`, compiled once more for AVX2 where the processor has it. Rust never fuses or reorders
/// float operations by itself, so the result is the same to the bit.
#[inline]
pub(crate) fn vectorised<T: Work>(work: T) {
    #[cfg(target_arch = "x86_64")]
    if usable(Kernel::Avx512Vnni) {
        // SAFETY: the processor was just asked.
        return unsafe { avx512::run(work) };
    }
    #[cfg(target_arch = "x86_64")]
    if usable(Kernel::Avx2) {
        // SAFETY: the processor was just asked.
        return unsafe { avx2::run(work) };
    }
    work.run();
}

/// Work that [`vectorised`] compiles for several families of instructions; `run` is `inline(always)`.
pub(crate) trait Work {
    fn run(self);
}

/// Asks for some memory soon. A hint: nothing is read.
#[inline(always)]
pub(crate) fn prefetch<T>(items: &[T]) {
    #[cfg(target_arch = "x86_64")]
    for from in (0..size_of_val(items)).step_by(64) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch of any address is allowed, and this one is inside a slice.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(items.as_ptr().cast::<i8>().wrapping_add(from)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = items;
}

/// The `number`-th of some lines, or one of zeros: for a pass that looks less deep there is none.
#[inline(always)]
fn line_of(lines: &[u8], number: usize) -> &[u8; LINE] {
    lines.as_chunks().0.get(number).unwrap_or(&[0; LINE])
}

/// Asks for the codes that a pass will reach soon. The processor's own prefetching stops at the end
/// of each page and does not recover in time: without this a pass takes twice as long.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn prefetch_ahead<const BYTES: usize>(codes: &[u8; BYTES], ahead: usize) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    for line in (0..BYTES).step_by(64) {
        // SAFETY: a prefetch of any address is allowed and changes nothing; `wrapping_add` may leave
        // the slice, and is never read through.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(codes.as_ptr().wrapping_add(ahead + line).cast()) };
    }
}

/// Whether this processor runs the kernel. The standard library remembers what it was told.
#[cfg(target_arch = "x86_64")]
#[inline]
fn usable(kernel: Kernel) -> bool {
    match kernel {
        Kernel::Scalar => true,
        Kernel::Avx2 => std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma"),
        Kernel::Avx512Vnni => has("avx512f") && has("avx512bw") && has("avx512vl") && has("avx512vnni"),
    }
}

#[cfg(test)]
#[path = "../kernel_tests.rs"]
mod tests;
