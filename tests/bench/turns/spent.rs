//! What a stretch of work cost: processor time, allocations, memory. Whoever prepares the work takes its own share out.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The system's allocator, counting.
pub struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static PREPARING_NS: AtomicU64 = AtomicU64::new(0);
static PREPARING_ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: everything is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        unsafe { System.realloc(at, layout, size) }
    }
}

fn clock(id: libc::clockid_t) -> u64 {
    let mut at = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec, and there is one.
    let told = unsafe { libc::clock_gettime(id, &raw mut at) };
    assert_eq!(told, 0, "Linux has processor clocks");
    at.tv_sec as u64 * 1_000_000_000 + at.tv_nsec as u64
}

/// Work of the bench itself, on this thread: it is nobody's turn.
pub fn preparing<T>(work: impl FnOnce() -> T) -> T {
    let (ns, allocations) = (clock(libc::CLOCK_THREAD_CPUTIME_ID), ALLOCATIONS.load(Relaxed));
    let made = work();
    PREPARING_NS.fetch_add(clock(libc::CLOCK_THREAD_CPUTIME_ID) - ns, Relaxed);
    PREPARING_ALLOCATIONS.fetch_add(ALLOCATIONS.load(Relaxed) - allocations, Relaxed);
    made
}

/// The counts of a moment, without what was prepared.
#[derive(Clone, Copy)]
pub struct Spent {
    ns: u64,
    allocations: u64,
}

impl Spent {
    pub fn now() -> Spent {
        Spent {
            ns: clock(libc::CLOCK_PROCESS_CPUTIME_ID) - PREPARING_NS.load(Relaxed),
            allocations: ALLOCATIONS.load(Relaxed) - PREPARING_ALLOCATIONS.load(Relaxed),
        }
    }

    /// All threads of the process, kernel time included.
    pub fn cpu_since(self) -> Duration {
        Duration::from_nanos(Spent::now().ns.saturating_sub(self.ns))
    }

    pub fn allocations_since(self) -> u64 {
        Spent::now().allocations.saturating_sub(self.allocations)
    }
}

/// Resident memory in MiB: now, and the most there ever was.
pub fn resident() -> (f64, f64) {
    let told = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let mib = |name: &str| {
        let line = told.lines().find(|line| line.starts_with(name)).expect(name);
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).expect("a number") / 1024.0
    };
    (mib("VmRSS:"), mib("VmHWM:"))
}
