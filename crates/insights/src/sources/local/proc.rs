//! What Linux tells of single processes in `/proc`.
//!
//! Of a process's environment only the two variables are looked at that a hub sets for a server, and
//! nothing of it is kept or logged but those.

use super::tree::ProcessId;
use model::names::UserName;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Parts of a second in which Linux counts processor time, on all of its platforms for programs.
pub(super) const TICKS_PER_SECOND: f64 = 100.0;

/// More than Linux lets a program begin with by default.
const LONGEST_ENVIRONMENT: u64 = 8 << 20;

/// Of the kernel's own threads (`PF_KTHREAD`).
const FLAG_KERNEL_THREAD: u64 = 0x0020_0000;

/// Reads the folder.
#[derive(Clone, Debug)]
pub(super) struct Proc {
    folder: PathBuf,
}

/// A process, as its `stat` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) id: ProcessId,
    /// 0 if that is not to be seen from here.
    pub(super) parent: u32,
    pub(super) is_kernel_thread: bool,
    /// And nobody has waited for it yet.
    pub(super) has_ended: bool,
    /// Ticks of the process, with its threads that ended.
    pub(super) own: u64,
    /// Ticks of children that it waited for.
    pub(super) waited: u64,
}

/// The server that a process says it is, in the environment it was started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NamedServer {
    pub(super) user: UserName,
    pub(super) server: Arc<str>,
}

/// Something of a process that other accounts must not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Guarded<T> {
    Known(T),
    /// The process is of another account, or is guarded.
    Denied,
    /// It is gone, or has none.
    None,
}

