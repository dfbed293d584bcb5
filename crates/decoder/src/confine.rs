//! What the decoding child gives up before it reads a byte: three layers, each of which would be enough for most
//! of it, so that a kernel that lacks one still leaves the others.
//!
//! 1. **Limits** (rlimits): memory, processor time, open files, file size, processes; no core file, and nobody looks in.
//! 2. **Landlock**: no file, no TCP port, no socket or signal outside this process.
//! 3. **seccomp**: the system calls that decoding from one pipe into another needs, and death at any other. The
//!    kernel does not hold root to the limit on processes; this layer holds everybody to it.
//!
//! A kernel that lacks the second or third is told of ([`Confinement`]), not refused.

use crate::{CHILD_ADDRESS_BYTES_MAX, CPU_SECONDS_MAX};
use landlock::{ABI, Access, AccessFs, AccessNet, LandlockStatus, Ruleset, RulesetAttr, RulesetStatus, Scope};
use rlimit::Resource;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, io};

/// One way in which the kernel holds a decoding child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// Resource limits, and [`leave_no_core`]. Every kernel has them.
    Limits,
    /// Landlock, Linux 5.13 and later.
    Landlock,
    /// A seccomp filter of system calls.
    Seccomp,
}

impl Layer {
    /// All of them, in the order in which they are put on: Landlock needs a fourth open file for a moment, and
    /// nothing can be put on after seccomp.
    pub const ALL: [Self; 3] = [Self::Landlock, Self::Limits, Self::Seccomp];
}

/// How far a layer holds on the kernel that the child ran on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Held {
    /// Everything that was asked for.
    Full,
    /// What this kernel knows of it, and which version of the interface that is.
    Part(String),
    /// Nothing, and why.
    Absent(String),
}

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Full => f.write_str("in full"),
            Self::Part(how) => write!(f, "in part ({how})"),
            Self::Absent(why) => write!(f, "not at all ({why})"),
        }
    }
}

/// Which layers hold a decoding child on this machine, as such a child said after putting them on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// Resource limits; without them a child does not run at all.
    pub limits: Held,
    /// Landlock.
    pub landlock: Held,
    /// seccomp.
    pub seccomp: Held,
}

impl Confinement {
    /// The layers that this kernel lacks, wholly or in part, in words for the operator; empty where all hold.
    #[must_use]
    pub fn gaps(&self) -> Vec<String> {
        let all = [("resource limits", &self.limits), ("Landlock", &self.landlock), ("seccomp", &self.seccomp)];
        all.into_iter().filter(|(_, held)| **held != Held::Full).map(|(name, held)| format!("{name}: {held}")).collect()
    }
}

/// The newest Landlock interface of kernels in wide use (Linux 6.12): files, devices, TCP ports, abstract sockets, signals.
const LANDLOCK_ABI: ABI = ABI::V6;

/// Puts layers on this process for good, in the order of [`Layer::ALL`]. What is left out is [`Held::Absent`].
/// One thread only: call it first thing.
///
/// # Errors
/// When the limits cannot be set, or a layer that this kernel has cannot be put on.
pub fn confine(layers: &[Layer]) -> io::Result<Confinement> {
    let left_out = || Held::Absent("left out".into());
    let on = |layer| layers.contains(&layer);
    let landlock = if on(Layer::Landlock) { landlocked()? } else { left_out() };
    let limits = if on(Layer::Limits) { limited()? } else { left_out() };
    let seccomp = if on(Layer::Seccomp) { filtered()? } else { left_out() };
    Ok(Confinement { limits, landlock, seccomp })
}

