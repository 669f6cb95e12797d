//! Homes in a temporary folder, against what `du` says of them.

use super::*;
use std::os::unix::fs::symlink;
use std::process::Command;

fn walker() -> Walker {
    Walker {
        is_over: Arc::default(),
        began: Instant::now(),
        n_entries: 0,
        n_unreadable: 0,
    }
}

fn known(users: &[&str]) -> Known {
    let users: Vec<UserName> = users.iter().map(|user| UserName::from(*user)).collect();
    Known {
        users: Some(users.into()),
        spawner: None,
    }
}

fn fill(folder: &Path) {
    fs::create_dir_all(folder.join("a/b/c")).unwrap();
    fs::write(folder.join("a/large"), vec![7_u8; 300_000]).unwrap();
    fs::write(folder.join("a/b/small"), "x").unwrap();
    fs::hard_link(folder.join("a/large"), folder.join("a/b/again")).unwrap();
    symlink("/usr", folder.join("a/elsewhere")).unwrap();
    fs::File::create(folder.join("sparse"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    for n in 0..(2 * PART) {
        fs::write(folder.join(format!("a/b/c/{n}")), "").unwrap();
    }
}

fn du(folder: &Path) -> u64 {
    let output = Command::new("du")
        .args(["-s", "-x", "-B1"])
        .arg(folder)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn a_home_takes_what_du_says() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let size = walker().size_of(folder.path()).unwrap().unwrap();
    assert_eq!(size.bytes, du(folder.path()));
    // The home, three folders, `large`, `small`, the link, the sparse one, and many.
    assert_eq!(size.files, 8 + 2 * PART as u64);
    // A home that is a link to where it is.
    let link = folder.path().join("link");
    symlink(folder.path().join("a"), &link).unwrap();
    let size = walker().size_of(&link).unwrap().unwrap();
    assert_eq!(size.bytes, du(&folder.path().join("a")));
    assert_eq!(walker().size_of(&folder.path().join("none")), Ok(None));
    assert_eq!(walker().size_of(&folder.path().join("sparse")), Ok(None));
}

#[test]
fn a_walk_that_is_over_stops() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let walker = walker();
    walker.is_over.store(true, Ordering::Relaxed);
    let template = format!("{}/{{username}}", folder.path().display());
    let outcome = walker.walk(&template, &[UserName::from("a")]);
    assert_eq!(outcome.unwrap_err(), Over);
}

#[test]
fn a_users_name_cannot_lead_elsewhere() {
    let users = ["ada", "../root", "a/b", ".", "..", ""].map(UserName::from);
    let folders = home_folders("/home/{username}", &users);
    let folders: Vec<_> = folders.keys().map(PathBuf::as_path).collect();
    assert_eq!(folders, [Path::new("/home/ada")]);
    assert_eq!(home_folders("/shared", &users).len(), 0);
    assert_eq!(home_folders("home/{username}", &users).len(), 0);
    let long = ["abcdefghijklmnopqr"].map(UserName::from);
    let folders = home_folders("/home/{account}", &long);
    let home = Path::new("/home/jupyter-abcdefghijklmnopqr-e375e");
    assert!(folders.contains_key(home));
}

#[tokio::test]
async fn sizes_are_told_by_the_look_after_the_walk() {
    let folder = tempfile::tempdir().unwrap();
    for home in ["ada", "ben", "gone"] {
        fs::create_dir(folder.path().join(home)).unwrap();
        fs::write(folder.path().join(home).join("file"), vec![1_u8; 50_000]).unwrap();
    }
    let template = format!("{}/{{username}}", folder.path().display());
    let mut walks = HomeWalks::new(&template, Duration::from_hours(1));
    let unknown = Known::default();
    assert_eq!(walks.look(&unknown).await, None);
    assert!(walks.walk.is_none());
    let known = known(&["ben", "ada", "carl"]);
    let homes = loop {
        if let Some(homes) = walks.look(&known).await {
            break homes;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let sizes: Vec<_> = homes
        .sizes
        .iter()
        .map(|home| (home.user.as_str(), home.files))
        .collect();
    assert_eq!(sizes, [("ada", Some(2)), ("ben", Some(2))]);
    let bytes = as_number(du(&folder.path().join("ada")));
    assert!((homes.sizes[0].bytes - bytes).abs() < 0.5);
    let unknown = walks.unknown().unwrap();
    assert_eq!((unknown.reason, unknown.n_things), ("unknown directory", 1));
    assert_eq!(unknown.home_bytes, Some(bytes));
    assert_eq!(walks.note(), None);
    assert!(walks.walk.is_none(), "the next one has time");
}

#[tokio::test]
async fn homes_that_are_not_there_are_missed() {
    let folder = tempfile::tempdir().unwrap();
    let template = format!("{}/{{username}}", folder.path().display());
    let mut walks = HomeWalks::new(&template, Duration::from_hours(1));
    let known = known(&["ada"]);
    // Unknown is not a size of nothing.
    while walks.note().is_none() {
        assert_eq!(walks.look(&known).await, None);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let text = walks.note().unwrap().text;
    assert!(
        text.contains("`local.homes`") && text.contains("ProtectHome"),
        "{text}"
    );
    let mut none = HomeWalks::new("", Duration::from_hours(1));
    none.look(&known).await;
    assert!(none.walk.is_none());
}
