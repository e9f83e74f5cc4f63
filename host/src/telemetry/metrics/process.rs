//! What the system says of this process, in the words that every Prometheus client uses.

use std::fs;

use super::text::{Kind, Text};

/// The system tells times in hundredths of a second, whatever its clock does.
const TICKS_PER_SECOND: f64 = 100.0;

/// See the module. What the system does not say is left out.
#[derive(Debug, Default)]
pub(super) struct Process {
    cpu_seconds: Option<f64>,
    resident_bytes: Option<u64>,
    virtual_bytes: Option<u64>,
    threads: Option<u64>,
    open_files: Option<u64>,
    most_files: Option<u64>,
}

impl Process {
    /// As it is now.
    pub(super) fn read() -> Self {
        let read = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
        let files = fs::read_dir("/proc/self/fd").ok();
        let process = Self::of(&read("stat"), &read("status"), &read("limits"));
        // The folder is open, too, while it is read.
        Self { open_files: files.map(|files| (files.count() as u64).saturating_sub(1)), ..process }
    }

    fn of(stat: &str, status: &str, limits: &str) -> Self {
        let kilobytes = |name: &str| Some(number(status, name)? * 1024);
        Self {
            cpu_seconds: cpu_seconds(stat),
            resident_bytes: kilobytes("VmRSS:"),
            virtual_bytes: kilobytes("VmSize:"),
            threads: number(status, "Threads:"),
            open_files: None,
            most_files: number(limits, "Max open files"),
        }
    }

    pub(super) fn write(&self, text: &mut Text) {
        if let Some(seconds) = self.cpu_seconds {
            text.single("process_cpu_seconds_total", Kind::Counter, "CPU time of all threads.", seconds);
        }
        for (name, help, value) in [
            ("process_resident_memory_bytes", "Memory that is in use.", self.resident_bytes),
            ("process_virtual_memory_bytes", "Address space that is taken.", self.virtual_bytes),
            ("process_threads", "Threads.", self.threads),
            ("process_open_fds", "Open files, connections among them.", self.open_files),
            ("process_max_fds", "As many files as may be open.", self.most_files),
        ] {
            if let Some(value) = value {
                text.single(name, Kind::Gauge, help, value);
            }
        }
    }
}

/// User's and system's time. The name in front of them may hold anything, brackets too.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let words: Vec<&str> = rest.split_ascii_whitespace().collect();
    let ticks = |place: usize| words.get(place)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
}

/// The first number of the line that begins like this.
fn number(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_is_read() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 9 0 12345 1000 10 1844";
        let status = "Name:\ta\nVmSize:\t  2000 kB\nVmRSS:\t    10 kB\nThreads:\t9\n";
        let limits = "Limit   Soft Limit  Hard Limit  Units\nMax open files   1024   4096   files\n";
        let process = Process::of(stat, status, limits);
        assert_eq!(process.cpu_seconds, Some(2.0));
        assert_eq!((process.resident_bytes, process.virtual_bytes), (Some(10 << 10), Some(2000 << 10)));
        assert_eq!((process.threads, process.most_files), (Some(9), Some(1024)));
    }

    #[test]
    fn what_it_does_not_say_is_left_out() {
        let mut text = Text::default();
        Process::of("", "VmRSS: many kB", "Max open files unlimited").write(&mut text);
        assert_eq!(text.into_string(), "");
    }

    #[test]
    fn this_process_has_files_open_and_takes_memory() {
        let process = Process::read();
        assert!(process.open_files.is_some_and(|files| files >= 3), "{process:?}");
        assert!(process.resident_bytes.is_some_and(|bytes| bytes > 1 << 20), "{process:?}");
    }
}
