//! How threads that compute leave the cores to the service. How many there are is the engine's to say.

/// What the service does besides, scrapes above all, comes first: of a core that both want a query gets a
/// tenth. Where that is not possible, it gets its half.
#[cfg(target_os = "linux")]
pub(super) fn give_way() {
    // Not ten lower than whoever started the thread, as which it begins.
    let _ = rustix::process::setpriority_process(None, 10);
}

/// Whether [`give_way`] helps with so many cores. Where time itself is rationed (a container's limit, a
/// unit's quota) all threads wait when it is used up, the service's too.
#[cfg(target_os = "linux")]
pub(super) fn can_give_way(cores: usize) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let allowed = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed:"));
    let digits = allowed.unwrap_or_default().chars();
    let n_allowed: u32 = digits
        .filter_map(|digit| digit.to_digit(16))
        .map(u32::count_ones)
        .sum();
    usize::try_from(n_allowed).is_ok_and(|n_allowed| n_allowed <= cores)
}

/// Elsewhere the whole process would.
#[cfg(not(target_os = "linux"))]
pub(super) fn can_give_way(_cores: usize) -> bool {
    false
}

#[cfg(not(target_os = "linux"))]
pub(super) fn give_way() {}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use std::thread;

    fn niceness() -> i32 {
        rustix::process::getpriority_process(None).unwrap()
    }

    #[test]
    fn a_thread_gives_way_as_much_as_the_one_it_starts_and_nobody_else_does() {
        let before = niceness();
        let computing = thread::spawn(|| {
            give_way();
            let reading = thread::spawn(|| {
                give_way();
                niceness()
            });
            [niceness(), reading.join().unwrap()]
        });
        assert_eq!(computing.join().unwrap(), [before.max(10); 2]);
        assert_eq!(niceness(), before);
    }
}
