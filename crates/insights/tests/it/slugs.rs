//! The names that we export beside a user's own equal those that KubeSpawner gives to pods and
//! home directories, whatever the user is called.

use crate::support::python;
use model::slug;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

pub(crate) const TESTS: &[crate::Test] = &[(
    "names_in_kubernetes_equal_those_of_the_real_kubespawner",
    names_in_kubernetes_equal_those_of_the_real_kubespawner,
)];

const N_NAMES: usize = 10_000;
const SEED: u64 = 20_261_121;

/// Rules about hyphens, first and last characters, case and lengths meet here. Two spaces in a row
/// hold the empty name.
const SPECIAL: &str = "  - -- --- a- -a a-- --a a--b a---b 0 0- 00 a0 \
    x x- user-1 user_1 user--1 none a.b a/b domain\\ada ada@example.org Ada.Lovelace@Example.org \
    É é e\u{301} İ ı i\u{307} \u{212a} \u{212a}elvin Å ß ẞ ſ ΑΣ ﬀ ǅ 🚀 👩🏽\u{200d}🔬 用户 한글 ١٢٣ a１ \
    \u{202e} \u{feff}ada \u{ffff} \u{10ffff} ada\n \n a\nb \0 a\0b \r\n \t \u{7f} \u{80} \u{a0}";

/// Characters that lower-case, combine or count in surprising ways, and some that do not.
const SURPRISING: &str = "İı\u{212a}KßẞΣςﬀÅé\u{301}\u{307}🚀用户한яא\u{200d}\u{feff}１aiks0-.";

fn names_in_kubernetes_equal_those_of_the_real_kubespawner() {
    let names = names();
    let theirs = python("slugs.py", &json!(names));
    let theirs = theirs.as_array().unwrap();
    assert_eq!(theirs.len(), names.len());
    let differences: Vec<String> = names
        .iter()
        .zip(theirs)
        .filter_map(|(name, theirs)| difference(name, theirs))
        .collect();
    assert!(
        differences.is_empty(),
        "{} of {} names differ, for instance:\n{}",
        differences.len(),
        names.len(),
        differences[..differences.len().min(20)].join("\n")
    );
}

fn difference(name: &str, theirs: &Value) -> Option<String> {
    let (escaped, safe) = (slug::escaped(name), slug::safe(name));
    let ours = json!({
        "escaped": escaped,
        "safe": safe,
        "escape_slug": escaped,
        "safe_slug": safe,
    });
    (ours != *theirs).then(|| format!("{name:?}: ours {ours}, theirs {theirs}"))
}

fn names() -> Vec<String> {
    let mut random = SmallRng::seed_from_u64(SEED);
    let special = SPECIAL.split(' ').map(str::to_owned);
    let made = (0..).map(|index| name(&mut random, index));
    special.chain(made).take(N_NAMES).collect()
}

/// Every kind in every length from 0 to 70, and 300 as well.
fn name(random: &mut SmallRng, index: usize) -> String {
    const N_KINDS: usize = 10;
    let kind = index % N_KINDS;
    let length = match index / N_KINDS % 72 {
        71 => 300,
        length => length,
    };
    let text = |random: &mut SmallRng, alphabet: &str| -> String {
        let alphabet: Vec<char> = alphabet.chars().collect();
        (0..length)
            .map(|_| *alphabet.choose(random).unwrap())
            .collect()
    };
    match kind {
        0 => text(random, "abcdefghijklmnopqrstuvwxyz0123456789"),
        1 => text(random, "abcxyz019-"),
        2 => text(random, "a-"),
        3 => text(random, "a0-.A"),
        4 => text(random, "abcXYZ._ "),
        5 => with_one_hyphen(random, length),
        6 => mail_address(random, length),
        7 => (0..length)
            .map(|_| char::from(random.random_range(0..128_u8)))
            .collect(),
        8 => text(random, SURPRISING),
        _ => (0..length).map(|_| random.random::<char>()).collect(),
    }
}

/// A slug may be cut right before, at or behind the hyphen.
fn with_one_hyphen(random: &mut SmallRng, length: usize) -> String {
    let letter = *['a', '7', 'A'].choose(random).unwrap();
    let mut name = vec![letter; length];
    if length > 0 {
        let at = random.random_range(0..length.min(50));
        name[at] = *['-', '.', 'é'].choose(random).unwrap();
    }
    name.into_iter().collect()
}

fn mail_address(random: &mut SmallRng, length: usize) -> String {
    let host = "@Uni-Example.edu";
    let person = length.saturating_sub(host.len());
    let mut name: String = (0..person)
        .map(|_| *['a', 'B', '.', '-', '+', '1'].choose(random).unwrap())
        .collect();
    name.push_str(host);
    name.chars().take(length).collect()
}