impl Proc {
    pub(super) fn under(root: &Path) -> Self {
        Self {
            folder: root.join("proc"),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Numbers of all processes that there are.
    pub(super) fn pids(&self) -> std::io::Result<Vec<u32>> {
        let entries = std::fs::read_dir(&self.folder)?.flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        Ok(pids.collect())
    }

    pub(super) fn stat(&self, pid: u32) -> Option<Stat> {
        let text = std::fs::read(self.file(pid, "stat")).ok()?;
        let text = String::from_utf8_lossy(&text);
        // The name of the program, in parentheses, may hold anything.
        let (_, fields) = text.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some(Stat {
            id: ProcessId {
                pid,
                started: number(19)?,
            },
            parent: fields.get(1)?.parse().ok()?,
            is_kernel_thread: number(6)? & FLAG_KERNEL_THREAD != 0,
            has_ended: matches!(fields.first(), Some(&("Z" | "X"))),
            own: number(11)? + number(12)?,
            waited: number(13)? + number(14)?,
        })
    }

    /// The account that a process runs under.
    pub(super) fn owner(&self, pid: u32) -> Option<u32> {
        let text = std::fs::read(self.file(pid, "status")).ok()?;
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().find_map(|line| line.strip_prefix("Uid:"))?;
        line.split_whitespace().next()?.parse().ok()
    }

    /// Lines such as `0::/system.slice/cron.service`.
    pub(super) fn cgroup(&self, pid: u32) -> Option<String> {
        std::fs::read_to_string(self.file(pid, "cgroup")).ok()
    }

    /// Whether it was started as a server, by its own account.
    pub(super) fn named_server(&self, pid: u32) -> Guarded<NamedServer> {
        let mut environment = Vec::new();
        match self.read_guarded(pid, "environ", &mut environment) {
            Guarded::Known(()) => {}
            Guarded::Denied => return Guarded::Denied,
            Guarded::None => return Guarded::None,
        }
        let value = |name: &str| {
            let mut variables = environment.split(|byte| *byte == 0);
            // The first one is what a program finds.
            let value = variables.find_map(|variable| variable.strip_prefix(name.as_bytes()))?;
            std::str::from_utf8(value).ok()
        };
        // A service that a hub starts has both, empty.
        let user = value("JUPYTERHUB_USER=").filter(|user| !user.is_empty());
        match (user, value("JUPYTERHUB_SERVER_NAME=")) {
            (Some(user), Some(server)) => Guarded::Known(NamedServer {
                user: user.into(),
                server: server.into(),
            }),
            _ => Guarded::None,
        }
    }

    /// Memory of the process in bytes, in which each page counts as a part that is the smaller the
    /// more processes share it ("proportional set size"); since Linux 4.14.
    pub(super) fn memory(&self, pid: u32) -> Guarded<f64> {
        let mut text = Vec::new();
        match self.read_guarded(pid, "smaps_rollup", &mut text) {
            Guarded::Known(()) => {}
            Guarded::Denied => return Guarded::Denied,
            // A process that ends has the file and cannot be asked; an old kernel has no such file.
            Guarded::None if !self.file(pid, "smaps_rollup").exists() => {
                let is_there = self.file(pid, "stat").exists();
                return if is_there {
                    Guarded::Denied
                } else {
                    Guarded::None
                };
            }
            Guarded::None => return Guarded::None,
        }
        let text = String::from_utf8_lossy(&text);
        let kib = text.lines().find_map(|line| line.strip_prefix("Pss:"));
        let kib = kib.and_then(|kib| kib.split_whitespace().next()?.parse::<f64>().ok());
        kib.map_or(Guarded::None, |kib| Guarded::Known(kib * 1024.0))
    }

    fn read_guarded(&self, pid: u32, file: &str, into: &mut Vec<u8>) -> Guarded<()> {
        let file = File::open(self.file(pid, file));
        let read = file.and_then(|file| file.take(LONGEST_ENVIRONMENT).read_to_end(into));
        match read {
            Ok(_) => Guarded::Known(()),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Guarded::Denied,
            Err(_) => Guarded::None,
        }
    }

    fn file(&self, pid: u32, name: &str) -> PathBuf {
        self.folder.join(pid.to_string()).join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Proc) {
        let root = tempfile::tempdir().unwrap();
        for (path, bytes) in files {
            let path = root.path().join("proc/7").join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        let proc = Proc::under(root.path());
        (root, proc)
    }

    #[test]
    fn a_program_may_have_any_name() {
        let stat = b"7 (x) R 1 (\xff) S 5 7 7 0 -1 4194560 1 2 3 4 30 12 500 60 20 0 1 0 88 1 2";
        let (_root, proc) = system(&[("stat", stat)]);
        let expected = Stat {
            id: ProcessId {
                pid: 7,
                started: 88,
            },
            parent: 5,
            is_kernel_thread: false,
            has_ended: false,
            own: 42,
            waited: 560,
        };
        assert_eq!(proc.stat(7), Some(expected));
        assert_eq!(proc.stat(8), None);
    }

    #[test]
    fn a_server_has_both_variables_and_a_user() {
        let of = |environment: &[u8]| {
            let (_root, proc) = system(&[("environ", environment)]);
            match proc.named_server(7) {
                Guarded::Known(named) => format!("{}/{}", named.user, named.server),
                other => format!("{other:?}"),
            }
        };
        let default = b"A=1\0JUPYTERHUB_USER=ada\0SECRET=x\0JUPYTERHUB_SERVER_NAME=\0";
        assert_eq!(of(default), "ada/");
        let named = b"JUPYTERHUB_SERVER_NAME=lab\0JUPYTERHUB_USER=a=b c\0JUPYTERHUB_USER=eve";
        assert_eq!(of(named), "a=b c/lab");
        for other in [
            &b"JUPYTERHUB_USER=\0JUPYTERHUB_SERVER_NAME=\0"[..],
            b"JUPYTERHUB_USER=ada\0",
            b"XJUPYTERHUB_USER=ada\0JUPYTERHUB_SERVER_NAME=\0",
            b"JUPYTERHUB_USER=\xff\0JUPYTERHUB_SERVER_NAME=\0",
            b"",
        ] {
            assert_eq!(of(other), "None");
        }
    }

    #[test]
    fn memory_is_the_proportional_set_size() {
        let rollup =
            b"55e2-7fff ---p 0 00:00 0 [rollup]\nRss:  1688 kB\nPss:   338 kB\nPss_Dirty: 112 kB\n";
        let (_root, proc) = system(&[("smaps_rollup", rollup)]);
        assert_eq!(proc.memory(7), Guarded::Known(338.0 * 1024.0));
        assert_eq!(proc.memory(8), Guarded::None);
    }

    /// Whatever machine this runs on.
    #[test]
    fn our_own_process_can_be_read() {
        let proc = Proc::under(Path::new("/"));
        let own = std::process::id();
        assert!(proc.pids().unwrap().contains(&own));
        let stat = proc.stat(own).unwrap();
        assert_eq!(stat.parent, std::os::unix::process::parent_id());
        assert!(!stat.is_kernel_thread);
        assert!(matches!(proc.memory(own), Guarded::Known(bytes) if bytes > 1e5));
        assert!(proc.owner(own).is_some() && proc.cgroup(own).is_some());
    }
}
