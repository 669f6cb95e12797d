//! What the simulated hub's server options ask for and allow. How much of it people use
//! ([`super::usage`]) does not belong here.

use serde_json::{Map, Value};

/// One of the server options.
#[derive(Debug, PartialEq)]
pub(super) struct Offer {
    /// As it stands in the options that a user chose.
    pub(super) profile: &'static str,
    /// Cores that are asked for.
    pub(super) requested_cores: f64,
    /// Cores that it may use at once.
    pub(super) most_cores: f64,
    /// Memory that is asked for.
    pub(super) requested_bytes: f64,
    /// Memory that it may use.
    pub(super) most_bytes: f64,
    pub(super) gpus: f64,
}

const GIB: f64 = 1_073_741_824.0;

/// From the smallest to the one with a GPU.
pub(super) static OFFERS: [Offer; 4] = [
    Offer {
        profile: "small",
        requested_cores: 0.25,
        most_cores: 2.0,
        requested_bytes: GIB,
        most_bytes: 2.0 * GIB,
        gpus: 0.0,
    },
    Offer {
        profile: "medium",
        requested_cores: 1.0,
        most_cores: 4.0,
        requested_bytes: 4.0 * GIB,
        most_bytes: 8.0 * GIB,
        gpus: 0.0,
    },
    Offer {
        profile: "large",
        requested_cores: 4.0,
        most_cores: 8.0,
        requested_bytes: 16.0 * GIB,
        most_bytes: 32.0 * GIB,
        gpus: 0.0,
    },
    Offer {
        profile: "gpu",
        requested_cores: 4.0,
        most_cores: 8.0,
        requested_bytes: 16.0 * GIB,
        most_bytes: 32.0 * GIB,
        gpus: 1.0,
    },
];

impl Offer {
    /// What was chosen; the smallest where that is not said.
    pub(super) fn chosen(options: &Map<String, Value>) -> &'static Self {
        let profile = options.get("profile").and_then(Value::as_str);
        let chosen = OFFERS.iter().find(|offer| Some(offer.profile) == profile);
        chosen.unwrap_or(&OFFERS[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn who_chose_nothing_known_has_the_smallest() {
        let chosen = |options: Value| Offer::chosen(options.as_object().unwrap()).profile;
        assert_eq!(chosen(json!({"profile": "gpu", "image": "x"})), "gpu");
        assert_eq!(chosen(json!({"profile": ["gpu"]})), "small");
        assert_eq!(chosen(json!({})), "small");
    }
}
