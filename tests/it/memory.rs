//! What a process holds in memory, watched while it works.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How often is looked.
const INTERVAL: Duration = Duration::from_millis(100);

/// Columns of a chart.
const WIDTH: usize = 72;

/// A process that is being watched.
pub(crate) struct Watch {
    is_over: Arc<AtomicBool>,
    watching: JoinHandle<Series>,
}

/// What a process had resident, look by look.
pub(crate) struct Series {
    process: u32,
    mebibytes: Vec<u64>,
}

impl Watch {
    pub(crate) fn of(process: u32) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_over);
        let watching = thread::spawn(move || {
            let mut mebibytes = Vec::new();
            while !flag.load(Ordering::Relaxed) {
                mebibytes.extend(resident_mebibytes(process));
                thread::sleep(INTERVAL);
            }
            Series { process, mebibytes }
        });
        Self { is_over, watching }
    }

    /// What was seen. To be asked while the process lives.
    pub(crate) fn end(self) -> Series {
        self.is_over.store(true, Ordering::Relaxed);
        self.watching.join().expect("watching does not panic")
    }
}

impl Series {
    /// Prints a chart, and asserts that it stays below a line and does not climb in its second half.
    pub(crate) fn assert_flat(&self, most: u64, slack: u64) {
        let chart = self.chart();
        println!("{chart}");
        let (first, second) = self.mebibytes.split_at(self.mebibytes.len() / 2);
        let peak = |half: &[u64]| half.iter().copied().max().unwrap_or_default();
        assert!(!first.is_empty(), "the kernel says nothing of process {}", self.process);
        assert!(peak(&self.mebibytes) <= most, "more than {most} MiB:\n{chart}");
        assert!(peak(second) <= peak(first) + slack, "it climbs:\n{chart}");
    }

    fn chart(&self) -> String {
        const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let peak = self.mebibytes.iter().copied().max().unwrap_or(1).max(1);
        let columns = self.mebibytes.chunks(self.mebibytes.len().div_ceil(WIDTH).max(1));
        let bar = |column: &[u64]| {
            let most = column.iter().copied().max().unwrap_or_default();
            BARS[usize::try_from(most * 7 / peak).unwrap_or_default()]
        };
        let bars: String = columns.map(bar).collect();
        let seconds = self.mebibytes.len() as u128 * INTERVAL.as_millis() / 1000;
        format!("resident memory of process {}: {bars} peak {peak} MiB, {seconds} s", self.process)
    }
}

/// (proc(5), `VmRSS`)
fn resident_mebibytes(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes >> 10)
}
