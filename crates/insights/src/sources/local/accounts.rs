//! Names of the system's accounts: from its file, else from wherever the system has them (LDAP).

use super::tool::{Tools, ask};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::Instant;

/// A directory that does not know an account, or is away, is asked again after this.
const AGAIN_AFTER: Duration = Duration::from_mins(10);

/// Names by number, each asked for once.
#[derive(Debug)]
pub(super) struct Accounts {
    file: PathBuf,
    /// The program that asks the system; only where the processes are this system's.
    getent: Option<PathBuf>,
    known: HashMap<u32, Known>,
}

#[derive(Debug)]
struct Known {
    name: Option<String>,
    asked: Instant,
}

impl Accounts {
    pub(super) fn new(root: &Path, tools: &Tools) -> Self {
        let is_this_system = root == Path::new("/");
        Self {
            file: root.join("etc/passwd"),
            getent: is_this_system.then(|| tools.getent.clone()),
            known: HashMap::new(),
        }
    }

    /// The account's name. Blocks while a directory is asked, so not for a thread of the runtime.
    pub(super) fn name(&mut self, uid: u32) -> Option<&str> {
        let is_fresh = self
            .known
            .get(&uid)
            .is_some_and(|known| known.name.is_some() || known.asked.elapsed() < AGAIN_AFTER);
        if !is_fresh {
            let name = self.look_up(uid);
            let asked = Instant::now();
            self.known.insert(uid, Known { name, asked });
        }
        self.known.get(&uid)?.name.as_deref()
    }

    fn look_up(&self, uid: u32) -> Option<String> {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        named(&text, uid).or_else(|| {
            let getent = self.getent.as_ref()?;
            let question = ["passwd".to_owned(), uid.to_string()];
            let told = Handle::try_current().ok()?.block_on(ask(getent, question));
            named(&told.ok()?, uid)
        })
    }
}

/// Lines as `name:x:1000:…`.
fn named(passwd: &str, uid: u32) -> Option<String> {
    let mut lines = passwd.lines().map(|line| line.split(':'));
    lines.find_map(|mut fields| {
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_number() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("etc")).unwrap();
        let text = "root:x:0:0:root:/root:/bin/sh\n+::::::\nada:x:1000:1000::/home/ada:\n";
        std::fs::write(root.path().join("etc/passwd"), text).unwrap();
        let mut accounts = Accounts::new(root.path(), &Tools::default());
        assert_eq!(accounts.name(1000), Some("ada"));
        assert_eq!(accounts.name(0), Some("root"));
        assert_eq!(accounts.name(1001), None);
    }

    #[tokio::test]
    async fn one_that_is_in_no_file_is_asked_of_the_system() {
        let accounts = Accounts {
            file: PathBuf::from("/nowhere"),
            getent: Some(Tools::default().getent),
            known: HashMap::new(),
        };
        let asked = tokio::task::spawn_blocking(move || {
            let mut accounts = accounts;
            let root = accounts.name(0).map(str::to_owned);
            (root, accounts.name(4_000_000_001).map(str::to_owned))
        });
        assert_eq!(asked.await.unwrap(), (Some("root".to_owned()), None));
    }
}