/// For a process that holds keys or personal data: its memory is written to no core file and handed to no program that collects
/// cores (`core_pattern` with a pipe, which the limit alone does not stop), and no other process of its user can look into
/// it or trace it, only the machine's administrator. A program that it starts begins anew without this.
///
/// # Errors
/// When the kernel refuses.
pub fn leave_no_core() -> io::Result<()> {
    Resource::CORE.set(0, 0)?;
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// Hard limits, so that nothing in this process can raise them again.
fn limited() -> io::Result<Held> {
    leave_no_core()?;
    // Standard input, output and error stay open; there is no fourth.
    const OPEN_FILES: u64 = 3;
    let limits = [
        (Resource::AS, CHILD_ADDRESS_BYTES_MAX),
        (Resource::CPU, CPU_SECONDS_MAX),
        (Resource::FSIZE, 0),
        (Resource::NOFILE, OPEN_FILES),
        // The kernel does not hold root to this one; seccomp does.
        (Resource::NPROC, 0),
    ];
    for (resource, limit) in limits {
        let hard = resource.get_hard()?;
        let limit = limit.min(hard);
        resource.set(limit, limit)?;
    }
    Ok(Held::Full)
}

/// Everything that Landlock knows, allowed nowhere.
fn landlocked() -> io::Result<Held> {
    let ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(LANDLOCK_ABI))
        .and_then(|r| r.handle_access(AccessNet::from_all(LANDLOCK_ABI)))
        .and_then(|r| r.scope(Scope::from_all(LANDLOCK_ABI)))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self)
        .map_err(io::Error::other)?;
    Ok(match (ruleset.ruleset, ruleset.landlock) {
        (RulesetStatus::FullyEnforced, _) => Held::Full,
        (RulesetStatus::PartiallyEnforced, LandlockStatus::Available { effective_abi, .. }) => {
            Held::Part(format!("this kernel's interface is version {effective_abi}, of {LANDLOCK_ABI} asked for"))
        }
        (_, LandlockStatus::NotEnabled) => Held::Absent("this kernel has it, but it is not switched on (lsm=landlock)".into()),
        _ => Held::Absent("this kernel does not have it".into()),
    })
}

/// The calls of a program that reads standard input, computes, and writes standard output. Any other ends the process.
fn filtered() -> io::Result<Held> {
    let Ok(arch) = TargetArch::try_from(std::env::consts::ARCH) else {
        return Ok(Held::Absent(format!("not for {} processors", std::env::consts::ARCH)));
    };
    let filter = SeccompFilter::new(calls()?, SeccompAction::KillProcess, SeccompAction::Allow, arch).map_err(io::Error::other)?;
    let program: BpfProgram = filter.try_into().map_err(io::Error::other)?;
    match seccompiler::apply_filter(&program) {
        Ok(()) => Ok(Held::Full),
        // What a kernel built without filters answers; anything else is a fault.
        Err(seccompiler::Error::Prctl(e) | seccompiler::Error::Seccomp(e))
            if [Some(libc::EINVAL), Some(libc::ENOSYS)].contains(&e.raw_os_error()) =>
        {
            Ok(Held::Absent("this kernel does not have it".into()))
        }
        Err(e) => Err(io::Error::other(e)),
    }
}

/// Call → the rules of which one must hold; none: whatever the arguments.
fn calls() -> io::Result<BTreeMap<i64, Vec<SeccompRule>>> {
    use SeccompCmpOp::{Eq, MaskedEq};
    let when = |conditions: &[(u8, SeccompCmpOp, u64)]| -> io::Result<SeccompRule> {
        let made = conditions.iter().map(|(at, op, value)| SeccompCondition::new(*at, Dword, op.clone(), *value));
        let made = made.collect::<Result<Vec<_>, _>>().map_err(io::Error::other)?;
        SeccompRule::new(made).map_err(io::Error::other)
    };
    // The kernel compares the low 32 bits: a file number of −1.
    const NO_FILE: u64 = u32::MAX as u64;
    // Memory is never made executable, nor a file mapped.
    let never_run = MaskedEq(libc::PROT_EXEC as u64);
    let itself = u64::from(std::process::id());
    Ok([
        (libc::SYS_read, vec![when(&[(0, Eq, 0)])?]),
        (libc::SYS_write, vec![when(&[(0, Eq, 1)])?, when(&[(0, Eq, 2)])?]),
        (libc::SYS_mmap, vec![when(&[(2, never_run.clone(), 0), (4, Eq, NO_FILE)])?]),
        (libc::SYS_mprotect, vec![when(&[(2, never_run, 0)])?]),
        (libc::SYS_munmap, vec![]),
        (libc::SYS_mremap, vec![]),
        (libc::SYS_brk, vec![]),
        (libc::SYS_madvise, vec![]),
        (libc::SYS_futex, vec![]),
        (libc::SYS_getrandom, vec![]),
        (libc::SYS_clock_gettime, vec![]),
        (libc::SYS_sched_yield, vec![]),
        (libc::SYS_close, vec![]),
        // Ending: of its own accord, by a panic, by an allocation that failed (abort signals the process itself).
        (libc::SYS_sigaltstack, vec![]),
        (libc::SYS_rt_sigprocmask, vec![]),
        (libc::SYS_rt_sigaction, vec![]),
        (libc::SYS_rt_sigreturn, vec![]),
        (libc::SYS_getpid, vec![]),
        (libc::SYS_gettid, vec![]),
        (libc::SYS_tgkill, vec![when(&[(0, Eq, itself)])?]),
        (libc::SYS_exit, vec![]),
        (libc::SYS_exit_group, vec![]),
    ]
    .into())
}
