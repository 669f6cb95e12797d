//! Names of units, and what systemd tells of them.

use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

/// By `systemd-escape --mangle jupyter-…`.
#[test]
fn names_are_escaped_as_systemd_run_does() {
    for (name, unit) in [
        ("jupyter-ada", "jupyter-ada.service"),
        ("jupyter-Ada.L_1:x", "jupyter-Ada.L_1:x.service"),
        ("jupyter-ada@example.org", "jupyter-ada@example.org.service"),
        ("jupyter-ada lovelace", r"jupyter-ada\x20lovelace.service"),
        ("jupyter-zoë", r"jupyter-zo\xc3\xab.service"),
        ("jupyter-a/b", "jupyter-a-b.service"),
    ] {
        assert_eq!(unit_name(name), unit);
    }
}

#[test]
fn a_unit_that_would_be_of_two_users_is_nobodys() {
    let users = ["a/b", "a-b", "ada"].map(UserName::from);
    let owners = owners(&users, &["jupyter-{USERNAME}".to_owned()]);
    assert_eq!(owners["jupyter-a-b.service"], None);
    assert_eq!(owners["jupyter-ada.service"], Some(users[2].clone()));
}

#[test]
fn a_template_has_an_outline() {
    let outline = Outline::of("jupyter-{USERNAME}-singleuser");
    assert!(outline.fits("jupyter-x-singleuser.service"));
    assert!(!outline.fits("jupyter-x.service"));
    assert!(!outline.fits("jupyter--singleuser.service"));
    let outline = Outline::of("jupyter-{USERNAME}");
    assert!(outline.fits("jupyter-x.service"));
    assert!(!outline.fits("jupyterhub.service"));
    assert!(!Outline::of("{USERNAME}").fits("cron.service"));
}

#[test]
fn traffic_is_known_of_units_that_account_for_it() {
    let text = "Id=jupyter-ada.service\nIPIngressBytes=5120\nIPEgressBytes=77\n\n\
        IPIngressBytes=[no data]\nIPEgressBytes=18446744073709551615\nId=jupyter-b\\x20c.service\n";
    let traffic = parse_traffic(text);
    let ada = Traffic {
        rx_bytes: Some(5120.0),
        tx_bytes: Some(77.0),
    };
    assert_eq!(traffic["jupyter-ada.service"], ada);
    assert_eq!(traffic[r"jupyter-b\x20c.service"], Traffic::default());
    assert_eq!(parse_traffic("").len(), 0);
}

#[tokio::test]
async fn systemd_is_asked_once_for_all_units() {
    let folder = tempfile::tempdir().unwrap();
    let tool = folder.path().join("systemctl");
    let script = "#!/bin/sh\n[ \"$1 $2 $3\" = 'show --property=Id,IPIngressBytes,IPEgressBytes --' ] || exit 1\n\
        shift 3\nfor unit; do echo Id=$unit; echo IPIngressBytes=${#unit}; echo IPEgressBytes=0; echo; done\n";
    fs::write(&tool, script).unwrap();
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
    let tools = Tools {
        systemctl: tool,
        ..Tools::default()
    };
    let units = Units::new(Path::new("/nowhere"), "system.slice", &[], &tools);
    let traffic = units.traffic(vec!["a.service", "bcd.service"]).await;
    let received = ["a.service", "bcd.service"].map(|name| traffic[name].rx_bytes);
    assert_eq!(received, [Some(9.0), Some(11.0)]);
    assert_eq!(units.traffic(Vec::new()).await, HashMap::new());
}

#[test]
fn a_peak_counts_where_it_grew_and_without_what_could_be_dropped() {
    let group = |identity, peak_bytes, droppable_bytes| Group {
        identity,
        peak_bytes: Some(peak_bytes),
        droppable_bytes: Some(droppable_bytes),
        ..Group::default()
    };
    let before = group(1, 100.0, 10.0);
    assert_eq!(peak(Some(&before), &group(1, 100.0, 10.0)), None);
    assert_eq!(peak(Some(&before), &group(1, 150.0, 30.0)), Some(120.0));
    assert_eq!(peak(Some(&before), &group(2, 150.0, 30.0)), None);
    assert_eq!(peak(None, &group(1, 150.0, 30.0)), None);
    let older = Group {
        peak_bytes: None,
        ..before
    };
    assert_eq!(peak(Some(&older), &older), None);
}

#[test]
fn a_process_is_within_a_unit_by_its_control_group() {
    let unit = Path::new("system.slice/jupyter-ada.service");
    let v2 = "0::/system.slice/jupyter-ada.service\n";
    let below = "5:memory:/user.slice\n0::/system.slice/jupyter-ada.service/kernel-1\n";
    assert!(is_within(v2, unit) && is_within(below, unit));
    assert!(!is_within("0::/system.slice/jupyter-ada.service2\n", unit));
}
